"""What a watched controller was told and did, kept as it comes; judged once more when something was wrong with it.

A recording begins at the boot, or, when that is long ago, where the controller was at rest: then little has to be known
of what was before (`Beginning`). Its trace is a file that `scewl replay` reads. It holds the secrets of the sessions in
it and no other: neither the node's private key nor its boot seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from conformance.abstraction import Identity
from conformance.coverage import events_met, rules_taken
from conformance.judge import Diverged, Judge
from conformance.results import CaseResult, Divergence, LadderFrame
from conformance.targets.base import Reaction
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import Event, Link
from model.profile import Setting
from model.state import State
from model.verdict import Verdict

TRACE_VERSION: Final = 1
"""That of `conformance.case`; the key `watched` tells the two kinds apart."""
WINDOW: Final = 512
"""Steps after which a recording may begin anew, as soon as the controller is at rest."""
LONGEST: Final = 50_000
"""Steps that are kept at most. A controller that is kept busy for longer is judged, but cannot be told about whole."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a controller for as long as it is powered. No secret."""

    node: int
    ca: bytes
    """The provisioning CA certificate, DER."""
    certificate: bytes
    """Its own provisioning certificate, DER."""
    suite: int
    cn_pattern: str
    wide_response: bool
    timeouts: tuple[int, int, int]
    """Milliseconds: first and last retransmission timeout (DTL-6), and the idle timeout (SES-7)."""
    boot_entropy: bytes | None = None
    """What was mixed with its boot seed, if that is known: then the whole run can be repeated."""

    def setting(self) -> Setting:
        """What the rules take as given."""
        first, last, idle = self.timeouts
        return Setting(self.node, first_timeout=first, last_timeout=last, idle_timeout=idle)

    def identity(self, beginning: Beginning) -> Identity:
        """What the judge knows of it, there."""
        authorities = Authorities({"PROVISIONING": self.ca})
        own = authorities.classify(self.certificate).public_key or b""
        identity = Identity(
            self.node,
            authorities,
            own,
            suite=self.suite,
            cn_pattern=self.cn_pattern,
            wide_response=self.wide_response,
        )
        if beginning.runtime is not None:
            ca, identity.runtime_key = beginning.runtime
            authorities.add("RUNTIME", ca)
        return identity


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known where a recording begins: the controller is IDLE there, and nothing waits in it."""

    now: int = 0
    booted: bool = True
    registered: bool = False
    runtime: tuple[bytes, bytes] | None = None
    """CA certificate and public key (SubjectPublicKeyInfo) of the latest runtime set, DER."""
    cookies: dict[int, frozenset[bytes]] = field(default_factory=dict)
    """Cookies that it gave, by peer."""

    def judge(self, facts: Facts, keylog: KeyLog) -> Judge:
        """A judge of what follows."""
        judge = Judge(facts.identity(self), keylog, facts.setting(), State(registered=int(self.registered)))
        judge.oracle.now = self.now
        judge.abstraction.memory.cookies = {peer: set(given) for peer, given in self.cookies.items()}
        return judge


class Moment(NamedTuple):
    """One step: the bytes that came on a link, or, without a link, `ms` milliseconds that passed; and what it did."""

    now: int
    link: Link | None
    data: bytes
    ms: int
    chunks: tuple[tuple[Link, bytes], ...]
    deadline: int | None
    secrets: tuple[tuple[bytes, bytes], ...]

    def stimulus(self) -> dict[str, Any]:
        """As a trace has it."""
        return {"ms": self.ms} if self.link is None else {"link": self.link.name.lower(), "hex": self.data.hex()}


@dataclass(frozen=True, slots=True)
class Recording:
    """Steps in a row, and all that is needed to judge them."""

    facts: Facts
    beginning: Beginning
    moments: tuple[Moment, ...]

    def trace(self, steps: Iterable[dict[str, Any]], footer: dict[str, Any]) -> str:
        """The text of its trace; `steps` are the judge's."""
        facts, start = self.facts, self.beginning
        watched = {
            "node": facts.node,
            "ca": facts.ca.hex(),
            "certificate": facts.certificate.hex(),
            "suite": facts.suite,
            "cn_pattern": facts.cn_pattern,
            "wide_response": facts.wide_response,
            "timeouts": list(facts.timeouts),
            "boot_entropy": None if facts.boot_entropy is None else facts.boot_entropy.hex(),
            "begin": start.now,
            "booted": start.booted,
            "registered": start.registered,
            "runtime": None if start.runtime is None else [part.hex() for part in start.runtime],
            "cookies": {str(peer): sorted(c.hex() for c in given) for peer, given in start.cookies.items()},
        }
        header = {
            "trace": TRACE_VERSION,
            "case": f"watched-{facts.node}",
            "target": "reference",
            "profile": "hardened",
            "watched": watched,
        }
        lines = [header]
        for moment, step in zip(self.moments, steps, strict=False):  # behind a divergence nothing was judged
            lines.append({**step, "secrets": [[random.hex(), master.hex()] for random, master in moment.secrets]})
        return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [*lines, footer])

    @classmethod
    def from_trace(cls, text: str) -> Recording:
        """Read a trace back. Raises ValueError, which says what is wrong with it."""
        try:
            header, *steps = [json.loads(line) for line in text.splitlines()]
            w = header["watched"]
            entropy, runtime = w["boot_entropy"], w["runtime"]
            facts = Facts(
                whole_number(w["node"], 0xFFFF),
                bytes.fromhex(w["ca"]),
                bytes.fromhex(w["certificate"]),
                whole_number(w["suite"], 0xFFFF),
                str(w["cn_pattern"]),
                bool(w["wide_response"]),
                (whole_number(w["timeouts"][0]), whole_number(w["timeouts"][1]), whole_number(w["timeouts"][2])),
                None if entropy is None else bytes.fromhex(entropy),
            )
            beginning = Beginning(
                whole_number(w["begin"]),
                bool(w["booted"]),
                bool(w["registered"]),
                None if runtime is None else (bytes.fromhex(runtime[0]), bytes.fromhex(runtime[1])),
                {int(peer): frozenset(map(bytes.fromhex, given)) for peer, given in w["cookies"].items()},
            )
            moments = tuple(_moment(step) for step in steps if "n" in step)
            beginning.judge(facts, KeyLog())  # certificates that do not parse are found here
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise ValueError(
                f"it is not the trace of a watched controller ({type(error).__name__}: {error})"
            ) from error
        return cls(facts, beginning, moments)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A node did what no rule allows, or broke, or its judge did."""

    node: int
    """The SCEWL id; 1 is the SSS."""
    result: CaseResult
    trace: str
    """The text of a trace for `scewl replay`; empty if it cannot be told whole. Secret: for its owner's eyes only."""


