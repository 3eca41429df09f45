"""One wire of the SSS under judgement: bytes to the alphabet of `model.rules.sss`, and what its rules allow.

The bytes are read by the judge's own abstraction, as those of any server. What the rules do not speak of loses the
thread, and nothing is said about the wire before its session is over or a new one begins: data that is not one request
of four bytes, what comes after the request, authenticated alerts. `docs/watching.md` has the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conformance.abstraction.inbound import datagram_events
from conformance.abstraction.memory import Memory
from conformance.abstraction.outbound import Outbound
from conformance.abstraction.registration import HEADER, WIDE, judge_response
from conformance.results import Divergence
from conformance.watching.happenings import Device, Ended, Happening, Settled, SssFacts, Took, WireMoment
from conformance.watching.reasons import Wrong, describe_wire, divergence
from conformance.watching.ways import Said, Way, ways_of
from conformance.wire.frames import Frame
from conformance.wire.secrets import KeyLog, SessionKeys
from model.alphabet import PLAINTEXT, REFUSED, REGISTER, SSS_ID, Ca, Event
from model.rules.base import Rule
from model.rules.sss import GONE, Wire
from model.state import Step

_REQUEST: Final = 4
"""Bytes of a request (protocol page, section 6)."""
_HAPPENED: Final[dict[type, str]] = {Took: "a frame", Settled: "the decision was kept"}
"""A step without an event, in words."""


@dataclass
class WireJudge:
    """Judges one wire, step by step."""

    facts: SssFacts
    keylog: KeyLog
    cookies: dict[int, set[bytes]]
    """Those that the SSS gave, by device: they are good on any wire."""
    steps: int = 0
    events: tuple[Event, ...] = ()
    said: tuple[Said, ...] = ()
    """Of the latest step, for whoever writes it down; as `rules` are."""
    key: bytes = b""
    """The key of the runtime certificate that the latest step gave out."""
    _memory: Memory = field(init=False)
    _now: int = 0
    _device: int = 0
    _lost: bool = False
    _owed: tuple[Said, tuple[Rule, ...]] | None = None
    _date: datetime = datetime.min
    _asked: int = 0
    _last_key: bytes = b""
    _taken: Sequence[Way] = ()

    def __post_init__(self) -> None:
        self._memory = Memory(self.facts.identity, self.keylog, cookies=self.cookies)
        self._outbound = Outbound(self._memory)
        self.states: tuple[Wire, ...] = (Wire(),)

    @property
    def rests(self) -> bool:
        """Whether no session is on it, beyond doubt."""
        return not self._lost and self._owed is None and all(s.step == Step.NONE for s in self.states)

    @property
    def rules(self) -> tuple[str, ...]:
        """The ids of the rules by which the latest step is explained; none if the thread is lost."""
        return tuple(dict.fromkeys(r.id for w in self._taken for r in w.rules))

    @property
    def device(self) -> int:
        """Whose session is, or was last, on the wire; 0: nobody's yet."""
        return self._device

    def session_keys(self, device: int) -> SessionKeys | None:
        """What opens the records of the device's session, for people to read."""
        session = self._memory.sessions.get(device)
        return session.keys if session else None

    def describe(self) -> list[str]:
        """The states that it may be in, in words; none if the thread is lost."""
        return [] if self._lost else [describe_wire(s, self._device) for s in self.states]

    def step(self, moment: WireMoment) -> Divergence | None:
        """Judge one step, whose secrets are in the key log already. Returns what is wrong, None if nothing is. Go on
        with a new judge after that.
        """
        now, what, deadline, registered = moment.now, moment.what, moment.deadline, moment.registered
        self.steps += 1
        ways = self._pass(now)
        if isinstance(what, Took | Settled):
            self._last_key = what.device.last_key
        if isinstance(what, Took):
            ways = self._took(ways, what)
            outputs = self._outputs(moment.frames, what.frame.source)
        else:
            self.events = ()
            outputs = self._outputs(moment.frames, self._device)
            ways = self._settled(ways, what) if isinstance(what, Settled) else self._ended(ways, what)
        self.said = outputs
        if self._lost:
            if moment.alone:
                self._lost, self._owed, ways = False, None, [Way(Wire(registered=int(registered)))]
            self.states, self._taken = (ways[0].state,), ()
            return None
        agreeing = [w for w in ways if w.said == outputs]
        timely = [w for w in agreeing if (now + w.state.timer if w.state.timer else None) == deadline]
        right = [w for w in timely if self._stands(w.state, what, registered)]
        self._taken = right or timely or agreeing or ways
        self.states = tuple(dict.fromkeys(w.state for w in self._taken))
        self._memory.forget_sessions({self._device} if any(s.step for s in self.states) else set())
        if all(s.step != Step.LISTEN for s in self.states):
            self._owed = None
        if right:
            if self.rests:
                self._memory.rest()
            return None
        wrong: Wrong = "registered" if timely else "timer" if agreeing else "said"
        stimulus = ", ".join(map(str, self.events)) or _HAPPENED.get(type(what), "time passed")
        return divergence(
            wrong,
            timely or agreeing or ways,
            outputs,
            deadline,
            step=self.steps - 1,
            now=now,
            device=self._device,
            stimulus=stimulus,
        )

    def _stands(self, state: Wire, what: Happening, registered: bool) -> bool:
        of_device = isinstance(what, Settled) or (isinstance(what, Took) and what.frame.source == self._device)
        return not of_device or bool(state.registered) == registered

    # --- what happened

    def _pass(self, now: int) -> list[Way]:
        """Time passes up to now."""
        ms, self._now = now - self._now, now
        ways = [Way(s) for s in self.states]
        if not ms or self._lost:
            return ways
        rules = ways_of(self.facts.timeouts, self.facts.replace)
        return [after for w in ways for after in rules.on(w, self._device, "time", (ms,))]

    def _took(self, ways: list[Way], took: Took) -> list[Way]:
        source, known = took.frame.source, took.device
        counts = int(known.registered)
        ways = [
            w if w.state.registered == counts else w._replace(state=w.state._replace(registered=counts)) for w in ways
        ]
        events = [] if took.frame.target != SSS_ID else datagram_events(self._memory, source, took.frame.payload)
        seen: list[Event] = []
        for event in events:
            if event.kind == "hello-cookie" and (source != self._device or _opens(ways, event.args[1])):
                if self._lost or source != self._device:
                    ways = [Way(Wire(registered=counts))]
                self._device, self._date, self._lost, self._owed = source, took.date, False, None
            of_session = source == self._device
            if self._lost or not (of_session or event.kind in ("hello", "hello-cookie")):
                continue
            read = self._read(event, ways)
            if read is None:
                self._lost = True
                continue
            seen.append(event)
            ways = [after for w in ways for after in self._after(w, read, source, known)]
        self.events = tuple(seen)
        if took.granted and not self._lost:
            ways = [self._deferred(w, known) for w in ways]
        return ways

    def _read(self, event: Event, ways: list[Way]) -> Event | None:
        """The event in the words of the SSS's rules; None if they have none for it."""
        state = ways[0].state
        match event.kind:
            case "hello" | "hello-cookie" | "flight5" | "forged" | "noise":
                return event
            case "certificate":
                return event
            case "repeat" if event.args[1] == 5:
                return event
            case "alert" if event.args[1] == PLAINTEXT or state.step == Step.ACCEPT:
                return event
            case "close":
                return event
            case "data":
                session = self._memory.sessions[self._device]
                _, seq, size = event.args
                gap = state.expect != seq
                if not state.answered and (gap or (size == len(session.collected) == _REQUEST)):
                    return event
                return None
            case "alert":
                return None
        return Event("noise", (event.args[0],))

    def _after(self, way: Way, event: Event, device: int, known: Device) -> list[Way]:
        """The ways on from one way by one event, which `_read` has passed."""
        if event.kind == "noise":
            return [way]
        if event.kind == "forged":  # as at a controller (DTL-7.forged): refused with an alert, or ignored
            if way.state.step != Step.ACCEPT:
                return [way]
            return [way, way._replace(state=way.state._replace(**GONE), said=(*way.said, ("alert", (device,))))]
        ways = self._ways(way, event, device, known)
        if event.kind == "close" and way.state.step == Step.LISTEN:  # the rules do not look at what nobody reads
            ways += [w._replace(said=(*w.said, ("close", (device,)))) for w in ways]
        return ways

    def _ways(self, way: Way, event: Event, device: int, known: Device) -> list[Way]:
        removed = known.removed or device not in self.facts.devices
        kind, arguments = self._arguments(event)
        rules = ways_of(self.facts.timeouts, self.facts.replace)
        return rules.on(way, device, kind, arguments, removed=removed, undecided=known.undecided)

    def _arguments(self, event: Event) -> tuple[str, tuple[int, ...]]:
        """A controller's event as the SSS's rules have it."""
        match event.kind, event.args:
            case "hello-cookie", (_, handshake):
                return event.kind, (handshake,)
            case "certificate", (source, ca, cn):
                return event.kind, (*self._shown(source, ca, cn),)
            case "flight5", (_, seq):
                return event.kind, (seq,)
            case "repeat", (_, number, seq):
                return event.kind, (number, seq)
            case "data", (source, seq, _):
                asked = bytes(self._memory.sessions[source].collected)[:_REQUEST].ljust(_REQUEST, b"\0")
                dev, self._asked = int.from_bytes(asked[:2], "little"), int.from_bytes(asked[2:], "little", signed=True)
                return "request", (seq, dev, self._asked)
        return event.kind, ()

    def _shown(self, source: int, ca: int, cn: int) -> tuple[int, int, int]:
        """Authority, name and key of the certificate: one that is out of date is nobody's (CRT-10)."""
        try:
            shown, begin, end = _facts_of(self._memory.sessions[source].peer_certificate)
        except ValueError:
            return Ca.OTHER, 0, 0
        valid = begin <= self._date <= end
        wanted = self.facts.devices.get(source)
        return ca if valid else Ca.OTHER, cn, source if shown == wanted else 0

    def _deferred(self, way: Way, known: Device) -> Way:
        """The answer waits until the decision is kept, and with it what it changes."""
        answers = [s for s in way.said if s[0] == "response"]
        self._owed = (answers[-1], way.rules) if answers else None
        state = way.state._replace(registered=int(known.registered))
        return way._replace(state=state, said=tuple(s for s in way.said if s[0] != "response"))

    def _settled(self, ways: list[Way], settled: Settled) -> list[Way]:
        if self._owed is None:
            return ways  # the session has gone, and nobody is answered (REG-5)
        (owed, rules), self._owed = self._owed, None
        said = owed if settled.kept else ("response", (REFUSED, 1))
        registered = settled.device.registered
        if settled.kept:
            registered = owed[1][0] == REGISTER and not settled.device.removed
        return [Way(w.state._replace(registered=int(registered)), (said,), rules) for w in ways]

    def _ended(self, ways: list[Way], ended: Ended | None) -> list[Way]:
        if ended is None:
            return ways  # a timer: what it does is in the passing of time
        self._owed = None
        return [
            Way(
                w.state._replace(**GONE),
                (("close", (self._device,)),) if ended.goodbye and w.state.step == Step.LISTEN else (),
            )
            for w in ways
        ]

    # --- what was said

    def _outputs(self, said: Iterable[Frame], device: int) -> tuple[Said, ...]:
        self.key = b""
        found: list[Said] = []
        for frame in said:
            session = self._memory.sessions.get(frame.target)
            before = len(session.sent) if session else 0
            if frame.source != SSS_ID or frame.target != device:
                found.append(("unknown", (frame.target,)))
                continue
            for output in self._outbound.datagram(frame.target, frame.payload):
                found.append((output.kind, output.args))
            session = self._memory.sessions.get(frame.target)
            if session and len(session.sent) > before and ("response", ()) not in found:
                found.append(("response", ()))
        for output in self._outbound.end_of_step():
            found.append((output.kind, output.args))
        return tuple(self._response(device) if s == ("response", ()) else s for s in found)

    def _response(self, device: int) -> Said:
        """The response that went out in this step: its op, and whether it is all that it has to be."""
        session = self._memory.sessions[device]
        data, layout = bytes(session.sent), WIDE if self.facts.wide_response else HEADER
        session.sent.clear()
        if len(data) < layout.size:
            return "response", (self._asked, 0)
        _, op, ca, certificate, *_ = layout.unpack_from(data)
        response = judge_response(data, device, op, wide=self.facts.wide_response)
        whole = response is not None and response.good
        if response is not None and op == REGISTER:
            blobs = data[layout.size :]
            self.key = response.public_key
            whole = response.usable and self._grants(blobs[:ca], blobs[ca:][:certificate], device)
        return "response", (op, int(whole))

    def _grants(self, ca: bytes, certificate: bytes, device: int) -> bool:
        """Whether the credentials, which work, are those that REG-1 and CRT-10 ask for."""
        made = x509.load_der_x509_certificate(certificate)
        lasts = made.not_valid_after_utc - made.not_valid_before_utc
        own = made.serial_number == device and lasts == self.facts.lifetime
        return own and ca == self.facts.runtime_ca and self.key != self._last_key


@lru_cache(256)
def _facts_of(certificate: bytes) -> tuple[bytes, datetime, datetime]:
    """The key of a certificate (SubjectPublicKeyInfo) and from when to when it is valid. Raises ValueError."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    return key, read.not_valid_before_utc, read.not_valid_after_utc


def _opens(ways: Iterable[Way], handshake: int) -> bool:
    """Whether a hello with this number begins a session (REG-7)."""
    return any(w.state.step == Step.NONE or w.state.handshake != handshake for w in ways)
