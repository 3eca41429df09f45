"""A SED's controller: the hardened profile of the protocol page, between three byte streams.

Sans-I/O: `receive` and `on_time` take the time in milliseconds, `outgoing` gives whole frames, and nothing here reads a
clock or the operating system's randomness. Every byte it sends follows from its image, the boot entropy and its inputs.

The order of work is that of the rules. Bytes become frames, a datagram becomes records, and after each record, frame or
timer `_settle` does what happens by itself: a message put aside goes first, then the CPU's next frame is looked at.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum

from model.alphabet import BROADCAST, FAA_ID, LOWEST_SED_ID, MAX_MESSAGE, REFUSED, REGISTER, SSS_ID, Link
from reference import records
from reference.credentials import Credentials, CredentialsError, Peer, check
from reference.dialect import STANDARD, Dialect
from reference.dtls import AES_256, MTU, CookieJar, Happening, Kind, Session
from reference.endings import GAP, Doing, Ending, How, failure
from reference.frame import Frame, FrameReader
from reference.image import ProvisioningError, parse_image
from reference.randomness import Drbg
from reference.records import Record
from reference.registration import Request, Response, ResponseReader

_ENDINGS = 64
"""Kept for whoever asks; older ones are forgotten."""


class State(StrEnum):
    """SES-1."""

    IDLE = "IDLE"
    SENDING_MESSAGE = "SENDING_MESSAGE"
    RECEIVING_MESSAGE = "RECEIVING_MESSAGE"
    TALKING_TO_SSS = "TALKING_TO_SSS"
    FATAL_ERROR = "FATAL_ERROR"


@dataclass(frozen=True, slots=True)
class _Message:
    """A message of the own CPU on its way. `unyielding`: it was put aside once in vain (section 5, pinned 5)."""

    to: int
    payload: bytes
    unyielding: bool = False


class Controller:
    """One SED controller. Not for several threads."""

    def __init__(self, image: bytes, *, boot_entropy: bytes = b"", dialect: Dialect = STANDARD) -> None:
        """Start from a provisioning image. An unusable one leads to FATAL_ERROR, with its name in `fatal` (SES-12).

        `boot_entropy` is mixed with the image's boot seed (ADV-3). `dialect` is what the deployment has settled
        differently; of the protocol page's suites the image's own one counts.
        """
        self.fatal: str | None = None
        """Why the controller is in FATAL_ERROR."""
        try:
            parsed = parse_image(image, dialect)
        except ProvisioningError as error:
            self._prepare(0, Credentials(b"", b"", bytearray()), b"", AES_256, dialect)
            self.state = State.FATAL_ERROR
            self.fatal = error.name
        else:
            self._prepare(parsed.sed_id, parsed.credentials, parsed.boot_seed + boot_entropy, parsed.suite, dialect)

    @classmethod
    def from_credentials(
        cls, sed_id: int, credentials: Credentials, seed: bytes, *, suite: int = AES_256, dialect: Dialect = STANDARD
    ) -> Controller:
        """A controller with any provisioning set, unchecked: a peer with a wrong CN or of another CA, for tests."""
        controller = cls.__new__(cls)
        controller.fatal = None
        controller._prepare(sed_id, credentials, seed, suite, dialect)
        return controller

    def _prepare(self, sed_id: int, provisioning: Credentials, seed: bytes, suite: int, dialect: Dialect) -> None:
        self.sed_id = sed_id
        self.state = State.IDLE
        self._dropped: Counter[str] = Counter()
        self._suite, self._dialect = suite, dialect
        self._provisioning = provisioning
        self._runtime: Credentials | None = None
        self._drbg = Drbg(seed, struct.pack("<3sH", b"sed", sed_id))
        self._cookies = CookieJar(self._drbg)
        self._cpu = FrameReader(MAX_MESSAGE)
        self._wires = {
            Link.RADIO: FrameReader(lambda header: MAX_MESSAGE if header.source == FAA_ID else MTU),
            Link.SSS: FrameReader(MTU),
        }
        self._outgoing: list[tuple[Link, bytes]] = []
        self._secrets: list[tuple[bytes, bytes]] = []
        self._endings: deque[Ending] = deque(maxlen=_ENDINGS)
        self._session: Session | None = None
        self._peer = 0
        self._served_random = b""
        self._message: _Message | None = None
        self._aside: _Message | None = None
        self._collected = bytearray()
        self._request = Request(0, 0)
        self._response = ResponseReader(self._request, sed_id, wide=dialect.wide_response)
        self._idle_deadline: int | None = None

    # --- the boundary ------------------------------------------------------------------------------------------------

    @property
    def authority(self) -> bytes:
        """The provisioning CA certificate, DER."""
        return self._provisioning.ca

    @property
    def certificate(self) -> bytes:
        """The own provisioning certificate, DER."""
        return self._provisioning.certificate

    @property
    def suite(self) -> int:
        """The number of the deployment's cipher suite (DTL-2)."""
        return self._suite

    @property
    def dialect(self) -> Dialect:
        """What the deployment has settled differently."""
        return self._dialect

    @property
    def registered(self) -> bool:
        """Whether the runtime set is in force (CRT-3)."""
        return self._runtime is not None

    @property
    def counters(self) -> dict[str, int]:
        """What was dropped without a trace on any link.

        `cpu-other`: CPU frames for nobody (FRM-6); `hello`, `record`: of no session; `start`: sessions that could not
        be set up; `oversize`: frames (FRM-2); `skipped`: bytes that belonged to no frame (FRM-1).
        """
        readers = (self._cpu, *self._wires.values())
        counts = {name: self._dropped[name] for name in ("cpu-other", "hello", "record", "start")}
        return counts | {"oversize": sum(r.oversize for r in readers), "skipped": sum(r.skipped for r in readers)}

    def receive(self, link: Link, data: bytes, now: int) -> None:
        """Take bytes of a stream, frames or parts of them; what is due at `now` happens first. Never raises."""
        if self.state is State.FATAL_ERROR:
            return
        self.on_time(now)
        if link is Link.CPU:
            self._cpu.feed(data)
        else:
            self._wires[link].feed(data)
            while frame := self._wires[link].next():
                if link is Link.RADIO:
                    self._take_radio(frame, now)
                else:
                    self._take_wire(frame, now)
        self._settle(now)

    def on_time(self, now: int) -> None:
        """Let the timers fire that are due at `now`."""
        while (deadline := self.deadline()) is not None and deadline <= now:
            self._stir(now, b"")
            self._on_deadline(now)
            self._settle(now)

    def deadline(self) -> int | None:
        """When `on_time` is needed next, in milliseconds; None if no timer is armed."""
        if self._idle_deadline is not None:
            return self._idle_deadline
        return self._session.deadline if self._session else None

    def outgoing(self) -> list[tuple[Link, bytes]]:
        """The frames to send, in order; they are handed out once."""
        out, self._outgoing = self._outgoing, []
        return out

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New pairs of client_random and master secret, for a key log; they are handed out once."""
        out, self._secrets = self._secrets, []
        return out

    def endings(self) -> list[Ending]:
        """The sessions that ended, in order; they are handed out once."""
        out = list(self._endings)
        self._endings.clear()
        return out

    @property
    def unread(self) -> int:
        """Bytes of the CPU that it has taken and not looked at yet, because it is busy (SES-5)."""
        return self._cpu.waiting

    def unplug(self, link: Link) -> None:
        """The radio or the SSS wire was pulled out: half a frame that came on it is not continued."""
        self._wires[link].forget()

    def switch_off(self) -> None:
        """Power off: the session is dropped without a word, keys are zeroised. No further use."""
        self._leave()
        self._aside = None
        for credentials in (self._provisioning, self._runtime):
            if credentials:
                credentials.wipe()
        self._runtime = None

    # --- frames ------------------------------------------------------------------------------------------------------

    def _take_radio(self, frame: Frame, now: int) -> None:
        if frame.source == FAA_ID:
            if frame.target in (self.sed_id, BROADCAST):
                self._outgoing.append((Link.CPU, frame.encode()))  # FRM-5
            return
        if frame.target != self.sed_id or frame.source == self.sed_id or frame.source < LOWEST_SED_ID:
            return  # FRM-3, and broadcasts of others
        self._stir(now, frame.encode())
        for record in records.split(frame.payload):
            if records.is_client_hello(record):
                self._take_hello(frame.source, record, now)
            elif frame.source == self._peer:
                self._take_record(record, now)
            else:
                self._dropped["record"] += 1  # of no session, or of the one with the SSS on the other link (SES-5)
        self._settle(now)  # not sooner: what is left of a datagram that ended a session is not of the next one

    def _take_wire(self, frame: Frame, now: int) -> None:
        self._stir(now, frame.encode())
        for record in records.split(frame.payload):
            to_us = frame.source == SSS_ID and frame.target == self.sed_id
            if to_us and self.state is State.TALKING_TO_SSS and not records.is_client_hello(record):
                self._take_record(record, now)
            else:
                self._dropped["record"] += 1  # SES-5
        self._settle(now)

    def _settle(self, now: int) -> None:
        """Do what happens by itself: resume the message put aside (SES-9), then see what the CPU's frame may do."""
        while True:
            if self.state is State.IDLE and self._aside:
                message, self._aside = self._aside, None
                self._open_message(message, now)
                continue
            header = self._cpu.header()
            if header is None:
                return
            oversize = self._cpu.is_oversize(header)
            if not oversize and not self._cpu.is_whole(header):
                return
            if self.state is not State.IDLE and (oversize or header.target != FAA_ID):
                if not self._gives_way():
                    return  # the body stays unread (SES-5)
                self._end(How.GAVE_WAY, "the own CPU has something to say")  # ADV-1, without a word
                continue
            if oversize:
                self._cpu.drop_oversize(header)  # FRM-2
                continue
            frame = self._cpu.next()
            if frame is None:
                return
            self._take_cpu(frame, now)

    def _gives_way(self) -> bool:
        """Serving a handshake that made no progress for one retransmission period (ADV-1)."""
        return self._is_unproved() and self._session is not None and self._session.timeouts > 0

    def _own_waits(self) -> bool:
        """Something of our own waits for the session's end: a message put aside (pinned 5), or a CPU frame (ADV-1)."""
        header = self._cpu.header()
        at_hand = header is not None and (self._cpu.is_oversize(header) or self._cpu.is_whole(header))
        return self._aside is not None or at_hand

    def _take_cpu(self, frame: Frame, now: int) -> None:
        if frame.target == FAA_ID:
            self._outgoing.append((Link.RADIO, frame.encode()))  # FRM-5
            return
        self._stir(now, frame.encode())
        if frame.target == SSS_ID:
            self._open_request(frame.payload, now)
        elif frame.target in (BROADCAST, self.sed_id):
            self._dropped["cpu-other"] += 1  # FRM-6
        else:
            self._open_message(_Message(frame.target, frame.payload), now)

    # --- sessions begin ----------------------------------------------------------------------------------------------

    def _open_message(self, message: _Message, now: int) -> None:
        """SES-2."""
        if self._open_client(message.to, State.SENDING_MESSAGE, now):
            self._message = message
        else:
            self._endings.append(Ending(Doing.SENDING, message.to, How.BROKEN, "no session could be set up"))

    def _open_request(self, payload: bytes, now: int) -> None:
        """SES-4. The runtime set is gone from here on, whatever comes of it (CRT-4)."""
        if self._runtime:
            self._runtime.wipe()
            self._runtime = None
        request = Request.decode(payload)
        if request is None or not self._open_client(SSS_ID, State.TALKING_TO_SSS, now):
            self._answer(REFUSED)
            return
        wide = self._dialect.wide_response
        self._request, self._response = request, ResponseReader(request, self.sed_id, wide=wide)

    def _open_client(self, peer: int, state: State, now: int) -> bool:
        """Start a client session; False, and IDLE as before, if that fails (SES-11)."""
        session = self._new_session(peer, server=False)
        if session is None:
            return False
        self._enter(session, peer, state)
        self._advance(session.start(now), now)
        return True

    def _take_hello(self, source: int, record: Record, now: int) -> None:
        """A ClientHello opens, repeats or replaces a session, asks for a cookie, or is dropped (SES-5, pinned 4)."""
        hello = records.client_hello(record)
        if hello is None:
            self._dropped["hello"] += 1
            return
        valid = self._cookies.is_valid(str(source).encode(), hello.cookie)
        idle, unproved = self.state is State.IDLE, self._is_unproved()
        glare = self._is_unanswered() and source < self.sed_id
        if not valid and (idle or unproved or glare):
            cookie = self._cookies.cookie(str(source).encode())
            self._send(source, [records.hello_verify_request(record, hello, cookie)])  # SES-6: without any state
        elif valid and unproved and source == self._peer and hello.random == self._served_random:
            self._take_record(record, now)  # flight 3 again
        elif valid and idle:
            self._serve(source, record, hello.random, now)
        elif valid and glare and self._message and not self._message.unyielding:
            message = self._message
            if self._serve(source, record, hello.random, now):
                self._aside = message  # SES-9
        elif valid and unproved and source == self._peer and not self._own_waits():
            self._serve(source, record, hello.random, now)  # the peer started over
        elif valid and source != self._peer and self._gives_way():
            self._serve(source, record, hello.random, now)  # ADV-1
        else:
            self._dropped["hello"] += 1

    def _serve(self, source: int, record: Record, random: bytes, now: int) -> bool:
        """Feed a ClientHello with a valid cookie to a fresh server; if it takes it, that is the session from now on."""
        candidate = self._new_session(source, server=True)
        if candidate is None:
            return False
        happening = candidate.receive(record, now)
        if happening.kind is Kind.NOTHING and candidate.outgoing:
            self._leave()
            self._enter(candidate, source, State.RECEIVING_MESSAGE)
            self._served_random = random
            self._flush()
            return True
        self._send(source, candidate.outgoing)  # refused with an alert
        candidate.close()
        return False

    def _new_session(self, peer: int, *, server: bool) -> Session | None:
        runtime = self._runtime  # CRT-3; there is none when the SSS is asked (CRT-2, CRT-4)
        cn = str(peer) if peer == SSS_ID or runtime else self._dialect.cn_pattern.format(id=peer)
        jar = (self._cookies, str(peer).encode()) if server else None
        try:
            return Session(
                runtime or self._provisioning,
                Peer(cn, is_rsa=self._dialect.rsa),
                self._drbg,
                suite=self._suite,
                server=jar,
                timeouts=(self._dialect.first_timeout, self._dialect.last_timeout),
            )
        except (MemoryError, CredentialsError):
            self._dropped["start"] += 1
            return None

    def _enter(self, session: Session, peer: int, state: State) -> None:
        self._session, self._peer, self.state = session, peer, state

    # --- sessions go on ----------------------------------------------------------------------------------------------

    def _is_unproved(self) -> bool:
        """Serving a handshake whose Finished has not come."""
        return self.state is State.RECEIVING_MESSAGE and not (self._session and self._session.established)

    def _is_unanswered(self) -> bool:
        """Sending, and the peer's flight 4 has not come (section 5, pinned 3)."""
        return self.state is State.SENDING_MESSAGE and not (self._session and self._session.keys_sent)

    def _take_record(self, record: Record, now: int) -> None:
        session = self._session
        next_record: Record | None = record
        while session and session is self._session and next_record:
            self._advance(session.receive(next_record, now), now)
            next_record = session.take_held() if session is self._session else None

    def _advance(self, happening: Happening, now: int) -> None:
        """Act on what a record or a timer did to the session."""
        self._flush()
        session, kind = self._session, happening.kind
        if session is None or kind is Kind.NOTHING:
            return
        if kind is Kind.ALERTED:
            self._end(How.REFUSED, "the other side sent a fatal alert", failed=True)
        elif kind is Kind.FAILED:
            self._end(*failure(session), failed=True)
        elif self.state is State.SENDING_MESSAGE:
            if kind is Kind.ESTABLISHED and self._message:
                session.write(self._message.payload)
                self._end(How.DONE, goodbye=True)
        elif kind is Kind.ESTABLISHED:
            self._idle_deadline = now + self._dialect.idle_timeout
            if self.state is State.TALKING_TO_SSS:
                session.write(self._request.encode())
                self._flush()
        elif kind is Kind.CLOSED:
            message = bytes(self._collected) if happening.in_order else None
            peer, receiving = self._peer, self.state is State.RECEIVING_MESSAGE
            if not receiving:
                self._end(How.REFUSED, "it closed the session before its answer was whole", goodbye=True, failed=True)
            elif message is None:
                self._end(How.BROKEN, GAP, goodbye=True)
            else:
                self._end(How.DONE, goodbye=True)
            if receiving and message is not None:
                self._outgoing.append((Link.CPU, Frame(self.sed_id, peer, message).encode()))
        elif not happening.in_order:
            self._end(How.BROKEN, GAP, goodbye=True, failed=True)  # SES-8
        else:
            self._idle_deadline = now + self._dialect.idle_timeout
            if kind is Kind.DATA:
                self._take_data(happening.data)

    def _take_data(self, data: bytes) -> None:
        if self.state is State.TALKING_TO_SSS:
            verdict = self._response.feed(data)
            if isinstance(verdict, Response):
                good = self._act_on(verdict)
                if good:
                    self._end(How.DONE, goodbye=True)
                else:
                    self._end(How.REFUSED, "the certificate or the key in the answer is no good", goodbye=True)
                self._answer(self._request.op if good else REFUSED)
            elif not verdict:
                self._end(How.REFUSED, "it did not grant the request", goodbye=True, failed=True)
        elif len(self._collected) + len(data) > MAX_MESSAGE:
            self._end(How.BROKEN, f"the message has more than {MAX_MESSAGE:,} bytes", goodbye=True)  # SES-10
        else:
            self._collected += data

    def _act_on(self, response: Response) -> bool:
        """Bring a registration's credentials into force if all of them are usable (CRT-5)."""
        if response.op != REGISTER:
            return True
        credentials = Credentials(response.ca, response.certificate, bytearray(response.key))
        try:
            check(credentials, str(self.sed_id), is_rsa=self._dialect.rsa)
        except CredentialsError:
            credentials.wipe()
            return False
        self._runtime = credentials
        return True

    def _on_deadline(self, now: int) -> None:
        if self._idle_deadline is not None:
            self._end(How.SILENCE, "the session made no progress", goodbye=True, failed=True)  # SES-7
        elif self._is_unproved() and self._own_waits():
            self._end(How.GAVE_WAY, "the own CPU has something to say")  # without a word (decision 0007)
        elif self._session:
            self._advance(self._session.on_time(now), now)

    # --- sessions end ------------------------------------------------------------------------------------------------

    def _end(self, how: How, why: str = "", *, goodbye: bool = False, failed: bool = False) -> None:
        """End the session and be IDLE. `failed`: whoever asked for the SSS is told so (REG-4)."""
        if self._session and goodbye:
            self._session.say_goodbye()
            self._flush()
        if self._aside:  # an unproved peer uses up the right to yield, one that proved itself renews it (pinned 5)
            self._aside = _Message(self._aside.to, self._aside.payload, unyielding=self._is_unproved())
        self._endings.append(Ending(Doing(self.state), self._peer, how, why))
        talked = self.state is State.TALKING_TO_SSS
        self._leave()
        if talked and failed:
            self._answer(REFUSED)

    def _leave(self) -> None:
        """Drop the session without a word, and all that belongs to it."""
        if self._session:
            self._flush()
            self._session.close()
        self._session, self._peer, self.state = None, 0, State.IDLE
        self._idle_deadline = None
        self._message = None
        self._served_random = b""
        self._collected[:] = bytes(len(self._collected))
        self._collected.clear()
        self._response.wipe()

    def _answer(self, op: int) -> None:
        """The CPU's one answer to its request (REG-4)."""
        self._outgoing.append((Link.CPU, Frame(self.sed_id, SSS_ID, Request(self.sed_id, op).encode()).encode()))

    def _flush(self) -> None:
        if self._session:
            self._send(self._peer, self._session.outgoing)
            self._session.outgoing.clear()
            self._secrets += self._session.secrets
            self._session.secrets.clear()

    def _send(self, peer: int, datagrams: list[bytes]) -> None:
        link = Link.SSS if peer == SSS_ID else Link.RADIO
        self._outgoing += ((link, Frame(peer, self.sed_id, datagram).encode()) for datagram in datagrams)

    def _stir(self, now: int, frame: bytes) -> None:
        """All that comes in, and when, goes into the generator (ADV-3)."""
        self._drbg.stir(now.to_bytes(8, "little") + frame)