class History:
    """The steps of a controller since its boot, or the latest of them."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._old: tuple[Beginning, list[Moment]] | None = None
        self._beginning: Beginning | None = Beginning()
        self._moments: list[Moment] = []

    def add(self, moment: Moment) -> None:
        """One more step."""
        if self._beginning is None:
            return
        self._moments.append(moment)
        if len(self._moments) > LONGEST:
            self.lose()

    @property
    def long(self) -> bool:
        """Whether it should begin anew at the next rest."""
        return self._beginning is None or len(self._moments) >= WINDOW

    def begin(self, beginning: Beginning) -> None:
        """The controller is at rest. The steps since the last beginning are kept until there are as many new ones."""
        self._old = None if self._beginning is None else (self._beginning, self._moments)
        self._beginning, self._moments = beginning, []

    def lose(self) -> None:
        """What follows cannot be told, up to the next beginning."""
        self._old, self._beginning, self._moments = None, None, []

    def recording(self) -> Recording | None:
        """All that is kept; None if nothing is."""
        if self._beginning is None:
            return None
        if self._old is None:
            return Recording(self._facts, self._beginning, tuple(self._moments))
        return Recording(self._facts, self._old[0], (*self._old[1], *self._moments))


def retell(recording: Recording) -> Alarm:
    """Judge a recording from its beginning to its end, or up to what no rule allows."""
    facts, keylog = recording.facts, KeyLog()
    judge = recording.beginning.judge(facts, keylog)
    frames: list[LadderFrame] = []
    towards = {link: FrameReader() for link in Link}
    leaving = {link: FrameReader() for link in Link}
    divergence: Divergence | None = None
    evidence: list[str] = []
    for moment in recording.moments:
        for random, master in moment.secrets:
            keylog.add(random, master)
        events = (Event("time", (moment.ms,)),) if moment.link is None else judge.events(moment.link, moment.data)
        given = [(moment.link, moment.data)] if moment.link is not None else []
        frames.extend(_frames(judge, moment, given, towards, True))
        frames.extend(_frames(judge, moment, moment.chunks, leaving, False))
        try:
            judge.step(moment.stimulus(), events, Reaction(moment.now, moment.deadline, moment.chunks))
        except Diverged as error:
            divergence = error.divergence
            break
        if at_rest(judge):
            judge.abstraction.memory.rest()
    verdict = Verdict.PASS if divergence is None else Verdict.FAIL
    reason = "" if divergence is None else divergence.explanation
    now = recording.moments[-1].now if recording.moments else recording.beginning.now
    result = result_of(facts.node, verdict, reason, now, len(judge.steps))
    result.divergence, result.ladder, result.evidence = divergence, frames, evidence
    result.rules, result.met = rules_taken(judge.steps, {}), events_met(judge.steps)
    footer = {"verdict": verdict.name, "reason": reason, "virtual_ms": now}
    footer |= {} if divergence is None else {"divergence": asdict(divergence)}
    return Alarm(facts.node, result, recording.trace(judge.steps, footer))


def at_rest(judge: Judge) -> bool:
    """Whether the controller is IDLE beyond doubt, and nothing waits in it."""
    return len(judge.oracle.possible) == 1 and not any(judge.oracle.possible[0].state[:3]) and _unburdened(judge)


def result_of(node: int, verdict: Verdict, reason: str, now: int, steps: int) -> CaseResult:
    """A result about a watched node, for the reports."""
    return CaseResult(
        case=f"watched-{node}",
        title="The SSS beside the model" if node == 1 else f"SED {node} beside the model",
        about="",
        iut=node,
        target="reference",
        profile="hardened",
        requirements=[],
        verdict=verdict,
        reason=reason,
        virtual_ms=now,
        wall_s=0.0,
        steps=steps,
    )


def _unburdened(judge: Judge) -> bool:
    state = judge.oracle.possible[0].state
    return not state.aside and not state.waiting


def _frames(
    judge: Judge,
    moment: Moment,
    chunks: Iterable[tuple[Link, bytes]],
    readers: dict[Link, FrameReader],
    towards: bool,
) -> Iterator[LadderFrame]:
    me = judge.oracle.setting.me
    for link, data in chunks:
        for frame in readers[link].feed(data):
            if not isinstance(frame, Frame):
                continue
            peer = 0 if link is Link.CPU else frame.source if towards else frame.target
            ends = (peer, me) if towards else (me, peer)
            label = judge.abstraction.label(link, frame)
            yield LadderFrame(moment.now, len(judge.steps), link.name.lower(), *ends, label, len(frame.payload))


def _moment(step: dict[str, Any]) -> Moment:
    stimulus = step["stimulus"]
    link = Link[stimulus["link"].upper()] if "link" in stimulus else None
    deadline = step["deadline"]
    return Moment(
        whole_number(step["t"]),
        link,
        b"" if link is None else bytes.fromhex(stimulus["hex"]),
        0 if link is not None else whole_number(stimulus["ms"]),
        tuple((Link[name.upper()], bytes.fromhex(data)) for name, data in step["chunks"]),
        None if deadline is None else whole_number(deadline),
        tuple((bytes.fromhex(random), bytes.fromhex(master)) for random, master in step["secrets"]),
    )


def whole_number(value: Any, most: int = 2**63) -> int:
    """The value, if it is a whole number up to `most`. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a whole number of 0 to {most}")
    return value
