"""DTLS sessions over datagrams: sans-I/O, on virtual time, with randomness from the node (DTL-1 to DTL-6).

A `Session` is one association, client or server, from the first flight to its end. It is fed one record at a time,
because only then is it known which record number stood behind what the library reports (SES-8).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import hmac
import weakref
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
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
_plaintext = ctypes.create_string_buffer(_LARGEST_PLAINTEXT)
"""Where the library writes what it reads; zeroised after each record."""


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
        self._ssl = c.room()
        c.tls.mbedtls_ssl_init(self._ssl)
        chain = credentials.chain()
        configuration = self._configure(chain, suite)
        self._free = weakref.finalize(self, _free, self._ssl, configuration, chain)
        self._set_up(configuration)

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
            written = self._run(c.tls.mbedtls_ssl_write, piece, len(piece))
            if written != len(piece):
                raise RuntimeError(f"mbedtls_ssl_write took {written} of {len(piece)} bytes")

    def say_goodbye(self) -> None:
        """Send a close_notify."""
        self._run(c.tls.mbedtls_ssl_close_notify)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _run(self, function: Callable[..., int], *arguments: object) -> int:
        """Let the library work on this session, for which it will call back."""
        before = _turn.set(self)
        try:
            return function(self._ssl, *arguments)
        finally:
            _turn.reset(before)

    def _authenticates(self, record: records.Record) -> bool:
        """Whether a record of epoch 1 is authentic and new, as far as there are keys for it."""
        copy = ctypes.create_string_buffer(record.raw, len(record.raw))  # the check decrypts in place
        return record.epoch == 1 and c.tls.mbedtls_ssl_check_record(self._ssl, copy, len(record.raw)) == 0

    def _feed_handshake(self, record: records.Record) -> Happening:
        if records.is_malformed(record):
            return NOTHING  # unseen, so that its number is not used up
        wants_cookie = self._server is None and not self._verified
        if record.kind == records.HANDSHAKE and wants_cookie != (record.message == records.HELLO_VERIFY_REQUEST):
            return NOTHING  # DTL-3: a HelloVerifyRequest comes first, to a client, and only once
        if records.is_refused(record, self.server_hello_done_seq):
            return self._fail()
        self._pending = record.raw
        happening = self._handshake()
        self._pending = None
        if happening.kind is Kind.ESTABLISHED:
            self._expected = record.seq + 1
        return happening

    def _handshake(self) -> Happening:
        result = self._run(c.tls.mbedtls_ssl_handshake)
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
            self._run(c.tls.mbedtls_ssl_send_alert_message, c.ALERT_FATAL, c.ALERT_HANDSHAKE_FAILURE)
        return Happening(Kind.FAILED)

    def _read(self, record: records.Record) -> Happening:
        self._pending = record.raw
        result = self._run(c.tls.mbedtls_ssl_read, _plaintext, _LARGEST_PLAINTEXT)
        self._pending = None
        in_order = record.seq == self._expected
        data = ctypes.string_at(_plaintext, max(result, 0))
        ctypes.memset(_plaintext, 0, max(result, 0))
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

    def _configure(self, chain: Chain, suite: int) -> Configuration:
        """The configuration for this session, made at the first such session and kept with the credential set."""
        key = self._drbg, suite, self._server is not None, self._limits
        if (made := chain.configurations.get(key)) is None:
            made = chain.configurations[key] = Configuration(chain, *key)
        return made

    def _set_up(self, configuration: Configuration) -> None:
        ssl, tls = self._ssl, c.tls
        results = [tls.mbedtls_ssl_setup(ssl, configuration.config)]
        tls.mbedtls_ssl_set_mtu(ssl, MTU)
        tls.mbedtls_ssl_set_bio(ssl, None, _send, _receive, None)
        self._run(tls.mbedtls_ssl_set_timer_cb, None, _set_timer, _get_timer)
        if self._server:
            results.append(tls.mbedtls_ssl_set_client_transport_id(ssl, self._server[1], len(self._server[1])))
        if any(results):
            raise MemoryError(f"Mbed TLS cannot set up a session: {results}")

    def _send(self, datagram: bytes) -> None:
        for record in records.split(datagram):
            if record.kind == records.ALERT:
                self._alert_sent = True
            elif record.kind == records.CHANGE_CIPHER_SPEC:
                self.keys_sent |= self._server is None
            elif records.is_client_hello(record):
                self._verified |= record.fragment[4:6] != b"\0\0"
        self.outgoing.append(datagram)


def _free(ssl: object, _configuration: Configuration, _chain: Chain) -> None:
    c.tls.mbedtls_ssl_free(ssl)


class Configuration:
    """What the sessions of one node in one role with one credential set have in common; they only read it."""

    def __init__(self, chain: Chain, drbg: Drbg, suite: int, server: bool, limits: tuple[int, int]) -> None:
        """Raises MemoryError if the library has none."""
        self._drbg = drbg  # the library has it by address; the chain, too, which in its turn keeps this object
        self.config = c.room()
        conf, tls = self.config, c.tls
        tls.mbedtls_ssl_config_init(conf)
        weakref.finalize(self, tls.mbedtls_ssl_config_free, conf)
        tls.mbedtls_ssl_config_defaults(
            conf, c.IS_SERVER if server else c.IS_CLIENT, c.TRANSPORT_DATAGRAM, c.PRESET_DEFAULT
        )
        tls.mbedtls_ssl_conf_min_version(conf, c.MAJOR_VERSION_3, c.MINOR_VERSION_3)
        tls.mbedtls_ssl_conf_max_version(conf, c.MAJOR_VERSION_3, c.MINOR_VERSION_3)
        tls.mbedtls_ssl_conf_ciphersuites(conf, _only(suite))
        tls.mbedtls_ssl_conf_curves(conf, _CURVES)
        tls.mbedtls_ssl_conf_sig_hashes(conf, _HASHES)
        tls.mbedtls_ssl_conf_authmode(conf, c.VERIFY_REQUIRED)
        tls.mbedtls_ssl_conf_verify(conf, _verify, None)
        tls.mbedtls_ssl_conf_rng(conf, c.draw_from_drbg, drbg.context)
        tls.mbedtls_ssl_conf_ca_chain(conf, chain.ca, None)
        tls.mbedtls_ssl_conf_handshake_timeout(conf, *limits)
        tls.mbedtls_ssl_conf_dtls_anti_replay(conf, bytes([c.ENABLED]))
        tls.mbedtls_ssl_conf_renegotiation(conf, c.DISABLED)
        tls.mbedtls_ssl_conf_session_tickets(conf, c.DISABLED)
        tls.mbedtls_ssl_conf_encrypt_then_mac(conf, bytes([c.DISABLED]))
        tls.mbedtls_ssl_conf_export_keys_ext_cb(conf, _export, None)
        if server:
            tls.mbedtls_ssl_conf_dtls_cookies(conf, _write_cookie, _check_cookie, None)
        if failed := tls.mbedtls_ssl_conf_own_cert(conf, chain.certificate, chain.key):
            raise MemoryError(f"Mbed TLS cannot set up a session: {failed}")


# --- what the library calls -------------------------------------------------------------------------------------------
#
# It has them by address, for as long as the process lives; whose turn it is in this thread says `_turn`.

_turn: ContextVar[Session | None] = ContextVar("_turn", default=None)
_CURVES = (ctypes.c_int * 2)(c.ECP_DP_SECP256R1, 0)
_HASHES = (ctypes.c_int * 3)(c.MD_SHA256, c.MD_SHA384, 0)


@functools.cache
def _only(suite: int) -> ctypes.Array[ctypes.c_int]:
    return (ctypes.c_int * 2)(suite, 0)


def _session() -> Session:
    session = _turn.get()
    if session is None:
        raise RuntimeError("the C library called back for a session, and none runs")
    return session


def _on_send(_context: int | None, data: int, size: int) -> int:
    _session()._send(ctypes.string_at(data, size))
    return size


def _on_receive(_context: int | None, target: int, size: int) -> int:
    session = _session()
    record, session._pending = session._pending, None
    if record is None or len(record) > size:
        return c.WANT_READ
    ctypes.memmove(target, record, len(record))
    return len(record)


def _on_set_timer(_context: int | None, intermediate: int, final: int) -> None:
    session = _session()
    if final and session._timer and session._now < session._timer[1]:
        return  # an answered repeat: the timer runs on (section 4, pinned under DTL-6)
    session._timer = (session._now + intermediate, session._now + final) if final else None


def _on_get_timer(_context: int | None) -> int:
    session = _session()
    if session._timer is None:
        return -1
    intermediate, final = session._timer
    return 2 if session._now >= final else int(session._now >= intermediate)


def _on_verify(_context: int | None, certificate: int, depth: int, flags: ctypes._Pointer[ctypes.c_uint32]) -> int:
    flags[0] &= ~(c.BADCERT_EXPIRED | c.BADCERT_FUTURE)  # those are the wall clock's opinion
    session = _session()
    flags[0] |= session._peer.faults(certificate_der(certificate), leaf=depth == 0)
    session.faults |= flags[0]
    return 0


def _on_export(
    _context: int | None, master: int, _block: int, _mac: int, _key: int, _iv: int, random: int, _r: int, _p: int
) -> int:
    _session().secrets.append((ctypes.string_at(random, 32), ctypes.string_at(master, 48)))
    return 0


def _on_write_cookie(_context: int | None, at: ctypes._Pointer[ctypes.c_void_p], end: int, _id: int, _size: int) -> int:
    server, start = _session()._server, at[0]
    cookie = server[0].cookie(server[1]) if server else b""
    if not cookie or end - start < len(cookie):
        return -1
    ctypes.memmove(start, cookie, len(cookie))
    at[0] = start + len(cookie)
    return 0


def _on_check_cookie(_context: int | None, cookie: int, size: int, _id: int, _id_size: int) -> int:
    server = _session()._server
    return 0 if server and server[0].is_valid(server[1], ctypes.string_at(cookie, size)) else -1


_send = c.SendCallback(_on_send)
_receive = c.RecvCallback(_on_receive)
_set_timer = c.SetTimerCallback(_on_set_timer)
_get_timer = c.GetTimerCallback(_on_get_timer)
_verify = c.VerifyCallback(_on_verify)
_export = c.KeysCallback(_on_export)
_write_cookie = c.CookieWriteCallback(_on_write_cookie)
_check_cookie = c.CookieCheckCallback(_on_check_cookie)


def _library_time() -> int:
    session = _turn.get()
    return session._time() if session else c.wall_clock()


c.time_source = _library_time
