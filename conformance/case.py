"""One purpose run against one target: the purpose's steps, the judge's verdict, the trace."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from conformance.capture import CapturedFrame, Context
from conformance.cast import Cast
from conformance.coverage import events_met, rules_taken
from conformance.iut.profile import Iut
from conformance.iut.target import given_deployment
from conformance.judge import Diverged, Judge
from conformance.lab import Lab, Sighting
from conformance.purpose import Purpose
from conformance.results import CaseResult, Divergence
from conformance.sessions.track import Tracker
from conformance.steps import ChoseOtherwise, Steps, Unreached
from conformance.targets.base import HarnessError, IutFault, Target
from conformance.targets.streams.lab import RealTimeLab
from conformance.targets.streams.target import RealTime
from conformance.wire.secrets import KeyLog
from model.profile import PROFILES, Setting
from model.verdict import Verdict
from reference.dialect import STANDARD

TRACE_VERSION = 1


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
        self.steps = Steps(purpose, seed, self.cast, self.lab, self.judge, self._keylog)
        self._left_out: int | None = None
        """The first step that was left out, since the IUT chose otherwise; counted from 0."""
        if (voice := self.cast.voice) is not None:
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
            if self.steps.deviation.lasts:  # then it is what the purpose is about
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
            shown=numbers.get(-1 if self.steps.deviation.shown is None else self.steps.deviation.shown, 0),
        )
        trace = self._trace(verdict, reason, divergence)
        return Outcome(result, trace, self._capture(), list(self.lab.secrets), self._context())

    def _play(self) -> None:
        self.steps.power_up()
        for number, step in enumerate(self.purpose.steps):
            try:
                self.steps.take(step)
            except ChoseOtherwise:
                self._left_out = number + 1
                break
            except Unreached as error:
                raise Unreached(f"Step {number + 1} ({step}): {error.reason}") from None
        self.steps.come_to_rest()
        if self.purpose.voice:
            return  # the judge has seen what the CPU got, and nobody else has a CPU
        missing = self.steps.deviation.missing_evidence(len(self.judge.steps) - 1)
        if missing:
            raise Unreached(missing)
        self.steps.expect_no_more()

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
            boots={self.purpose.iut: tuple(ms * 1000 for ms in self.steps.booted)},
            authorities=self.cast.authorities(),
            keys={self.purpose.iut: identity.provisioning_key},
            suite=identity.suite,
            cn_pattern=identity.cn_pattern,
            wide_response=identity.wide_response,
        )


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
