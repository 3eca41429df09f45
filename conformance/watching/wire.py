"""One wire of the SSS under judgement: bytes to the alphabet of `model.rules.sss`, and what its rules allow.

The bytes are read by the judge's own abstraction, as those of any server. What the rules do not speak of loses the
thread, and nothing is said about the wire before its session is over or a new one begins: data that is not one request
of four bytes, what comes after the request, authenticated alerts. `docs/watching.md` has the list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conformance.abstraction.inbound import datagram_events
from conformance.abstraction.memory import Memory
from conformance.abstraction.outbound import Outbound
from conformance.abstraction.registration import HEADER, WIDE, judge_response
from conformance.abstraction.session import Identity
from conformance.results import Divergence
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame
from conformance.wire.secrets import KeyLog, SessionKeys
from model.alphabet import PLAINTEXT, REFUSED, REGISTER, SSS_ID, Ca, Event
from model.profile import HARDENED
from model.rules.base import Rule
from model.rules.sss import GONE, SSS_EVENTS, SSS_RULES, Wire, WireSetting
from model.state import Step

Said = tuple[str, tuple[int, ...]]
"""An output of the SSS's rules: its kind and its arguments."""
_RULES: Final[dict[str, list[Rule]]] = defaultdict(list)
for _rule in SSS_RULES:
    _RULES[_rule.on or ""].append(_rule)
_PROFILES: Final = {True: HARDENED, False: HARDENED.without("reg_5")}
"""By whether a registered device may register again."""
_REQUEST: Final = 4
"""Bytes of a request (protocol page, section 6)."""


@dataclass(frozen=True)
class SssFacts:
    """What is known of an SSS. No secret."""

    ca: bytes
    """The provisioning CA certificate, DER, which is its own (CRT-6)."""
    runtime_ca: bytes
    devices: dict[int, bytes]
    """The provisioned keys (SubjectPublicKeyInfo, DER) of the devices that it accepts, by id (CRT-8)."""
    suite: int
    cn_pattern: str
    wide_response: bool
    timeouts: tuple[int, int, int]
    """Milliseconds: first and last retransmission timeout (DTL-6), and the idle timeout (SES-7)."""
    lifetime: timedelta
    """Of a runtime certificate (CRT-10)."""
    replace: bool = True
    """REG-5."""

    @cached_property
    def identity(self) -> Identity:
        """What the abstraction knows of it; all its wires share it."""
        authorities = Authorities({"PROVISIONING": self.ca})
        own = authorities.classify(self.ca).public_key or b""
        return Identity(SSS_ID, authorities, own, suite=self.suite, cn_pattern=self.cn_pattern)


@dataclass(frozen=True, slots=True)
class Device:
    """What the SSS knows of the device of a frame when the frame comes, from all its wires."""

    registered: bool
    undecided: bool = False
    """A request of its is being kept, from this wire or another."""
    removed: bool = False
    last_key: bytes = b""
    """Of its latest runtime certificate, SubjectPublicKeyInfo; no other may have it (REG-1)."""


