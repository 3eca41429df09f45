"""One purpose run against one target: the purpose's steps, the judge's verdict, the trace."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from conformance.capture import CapturedFrame, Context
from conformance.cast import Cast
from conformance.coverage import events_met, rules_taken
from conformance.deviation import Deviation
from conformance.faults import Fault
from conformance.iut.profile import Iut
from conformance.iut.target import given_deployment
from conformance.judge import Diverged, Judge
from conformance.lab import Lab, Sighting
from conformance.purpose import Purpose
from conformance.results import CaseResult, Divergence
from conformance.sessions.track import Tracker
from conformance.speaker import CannotSay, Speaker
from conformance.targets.base import HarnessError, IutFault, Target
from conformance.targets.streams.lab import RealTimeLab
from conformance.targets.streams.target import RealTime
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import BROADCAST, DEREGISTER, FAA_ID, REFUSED, REGISTER, SSS_ID, Link
from model.profile import PROFILES, Setting
from model.verdict import Verdict
from reference.dialect import STANDARD

TRACE_VERSION = 1
IDLE_LIMIT = 1_200_000
"""Virtual milliseconds within which every device must have come to rest."""
SESSION_SIZE = 16
"""Bytes of the message that shows an IUT to be alive."""


@dataclass
class ChoseOtherwise(Exception):
    """The IUT took another way than the purpose goes on from, and the rules leave it the choice."""

    rule: str


@dataclass
class Unreached(Exception):
    """The purpose was not reached, though nothing forbidden happened."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass
class Outcome:
    """A case's result and what goes into files beside it."""

    result: CaseResult
    trace: str
    frames: list[CapturedFrame] = field(default_factory=list)
    secrets: list[tuple[bytes, bytes]] = field(default_factory=list)
    context: Context | None = None


