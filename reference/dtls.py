"""DTLS sessions over datagrams: sans-I/O, on virtual time, with randomness from the node (DTL-1 to DTL-6).

A `Session` is one association, client or server, from the first flight to its end. It is fed one record at a time,
because only then is it known which record number stood behind what the library reports (SES-8).
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import weakref
from collections import deque
from dataclasses import dataclass
from enum import Enum

from reference import mbedtls_c as c
from reference import records
from reference.credentials import Chain, Credentials, Peer, certificate_der
from reference.dialect import ECDHE_AES_128, ECDHE_AES_256, RSA_SUITES
from reference.randomness import Drbg

MTU = 1_000
"""Bytes of a datagram (FRM-2, DTL-5)."""
MAX_RECORD = 963
"""Bytes of plaintext in a record of application data (DTL-5)."""
FIRST_TIMEOUT, LAST_TIMEOUT = 7_000, 60_000
"""Milliseconds: the first retransmission timeout and the cap of the doubling (DTL-6)."""
AES_256, AES_128 = ECDHE_AES_256, ECDHE_AES_128
SUITES = (AES_256, AES_128)
"""Of the protocol page (DTL-2)."""
_HELD_RECORDS = 8
"""Records of epoch 1 kept because they overtook the ChangeCipherSpec; more are dropped, and the flight is repeated."""
_LARGEST_PLAINTEXT = 16_384


class Kind(Enum):
    """What a record, or time, did to a session."""

    NOTHING = "dropped, or one more piece of a flight"
    VERIFY = "a HelloVerifyRequest is all the answer; the session is of no further use"
    ESTABLISHED = "the handshake is complete, both sides authenticated"
    ALIVE = "a record authenticated that carries no data: a repeated Finished, a warning"
    DATA = "a record of application data authenticated"
    CLOSED = "an authenticated close_notify"
    ALERTED = "a fatal alert: authenticated after the handshake, plaintext during it"
    FAILED = "the handshake or the session failed on our side; a fatal alert went out unless it timed out"


@dataclass(frozen=True, slots=True)
class Happening:
    """A kind, the plaintext that came with it, and whether its record number continued the sequence (SES-8)."""

    kind: Kind
    data: bytes = b""
    in_order: bool = True


NOTHING = Happening(Kind.NOTHING)


class CookieJar:
    """Stateless cookies, bound to the decimal SCEWL id of the client (DTL-3)."""

    def __init__(self, drbg: Drbg) -> None:
        self._key = drbg.draw(32)

    def cookie(self, client: bytes) -> bytes:
        """The 32-byte cookie of a client (its id in decimal)."""
        return hmac.digest(self._key, client, hashlib.sha256)

    def is_valid(self, client: bytes, cookie: bytes) -> bool:
        """Whether the client was given this cookie; in constant time."""
        return hmac.compare_digest(self.cookie(client), cookie)


class Session:
    """One DTLS association. `outgoing` collects its datagrams, `secrets` its (client_random, master secret) pairs."""

    server_hello_done_seq = 5
    """Its number behind ServerHello (1), Certificate, ServerKeyExchange and CertificateRequest."""

    def __init__(
        self,
        credentials: Credentials,
        peer: Peer,
        drbg: Drbg,
        *,
        suite: int = AES_256,
        server: tuple[CookieJar, bytes] | None = None,
        timeouts: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """A server if given its cookies and the client's id in decimal, else a client. `timeouts` are the first and the
        last retransmission timeout in milliseconds, where they are not those of DTL-6.

        Raises MemoryError if the library has none, CredentialsError if it cannot parse the set.
        """
        self.outgoing: list[bytes] = []
        self.secrets: list[tuple[bytes, bytes]] = []
        self.established = False
        self.keys_sent = False
        """Client: flight 5 has gone out, so the peer's flight 4 was whole and verified."""
        if suite in RSA_SUITES:
            self.server_hello_done_seq = 4  # there is no ServerKeyExchange
        self._limits = timeouts[0] or FIRST_TIMEOUT, timeouts[1] or LAST_TIMEOUT
        self.timeouts = 0
        """How often the retransmission timer fired."""
        self.gave_up = False
        """The peer was silent until the last timeout (DTL-6)."""
        self.faults = 0
        """What was found wrong with the peer's certificates, as flags (`credentials.fault_names`)."""
        self._peer, self._drbg, self._server = peer, drbg, server
        self._now = 0
        self._timer: tuple[int, int] | None = None
        self._pending: bytes | None = None
        self._held: deque[records.Record] = deque(maxlen=_HELD_RECORDS)
        self._expected = 0
        self._has_data = False
        self._alert_sent = False
        self._verified = False
        self._chain = Chain(credentials)
        self._ssl, self._config = c.room(), c.room()
        c.tls.mbedtls_ssl_init(self._ssl)
        c.tls.mbedtls_ssl_config_init(self._config)
        self._free = weakref.finalize(self, _free, self._ssl, self._config, self._chain)
        self._configure(suite)

    def close(self) -> None:
        """Free everything, keys zeroised, without a word to the peer. No further use; safe to call twice."""
        self._free()

    # --- what drives it ----------------------------------------------------------------------------------------------

    def start(self, now: int) -> Happening:
        """Client: send the ClientHello."""
        self._now = now
        return self._handshake()

    def receive(self, record: records.Record, now: int) -> Happening:
        """Take one record. At most one thing happens, since records that must wait for it are taken by `take_held`."""
        self._now = now
        if record.epoch == 0:
            return NOTHING if self.established else self._feed_handshake(record)
        if self._authenticates(record):
            return self._read(record) if self.established else self._feed_handshake(record)
        if record.epoch == 1 and not self.established:
            self._held.append(record)  # no keys for it yet; forged ones are pushed out or found out later
        return NOTHING

    def take_held(self) -> records.Record | None:
        """A record that came too early and that can be taken now; to be passed to `receive` by the caller."""
        for record in self._held:
            if self._authenticates(record):
                self._held.remove(record)
                return record
        return None

    @property
    def deadline(self) -> int | None:
        """When the retransmission timer fires, in the milliseconds of `now`; None if it is not armed."""
        return self._timer[1] if self._timer else None

    def on_time(self, now: int) -> Happening:
        """Let the retransmission timer fire if it is due: repeat the flight, or give up (DTL-6)."""
        self._now = now
        if self._timer is None or now < self._timer[1] or self.established:
            return NOTHING
        self.timeouts += 1
        return self._handshake()

    def write(self, data: bytes) -> None:
        """Send application data, as records of at most `MAX_RECORD` bytes; no data, no record."""
        for at in range(0, len(data), MAX_RECORD):
            piece = data[at : at + MAX_RECORD]
            with c.time_from(self._time):
                written = c.tls.mbedtls_ssl_write(self._ssl, piece, len(piece))
            if written != len(piece):
                raise RuntimeError(f"mbedtls_ssl_write took {written} of {len(piece)} bytes")

    def say_goodbye(self) -> None:
        """Send a close_notify."""
        with c.time_from(self._time):
            c.tls.mbedtls_ssl_close_notify(self._ssl)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _authenticates(self, record: records.Record) -> bool:
        """Whether a record of epoch 1 is authentic and new, as far as there are keys for it."""
        copy = ctypes.create_string_buffer(record.raw, len(record.raw))  # the check decrypts in place
        return record.epoch == 1 and c.tls.mbedtls_ssl_check_record(self._ssl, copy, len(record.raw)) == 0

    def _feed_handshake(self, record: records.Record) -> Happening:
        wants_cookie = self._server is None and not self._verified
        if record.kind == records.HANDSHAKE and wants_cookie != records.is_hello_verify_request(record):
            return NOTHING  # DTL-3: a HelloVerifyRequest comes first, to a client, and only once
        if records.has_weak_proof(record):
            return self._fail()
        if records.asks_for_no_certificate(record, self.server_hello_done_seq):
            return self._fail()  # DTL-1: both sides authenticate
        self._pending = record.raw
        happening = self._handshake()
        self._pending = None
        if happening.kind is Kind.ESTABLISHED:
            self._expected = record.seq + 1
        return happening

    def _handshake(self) -> Happening:
        with c.time_from(self._time):
            result = c.tls.mbedtls_ssl_handshake(self._ssl)
        if result == 0:
            self.established = True
            return Happening(Kind.ESTABLISHED)
        if result == c.WANT_READ:
            return NOTHING
        if result == c.HELLO_VERIFY_REQUIRED:
            return Happening(Kind.VERIFY)
        if result in (c.FATAL_ALERT, c.PEER_CLOSE_NOTIFY):
            return Happening(Kind.ALERTED)
        return self._fail(result)

    def _fail(self, result: int = 0) -> Happening:
        self._timer = None
        self.gave_up = result == c.TIMEOUT
        if not self.gave_up and not self._alert_sent:
            c.tls.mbedtls_ssl_send_alert_message(self._ssl, c.ALERT_FATAL, c.ALERT_HANDSHAKE_FAILURE)
        return Happening(Kind.FAILED)

    def _read(self, record: records.Record) -> Happening:
        self._pending = record.raw
        buffer = ctypes.create_string_buffer(_LARGEST_PLAINTEXT)
        with c.time_from(self._time):
            result = c.tls.mbedtls_ssl_read(self._ssl, buffer, _LARGEST_PLAINTEXT)
        self._pending = None
        in_order = record.seq == self._expected
        data = buffer.raw[:result] if result > 0 else b""
        ctypes.memset(buffer, 0, max(result, 0))
        if result == c.PEER_CLOSE_NOTIFY:
            return Happening(Kind.CLOSED, in_order=in_order)
        if result == c.FATAL_ALERT:
            return Happening(Kind.ALERTED, in_order=in_order)
        if result < 0 and result != c.WANT_READ:
            return self._fail(result)
        if record.kind == records.HANDSHAKE:
            # A repeated Finished: contiguity counts from the last one, as long as no data came.
            if not self._has_data:
                self._expected = max(self._expected, record.seq + 1)
            return Happening(Kind.ALIVE)
        self._expected = record.seq + 1
        if record.kind != records.APPLICATION_DATA:
            return Happening(Kind.ALIVE, in_order=in_order)
        self._has_data = True
        return Happening(Kind.DATA, data, in_order)

    def _time(self) -> int:
        """The library's idea of the wall clock, which shows in hello randoms, is drawn from the generator too."""
        return int.from_bytes(self._drbg.draw(4), "big")

    def _configure(self, suite: int) -> None:
        conf, ssl, tls = self._config, self._ssl, c.tls
        # The library keeps these arrays by address.
        self._arrays = (
            (ctypes.c_int * 2)(suite, 0),
            (ctypes.c_int * 2)(c.ECP_DP_SECP256R1, 0),
            (ctypes.c_int * 3)(c.MD_SHA256, c.MD_SHA384, 0),
        )
        suites, curves, hashes = self._arrays
        me = weakref.ref(self)  # callbacks must not keep the session alive

        def send(_context: int | None, data: int, size: int) -> int:
            return _of(me)._send(ctypes.string_at(data, size))

        def receive(_context: int | None, target: int, size: int) -> int:
            return _of(me)._receive(target, size)

        def random(_context: int | None, target: int, size: int) -> int:
            ctypes.memmove(target, _of(me)._drbg.draw(size), size)
            return 0

        def set_timer(_context: int | None, intermediate: int, final: int) -> None:
            session = _of(me)
            if final and session._timer and session._now < session._timer[1]:
                return  # an answered repeat: the timer runs on (section 4, pinned under DTL-6)
            session._timer = (session._now + intermediate, session._now + final) if final else None

        def get_timer(_context: int | None) -> int:
            session = _of(me)
            if session._timer is None:
                return -1
            intermediate, final = session._timer
            return 2 if session._now >= final else int(session._now >= intermediate)

        def verify(_context: int | None, certificate: int, depth: int, flags: ctypes._Pointer[ctypes.c_uint32]) -> int:
            flags[0] &= ~(c.BADCERT_EXPIRED | c.BADCERT_FUTURE)  # those are the wall clock's opinion
            session = _of(me)
            flags[0] |= session._peer.faults(certificate_der(certificate), leaf=depth == 0)
            session.faults |= flags[0]
            return 0

        def export(
            _context: int | None,
            master: int,
            _block: int,
            _mac: int,
            _key: int,
            _iv: int,
            random: int,
            _r: int,
            _p: int,
        ) -> int:
            _of(me).secrets.append((ctypes.string_at(random, 32), ctypes.string_at(master, 48)))
            return 0

        # Kept as long as the session: the library calls them by address.
        self._callbacks = (
            c.SendCallback(send),
            c.RecvCallback(receive),
            c.RandomCallback(random),
            c.SetTimerCallback(set_timer),
            c.GetTimerCallback(get_timer),
            c.VerifyCallback(verify),
            c.KeysCallback(export),
        )
        to_send, to_receive, to_random, to_set_timer, to_get_timer, to_verify, to_export = self._callbacks
        tls.mbedtls_ssl_config_defaults(
            conf, c.IS_SERVER if self._server else c.IS_CLIENT, c.TRANSPORT_DATAGRAM, c.PRESET_DEFAULT
        )
        tls.mbedtls_ssl_conf_min_version(conf, c.MAJOR_VERSION_3, c.MINOR_VERSION_3)
        tls.mbedtls_ssl_conf_max_version(conf, c.MAJOR_VERSION_3, c.MINOR_VERSION_3)
        tls.mbedtls_ssl_conf_ciphersuites(conf, suites)
        tls.mbedtls_ssl_conf_curves(conf, curves)
        tls.mbedtls_ssl_conf_sig_hashes(conf, hashes)
        tls.mbedtls_ssl_conf_authmode(conf, c.VERIFY_REQUIRED)
        tls.mbedtls_ssl_conf_verify(conf, to_verify, None)
        tls.mbedtls_ssl_conf_rng(conf, to_random, None)
        tls.mbedtls_ssl_conf_ca_chain(conf, self._chain.ca, None)
        tls.mbedtls_ssl_conf_handshake_timeout(conf, *self._limits)
        tls.mbedtls_ssl_conf_dtls_anti_replay(conf, bytes([c.ENABLED]))
        tls.mbedtls_ssl_conf_renegotiation(conf, c.DISABLED)
        tls.mbedtls_ssl_conf_session_tickets(conf, c.DISABLED)
        tls.mbedtls_ssl_conf_encrypt_then_mac(conf, bytes([c.DISABLED]))
        tls.mbedtls_ssl_conf_export_keys_ext_cb(conf, to_export, None)
        results = [tls.mbedtls_ssl_conf_own_cert(conf, self._chain.certificate, self._chain.key)]
        self._cookie_callbacks = self._use_cookies()
        results.append(tls.mbedtls_ssl_setup(ssl, conf))
        tls.mbedtls_ssl_set_mtu(ssl, MTU)
        tls.mbedtls_ssl_set_bio(ssl, None, to_send, to_receive, None)
        tls.mbedtls_ssl_set_timer_cb(ssl, None, to_set_timer, to_get_timer)
        if self._server:
            results.append(tls.mbedtls_ssl_set_client_transport_id(ssl, self._server[1], len(self._server[1])))
        if any(results):
            raise MemoryError(f"Mbed TLS cannot set up a session: {results}")

    def _use_cookies(self) -> tuple[object, ...]:
        if not self._server:
            return ()
        jar, client = self._server

        def write(_context: int | None, at: ctypes._Pointer[ctypes.c_void_p], end: int, _id: int, _size: int) -> int:
            cookie, start = jar.cookie(client), at[0]
            if end - start < len(cookie):
                return -1
            ctypes.memmove(start, cookie, len(cookie))
            at[0] = start + len(cookie)
            return 0

        def check(_context: int | None, cookie: int, size: int, _id: int, _id_size: int) -> int:
            return 0 if jar.is_valid(client, ctypes.string_at(cookie, size)) else -1

        callbacks = c.CookieWriteCallback(write), c.CookieCheckCallback(check)
        c.tls.mbedtls_ssl_conf_dtls_cookies(self._config, *callbacks, None)
        return callbacks

    def _send(self, datagram: bytes) -> int:
        for record in records.split(datagram):
            self._alert_sent |= record.kind == records.ALERT
            self._verified |= records.is_client_hello(record) and record.fragment[4:6] != b"\0\0"
            self.keys_sent |= self._server is None and record.kind == records.CHANGE_CIPHER_SPEC
        self.outgoing.append(datagram)
        return len(datagram)

    def _receive(self, target: int, size: int) -> int:
        record, self._pending = self._pending, None
        if record is None or len(record) > size:
            return c.WANT_READ
        ctypes.memmove(target, record, len(record))
        return len(record)


def _of(reference: weakref.ref[Session]) -> Session:
    session = reference()
    if session is None:
        raise RuntimeError("the C library called back for a session that is gone")
    return session


def _free(ssl: object, config: object, chain: Chain) -> None:
    c.tls.mbedtls_ssl_free(ssl)
    c.tls.mbedtls_ssl_config_free(config)
    chain.free()