@dataclass(frozen=True, slots=True)
class Took:
    """A frame that came, and how the SSS took it."""

    frame: Frame
    device: Device
    date: datetime
    """By the SSS's calendar (CRT-10)."""
    granted: bool = False
    """It was decided, and is answered when it is kept."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The decision about the request was kept or not; the device as it was before."""

    kept: bool
    device: Device


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is ended from outside. `goodbye`: with a close_notify, if the device has proved itself."""

    goodbye: bool


Happening = Took | Settled | Ended | None
"""None: a timer was due."""


@dataclass(frozen=True, slots=True)
class _Way:
    state: Wire
    said: tuple[Said, ...] = ()
    rules: tuple[Rule, ...] = ()


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
    rules: tuple[str, ...] = ()
    """Of the latest step, for whoever writes it down."""
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

    def __post_init__(self) -> None:
        self._memory = Memory(self.facts.identity, self.keylog, cookies=self.cookies)
        self._outbound = Outbound(self._memory)
        self.states: tuple[Wire, ...] = (Wire(),)

    @property
    def rests(self) -> bool:
        """Whether no session is on it, beyond doubt."""
        return not self._lost and self._owed is None and all(s.step == Step.NONE for s in self.states)

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
        return [] if self._lost else [_words(s, self._device) for s in self.states]

    def deadlines(self) -> tuple[int | None, ...]:
        """The allowed deadlines, in milliseconds."""
        return tuple(dict.fromkeys(self._now + s.timer if s.timer else None for s in self.states))

    def step(
        self, now: int, what: Happening, said: Sequence[Frame], deadline: int | None, registered: bool, alone: bool
    ) -> Divergence | None:
        """Judge one step: what happened on the wire at `now`, what the SSS said on it, its next deadline there, whether
        the wire's device counts as registered afterwards, and whether no session is on the wire then.

        Secrets of sessions are in the key log already. Returns what is wrong, None if nothing is. Go on with a new
        judge after that.
        """
        self.steps += 1
        ways = self._pass(now)
        if isinstance(what, Took | Settled):
            self._last_key = what.device.last_key
        if isinstance(what, Took):
            ways = self._took(ways, what)
            outputs = self._outputs(said, what.frame.source)
        else:
            self.events = ()
            outputs = self._outputs(said, self._device)
            ways = self._settled(ways, what) if isinstance(what, Settled) else self._ended(ways, what)
        self.said = outputs
        if self._lost:
            if alone:
                self._lost, self._owed, ways = False, None, [_Way(Wire(registered=int(registered)))]
            self.states, self.rules = (ways[0].state,), ()
            return None
        agreeing = [w for w in ways if w.said == outputs]
        timely = [w for w in agreeing if (now + w.state.timer if w.state.timer else None) == deadline]
        right = [w for w in timely if self._stands(w.state, what, registered)]
        self.states = tuple(dict.fromkeys(w.state for w in right or timely or agreeing or ways))
        self.rules = tuple(dict.fromkeys(r.id for w in right or timely or agreeing or ways for r in w.rules))
        self._memory.forget_sessions({self._device} if any(s.step for s in self.states) else set())
        if all(s.step != Step.LISTEN for s in self.states):
            self._owed = None
        if right:
            if self.rests:
                self._memory.rest()
            return None
        wrong = "registered" if timely else "timer" if agreeing else "said"
        return self._doubt(now, what, timely or agreeing or ways, outputs, deadline, wrong)

    def _stands(self, state: Wire, what: Happening, registered: bool) -> bool:
        of_device = isinstance(what, Settled) or (isinstance(what, Took) and what.frame.source == self._device)
        return not of_device or bool(state.registered) == registered

    # --- what happened

    def _pass(self, now: int) -> list[_Way]:
        """Time passes up to now."""
        ms, self._now = now - self._now, now
        ways = [_Way(s) for s in self.states]
        if not ms or self._lost:
            return ways
        return [after for w in ways for after in self._ways(w, Event("time", (ms,)), self._device)]

    def _took(self, ways: list[_Way], took: Took) -> list[_Way]:
        source, known = took.frame.source, took.device
        ways = [replace(w, state=w.state._replace(registered=int(known.registered))) for w in ways]
        events = [] if took.frame.target != SSS_ID else datagram_events(self._memory, source, took.frame.payload)
        seen: list[Event] = []
        for event in events:
            if event.kind == "hello-cookie" and (source != self._device or _opens(ways, event.args[1])):
                if self._lost or source != self._device:
                    ways = [_Way(Wire(registered=int(known.registered)))]
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

    def _read(self, event: Event, ways: list[_Way]) -> Event | None:
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

    def _after(self, way: _Way, event: Event, device: int, known: Device) -> list[_Way]:
        """The ways on from one way by one event, which `_read` has passed."""
        if event.kind == "noise":
            return [way]
        if event.kind == "forged":  # as at a controller (DTL-7.forged): refused with an alert, or ignored
            if way.state.step != Step.ACCEPT:
                return [way]
            return [way, replace(way, state=way.state._replace(**GONE), said=(*way.said, ("alert", (device,))))]
        ways = self._ways(way, event, device, known)
        if event.kind == "close" and way.state.step == Step.LISTEN:  # the rules do not look at what nobody reads
            ways += [replace(w, said=(*w.said, ("close", (device,)))) for w in ways]
        return ways

    def _ways(self, way: _Way, event: Event, device: int, known: Device | None = None) -> list[_Way]:
        removed = known is not None and (known.removed or device not in self.facts.devices)
        setting = WireSetting(device, _PROFILES[self.facts.replace], removed, *self.facts.timeouts)
        undecided = known is not None and known.undecided
        return [
            _Way(state, way.said + said, (*way.rules, rule))
            for state, said, rule in _react(way.state, *self._arguments(event), setting, undecided)
        ]

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
            case "time", arguments:
                return "time", arguments
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

    def _deferred(self, way: _Way, known: Device) -> _Way:
        """The answer waits until the decision is kept, and with it what it changes."""
        answers = [s for s in way.said if s[0] == "response"]
        self._owed = (answers[-1], way.rules) if answers else None
        state = way.state._replace(registered=int(known.registered))
        return replace(way, state=state, said=tuple(s for s in way.said if s[0] != "response"))

    def _settled(self, ways: list[_Way], settled: Settled) -> list[_Way]:
        if self._owed is None:
            return ways  # the session has gone, and nobody is answered (REG-5)
        (owed, rules), self._owed = self._owed, None
        said = owed if settled.kept else ("response", (REFUSED, 1))
        registered = settled.device.registered
        if settled.kept:
            registered = owed[1][0] == REGISTER and not settled.device.removed
        return [_Way(w.state._replace(registered=int(registered)), (said,), rules) for w in ways]

    def _ended(self, ways: list[_Way], ended: Ended | None) -> list[_Way]:
        if ended is None:
            return ways  # a timer: what it does is in the passing of time
        self._owed = None
        return [
            _Way(
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

    # --- what is wrong

    def _doubt(
        self,
        now: int,
        what: Happening,
        ways: Sequence[_Way],
        outputs: tuple[Said, ...],
        deadline: int | None,
        wrong: str,
    ) -> Divergence:
        came = ", ".join(map(_text, outputs)) or "nothing"
        allowed = list(dict.fromkeys(w.said for w in ways))
        rules = list({r.id: r for w in ways for r in w.rules}.values())
        dues = [now + w.state.timer if w.state.timer else None for w in ways]
        if wrong == "registered":
            needs = [i for r in rules for i in r.needs] or ["REG-3"]
            counts = " or ".join(dict.fromkeys("is" if w.state.registered else "is not" for w in ways))
            text = f"All that came is allowed, but the SSS has it otherwise: by the rules, {self._device} {counts} "
            text += "registered now."
        elif wrong == "timer":
            needs = [i for r in rules for i in r.timer] or ["DTL-6", "SES-7"]
            text = f"All that came is allowed, but the wire's next timer is {_at(deadline)} where the rules want "
            text += " or ".join(dict.fromkeys(map(_at, dues))) + "."
        else:
            needs = [i for r in rules for i in r.needs] or ["REG-7"]
            wanted = " or ".join(", ".join(map(_text, said)) or "nothing" for said in allowed)
            text = f"Came: {came}. Allowed: {wanted}. "
            text += f"Rules: {', '.join(f'{r.id} ({r.says})' for r in rules) or 'none apply'}"
        stimulus = ", ".join(map(str, self.events)) or {Took: "a frame", Settled: "the decision was kept"}.get(
            type(what), "time passed"
        )
        return Divergence(
            self.steps - 1,
            now,
            stimulus,
            [_text(s) for s in outputs],
            [[_text(s) for s in said] for said in allowed],
            deadline,
            list(dict.fromkeys(dues)),
            [r.id for r in rules],
            list(dict.fromkeys(needs)),
            text,
        )


@lru_cache(4_096)
def _react(
    state: Wire, kind: str, arguments: tuple[int, ...], setting: WireSetting, undecided: bool
) -> tuple[tuple[Wire, tuple[Said, ...], Rule], ...]:
    """Every way in which the rules take an event. Remembered: sessions are much alike.

    `undecided`: a request of the device is being kept; there is one decision at a time, and another one is refused.
    """
    named = SimpleNamespace(**dict(zip(SSS_EVENTS[kind], arguments, strict=True)))
    found = []
    for rule in _RULES[kind]:
        effect = rule.body(state, named, setting)
        if not effect.guard:
            continue
        said = tuple((o.kind, tuple(int(a) for a in o.args)) for o in effect.emit if o.when)
        update = {name: int(value) for name, value in effect.update.items()}
        if undecided:
            update.pop("registered", None)
            said = tuple(("response", (REFUSED, 1)) if s[0] == "response" else s for s in said)
        found.append((state._replace(**update), said, rule))
    return tuple(found)


@lru_cache(256)
def _facts_of(certificate: bytes) -> tuple[bytes, datetime, datetime]:
    """The key of a certificate (SubjectPublicKeyInfo) and from when to when it is valid. Raises ValueError."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        key = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    return key, read.not_valid_before_utc, read.not_valid_after_utc


def _opens(ways: Iterable[_Way], handshake: int) -> bool:
    """Whether a hello with this number begins a session (REG-7)."""
    return any(w.state.step == Step.NONE or w.state.handshake != handshake for w in ways)


def _text(said: Said) -> str:
    kind, args = said
    return f"{kind}({', '.join(map(str, args))})"


def _at(deadline: int | None) -> str:
    return "not armed" if deadline is None else f"due at {deadline} ms"


def _words(state: Wire, device: int) -> str:
    step = Step(state.step)
    session = "no session" if step is Step.NONE else f"{step.name} with {device}"
    timer = f", timer {state.timer} ms" if state.timer else ""
    return f"{session} ({'registered' if state.registered else 'unregistered'}{timer})"