class Case:
    """Runs one purpose."""

    def __init__(self, purpose: Purpose, target: Target, *, profile: str, seed: int, iut: Iut | None = None) -> None:
        """`iut` is what is known of an implementation that is not ours; its claims stand in for `profile`."""
        self.purpose = purpose
        self._iut = iut
        self.profile = profile
        self.seed = seed
        given = given_deployment(iut) if iut else None
        self.cast = Cast(purpose, seed, iut.dialect if iut else STANDARD, given)
        self._keylog = KeyLog()
        setting = iut.setting(purpose.iut) if iut else Setting(purpose.iut, PROFILES[profile])
        self.judge = Judge(self.cast.identity(), self._keylog, setting)
        lab = RealTimeLab if isinstance(target, RealTime) else Lab
        self.lab = lab(purpose.iut, target, self.judge, self.cast.nodes(), self._keylog)
        self.lab.overhear = purpose.overhear
        self._target = target
        self._payloads = 0
        self._boots = 0
        """Power cycles and restarts so far: each has randomness of its own."""
        self._booted: list[int] = []
        """When the IUT was powered up, virtual milliseconds."""
        self._sent: list[tuple[int, int, bytes]] = []
        """Messages that CPUs gave: from, to, payload."""
        self._met: list[tuple[int, int, bytes]] = []
        """Those of them that were expected, and have come."""
        self._deviation = Deviation(purpose, self.lab, self._keylog, self.cast.authorities())
        self._left_out: int | None = None
        """The first step that was left out, since the IUT chose otherwise; counted from 0."""
        voice = self.cast.voice
        self._speaker = None if voice is None else Speaker(voice, self.judge)
        if voice is not None:
            voice.keylog, voice.secrets = self._keylog, self.lab.secrets

    # --- the whole run

    def run(self) -> Outcome:
        """Run it; never raises for what an IUT or a purpose does."""
        began = time.perf_counter()
        verdict, reason, divergence, evidence = Verdict.PASS, "", None, []
        try:
            self._play()
        except Diverged as error:
            verdict, reason, divergence = Verdict.FAIL, str(error), error.divergence
            if self._deviation.lasts:  # then it is what the purpose is about
                cited = [*self.purpose.requirements, *divergence.requirements]
                divergence.requirements = list(dict.fromkeys(cited))
        except IutFault as error:
            verdict, reason, evidence = Verdict.FAIL, f"The IUT broke: {error.what}", list(error.evidence)
        except Unreached as error:
            verdict, reason = Verdict.INCONCLUSIVE, error.reason
        except HarnessError as error:
            verdict, reason, evidence = Verdict.ERROR, error.what, list(error.evidence)
        wall = time.perf_counter() - began
        numbers = self._numbers()
        first: dict[int, int] = {}
        for index, number in numbers.items():
            first.setdefault(self.lab.sightings[index].step, number)
        result = CaseResult(
            case=self.purpose.id,
            title=self.purpose.title,
            about=self.purpose.about.strip(),
            iut=self.purpose.iut,
            target=self._target.name,
            profile=self.profile,
            requirements=list(self.purpose.requirements),
            verdict=verdict,
            reason=reason,
            virtual_ms=self.lab.now,
            wall_s=round(wall, 3),
            steps=len(self.judge.steps),
            divergence=divergence,
            ladder=self.lab.ladder(),
            evidence=evidence,
            rules=rules_taken(self.judge.steps, first),
            met=events_met(self.judge.steps),
            shown=numbers.get(-1 if self._deviation.shown is None else self._deviation.shown, 0),
        )
        trace = self._trace(verdict, reason, divergence)
        return Outcome(result, trace, self._capture(), list(self.lab.secrets), self._context())

    def _play(self) -> None:
        self._power_up()
        for number, step in enumerate(self.purpose.steps):
            try:
                do = getattr(self, f"_do_{step.kind.replace('-', '_')}")
                do(**{_parameter(k): v for k, v in step.arguments.items()})
                self.lab.settle()
            except ChoseOtherwise:
                self._left_out = number + 1
                break
            except Unreached as error:
                raise Unreached(f"Step {number + 1} ({step}): {error.reason}") from None
        self._do_wait(until="idle")
        if self.purpose.voice:
            return  # the judge has seen what the CPU got, and nobody else has a CPU
        missing = self._deviation.missing_evidence(len(self.judge.steps) - 1)
        if missing:
            raise Unreached(missing)
        left = [f"{_at(self.purpose, d)} {_frame(f)}" for d, frames in self.lab.inbox.items() for f in frames]
        if left:
            raise Unreached(f"At the end a CPU had got something that the purpose does not expect: {', '.join(left)}.")

    def _power_up(self, boots: int = 0) -> None:
        self._booted.append(self.lab.now)
        self.lab.boot(self.cast.image(boots))

    # --- steps: CPUs

    def _do_send(self, to: int, size: int, by: int = 0) -> None:
        by, payload = by or self.purpose.iut, self._payload(size)
        self._sent.append((by, to, payload))
        self.lab.from_cpu(by, Frame(to, by, payload).encode())

    def _do_register(self, by: int = 0) -> None:
        self._request(by or self.purpose.iut, REGISTER)

    def _do_deregister(self, by: int = 0) -> None:
        self._request(by or self.purpose.iut, DEREGISTER)

    def _request(self, by: int, op: int) -> None:
        self.lab.from_cpu(by, Frame(SSS_ID, by, request(by, op)).encode())

    def _do_request(self, size: int = 4, dev: int = 0, op: int = REGISTER) -> None:
        iut = self.purpose.iut
        payload = (request(dev or iut, op) + self._payload(size))[:size]
        self.lab.from_cpu(iut, Frame(SSS_ID, iut, payload).encode())

    def _do_broadcast(self, size: int) -> None:
        self.lab.from_cpu(self.purpose.iut, Frame(BROADCAST, self.purpose.iut, self._payload(size)).encode())

    def _do_faa(self, to: str, size: int) -> None:
        iut, payload = self.purpose.iut, self._payload(size)
        if to == "radio":
            self.lab.from_cpu(iut, Frame(FAA_ID, iut, payload).encode())
        else:
            self._sent.append((FAA_ID, iut, payload))
            self.lab.inject(Link.RADIO, Frame(iut, FAA_ID, payload).encode())

    # --- steps: links

    def _do_lose(self, **what: Any) -> None:
        self.lab.faults.append(Fault("lose", **what))

    def _do_duplicate(self, **what: Any) -> None:
        self.lab.faults.append(Fault("duplicate", **what))

    def _do_delay(self, **what: Any) -> None:
        self.lab.faults.append(Fault("delay", **what))

    def _do_swap(self, **what: Any) -> None:
        self.lab.faults.append(Fault("swap", **what))

    def _do_cut(self, **what: Any) -> None:
        self.lab.faults.append(Fault("cut", **what))

    def _do_mend(self) -> None:
        """From now on the links do to no datagram what an earlier step asked for."""
        self.lab.faults.clear()

    def _do_silence(self, who: int) -> None:
        self.lab.silent.add(who)

    def _do_restore(self, who: int) -> None:
        self.lab.silent.discard(who)

    # --- steps: the attacker

    def _do_inject(self, link: str, raw: str = "", source: int = 0, target: int = 0, size: int = 0) -> None:
        if raw:
            data = bytes.fromhex(raw)
            frames = [f for f in FrameReader().feed(data) if isinstance(f, Frame)]
            self._sent += [(FAA_ID, self.purpose.iut, f.payload) for f in frames if f.source == FAA_ID]
            self.lab.inject(Link[link.upper()], data)
        else:
            frame = Frame(target or self.purpose.iut, source, self._payload(size))
            self.lab.inject(Link[link.upper()], frame.encode())

    def _do_spoof(self, flight: int, as_: int) -> None:
        """Repeat the latest datagram of a flight that went to the IUT, under another source id."""
        seen = [frame for content, frame in self.lab.towards_iut if content.flight == flight]
        if not seen:
            raise Unreached(f"no datagram of flight {flight} has gone to the IUT yet.")
        self.lab.inject(Link.RADIO, Frame(self.purpose.iut, as_, seen[-1].payload).encode())

    def _do_replay(self, of: int) -> None:
        """Repeat every radio frame that a device has sent to the IUT, in their order."""
        frames = [frame for _, frame in self.lab.towards_iut if frame.source == of]
        if not frames:
            raise Unreached(f"nothing from {of} has gone to the IUT yet.")
        for frame in frames:
            self.lab.inject(Link.RADIO, frame.encode())

    def _do_half_frame(self) -> None:
        self.cast.sss.stall(self.lab.now)

    # --- steps: the voice

    def _do_say(self, what: str, as_: int = 0, variant: int = 0, takes: str = "", choice: bool = False) -> None:
        """Say something of the model's alphabet, and see that the IUT's step was taken by this rule."""
        assert self._speaker is not None
        before = len(self.judge.steps)
        try:
            for link, data in self._speaker.stimuli(what, as_, variant):
                self.lab.inject(link, data)
                self.lab.settle()
        except CannotSay as error:
            raise Unreached(str(error)) from None
        taken = {rule for step in self.judge.steps[before:] for rule in step["rules"]}
        if takes and takes not in taken:
            if choice:
                raise ChoseOtherwise(takes)
            raise Unreached(f"it was not taken by {takes} but by {', '.join(sorted(taken)) or 'no rule'}.")

    # --- steps: what else goes wrong

    def _do_boot(self, by: int = 0) -> None:
        """A power cycle."""
        self._boots += 1
        if by in (0, self.purpose.iut):
            self._power_up(self._boots)
        else:
            self.lab.nodes[by] = self.cast.sed(by, self._boots)

    def _do_restart(self) -> None:
        self._boots += 1
        self.cast.sss.restart(self._boots)

    def _do_respond(self, response: str) -> None:
        self.cast.response = response

    # --- steps: time and expectations

    def _do_wait(self, ms: int = 0, until: str = "") -> None:
        if ms:
            self.lab.run(self.lab.now + ms)
        elif until in ("deadline", "before-deadline"):
            self.lab.settle()
            deadline = self.lab.next_deadline()
            if deadline is None:
                raise Unreached("no timer of the IUT is armed.")
            self.lab.run(max(deadline - (until == "before-deadline"), self.lab.now))
        else:
            self.lab.run(self.lab.now + IDLE_LIMIT, stop=self.lab.idle)
            if not self.lab.idle():
                raise Unreached(f"a device still waits for something after {IDLE_LIMIT} ms.")

    def _do_expect(
        self,
        what: str,
        at: int = 0,
        from_: int = 0,
        size: int | None = None,
        op: int = 0,
        said: Sequence[str] = (),
    ) -> None:
        at = at or self.purpose.iut
        if what == "reaction":
            self._deviation.expect(at, said, len(self.judge.steps) - 1)
            return
        if what == "session":
            self._expect_session(at)
            return
        got = self.lab.inbox.setdefault(at, [])
        told = "; ".join(map(_frame, got)) or "nothing"
        if what == "nothing":
            for frame in got:
                self._not_told_twice(at, frame)
            if got:
                raise Unreached(f"{_at(self.purpose, at)} got {told}.")
            return
        if what == "rest":
            self._expect_rest()
            return
        for frame in got:
            if self._meets(frame, what, at, from_, size, op):
                got.remove(frame)
                if what == "message":
                    self._not_told_twice(at, frame)
                    self._met.append((frame.source, at, frame.payload))
                return
        raise Unreached(f"{_at(self.purpose, at)} got {told}.")

    def _meets(self, frame: Frame, what: str, at: int, from_: int, size: int | None, op: int) -> bool:
        if what == "answer":
            return frame.source == SSS_ID and frame.payload == request(at, op)
        told = [s for s in self._sent if s[:2] == (from_ or frame.source, at)]
        return (
            frame.source == (from_ or frame.source)
            and any(frame.payload == payload for _, _, payload in told)
            and size in (None, len(frame.payload))
        )

    def _not_told_twice(self, at: int, frame: Frame) -> None:
        """The IUT's CPU gets a message once. One that came again was recorded and played back, in a session that only
        its old randomness opens (ADV-3), which no single step shows. Raises Diverged."""
        message = (frame.source, at, frame.payload)
        if at == self.purpose.iut and message in self._met and self._sent.count(message) <= self._met.count(message):
            raise self._deviation.wrong(f"to its CPU {_frame(frame)}, again", ["nothing"], len(self.judge.steps) - 1)

    def _expect_rest(self) -> None:
        """All that any CPU has got and no step has asked for are messages that were given for it, each once and whole,
        and answers to itself."""
        left = list(self._sent)
        for message in self._met:
            if message in left:
                left.remove(message)
        for at, got in self.lab.inbox.items():
            for frame in got:
                message = (frame.source, at, frame.payload)
                if message in left:
                    left.remove(message)
                    self._met.append(message)
                elif frame.payload not in (request(at, op) for op in (REGISTER, DEREGISTER, REFUSED)):
                    self._not_told_twice(at, frame)
                    raise Unreached(f"{_at(self.purpose, at)} got {_frame(frame)}, which nobody gave for it.")
            got.clear()

    def _expect_session(self, at: int) -> None:
        """The IUT is alive: once it is at rest, a session with an honest peer, or the SSS, works."""
        self._do_wait(until="idle")
        self._deviation.end()
        self._boots += 1
        if at == SSS_ID:
            self.lab.nodes[at] = self.cast.scripted_sss({})
            self._do_register()
        else:
            self.lab.nodes[at] = self.cast.sed(at, self._boots, honest=True)
            self._do_send(self.purpose.iut, SESSION_SIZE, at)
        self._do_wait(until="idle")
        self._do_expect("answer" if at == SSS_ID else "message", size=SESSION_SIZE, op=REGISTER)

    def _payload(self, size: int) -> bytes:
        """The next payload: a function of seed, purpose and count."""
        self._payloads += 1
        name = f"{self.seed}/{self.purpose.id}/{self._payloads}".encode()
        return hashlib.shake_256(name).digest(size)

    # --- what is left behind

    def _trace(self, verdict: Verdict, reason: str, divergence: Divergence | None) -> str:
        header = {
            "trace": TRACE_VERSION,
            "case": self.purpose.id,
            "target": self._target.name,
            "profile": self.profile,
            "seed": self.seed,
            **({"iut": self._iut.name} if self._iut else {}),
            "purpose": self.purpose.document(),
        }
        footer: dict[str, Any] = {"verdict": verdict.name, "reason": reason, "virtual_ms": self.lab.now}
        if self._left_out is not None:
            footer["left_out"] = self._left_out
        if divergence is not None:
            footer["divergence"] = asdict(divergence)
        lines = [header, *self.judge.steps, footer]
        return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)

    def _numbers(self) -> dict[int, int]:
        """The number of each frame of the capture, from 1, by the index of its sighting; what never came has none."""
        came = [i for i, s in enumerate(self.lab.sightings) if not (s.towards and s.fate == "lost")]
        return {index: number for number, index in enumerate(came, 1)}

    def _capture(self) -> list[CapturedFrame]:
        tracker = Tracker(self._keylog)
        frames: list[CapturedFrame] = []
        for index, number in self._numbers().items():
            s = self.lab.sightings[index]
            frame = CapturedFrame(s.time * 1000, s.link, s.towards, self.purpose.iut, s.data, number=number)
            comment = "; ".join([self._comment(s), *tracker.feed(frame).notes])
            frames.append(replace(frame, comment=comment))
        return frames

    def _comment(self, sighting: Sighting) -> str:
        """What Wireshark shows beside a frame: step, content, fate, the rules taken, the states after it."""
        parts = [f"step {sighting.step}: {sighting.label}"]
        if sighting.fate != "delivered":
            parts[0] += f" ({sighting.fate})"
        if sighting.step < len(self.judge.steps):
            step = self.judge.steps[sighting.step]
            parts += [f"rules: {', '.join(step['rules']) or 'none'}", " or ".join(step["state"])]
        return "; ".join(parts)

    def _context(self) -> Context:
        identity = self.cast.identity()
        return Context(
            virtual=True,
            profile=self.profile,
            boots={self.purpose.iut: tuple(ms * 1000 for ms in self._booted)},
            authorities=self.cast.authorities(),
            keys={self.purpose.iut: identity.provisioning_key},
            suite=identity.suite,
            cn_pattern=identity.cn_pattern,
            wide_response=identity.wide_response,
        )


def request(dev: int, op: int) -> bytes:
    """A registration request, which is also the form of the CPU's answer (protocol page, section 6)."""
    return dev.to_bytes(2, "little") + op.to_bytes(2, "little", signed=True)


def run_case(
    purpose: Purpose, make_target: Callable[[], Target], *, profile: str, seed: int, iut: Iut | None = None
) -> Outcome:
    """Run a purpose against a new target and end the target."""
    try:
        target = make_target()
    except HarnessError as error:
        return Outcome(unstarted(purpose, profile, error), "")
    try:
        return Case(purpose, target, profile=profile, seed=seed, iut=iut).run()
    finally:
        target.close()


def unstarted(purpose: Purpose, profile: str, error: HarnessError) -> CaseResult:
    """The result of a case that our side could not run."""
    return _not_run(purpose, profile, Verdict.ERROR, error.what, error.evidence)


def skipped(purpose: Purpose, profile: str, reason: str) -> CaseResult:
    """The result of a case that is not run."""
    return _not_run(purpose, profile, Verdict.SKIPPED, reason, ())


def _not_run(purpose: Purpose, profile: str, verdict: Verdict, reason: str, evidence: Sequence[str]) -> CaseResult:
    return CaseResult(
        case=purpose.id,
        title=purpose.title,
        about=purpose.about.strip(),
        iut=purpose.iut,
        target="",
        profile=profile,
        requirements=list(purpose.requirements),
        verdict=verdict,
        reason=reason,
        virtual_ms=0,
        wall_s=0.0,
        steps=0,
        evidence=list(evidence),
    )


def _parameter(name: str) -> str:
    return f"{name}_" if name in ("from", "as") else name


def _at(purpose: Purpose, device: int) -> str:
    return f"the CPU of {device}" + (" (the IUT)" if device == purpose.iut else "")


def _frame(frame: Frame) -> str:
    if frame.source == SSS_ID and len(frame.payload) == 4:
        dev, op = frame.payload[:2], frame.payload[2:]
        return f"an answer (dev {int.from_bytes(dev, 'little')}, op {int.from_bytes(op, 'little', signed=True)})"
    return f"a message of {len(frame.payload)} B from {frame.source}"
