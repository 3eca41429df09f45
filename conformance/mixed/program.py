"""A lab from its file to its end: built, booted, run by whoever drives it, recorded, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.judge import Diverged
from conformance.mixed.build import PROFILE, build
from conformance.mixed.control import Control
from conformance.mixed.file import LabFile
from conformance.mixed.lines import counts_facts
from conformance.mixed.record import Recorder
from conformance.mixed.world import World
from conformance.report.console import Style, details
from conformance.report.ladder import seconds
from conformance.report.requirements import load_requirements
from conformance.results import CaseResult, Divergence
from conformance.targets.base import HarnessError, IutFault
from conformance.targets.processor import one_processor
from model.verdict import Verdict

Drive = Callable[[Control], None]
"""Lets a lab run until it has ended. What its `advance` and `command` raise goes through."""


@dataclass
class Ended:
    """What came of a lab."""

    verdict: Verdict
    reason: str
    """Empty for PASS."""
    facts: dict[str, Any]
    broken: CaseResult | None = None
    """The SED that broke or diverged, as a case."""
    files: list[Path] = field(default_factory=list)

    def lines(self, as_json: bool, style: Style) -> list[str]:
        """What is said at the end."""
        if as_json:
            told: dict[str, Any] = {"event": "end", "verdict": self.verdict.name, "reason": self.reason, **self.facts}
            if self.broken is not None:
                told["device"] = self.broken.iut
                told["divergence"] = self.broken.to_data()["divergence"]
                told["ladder"] = self.broken.to_data()["ladder"]
            return [json.dumps({"t": self.facts["virtual_ms"], **told, "files": [str(f) for f in self.files]})]
        lines: list[str] = []
        if self.broken is not None:
            lines += details(self.broken, load_requirements(), style, frames=16)
        elif self.reason:
            lines.append(self.reason)
        lines.append(f"{style.verdict(self.verdict)}  {_summary(self.facts)}")
        if self.files:
            lines.append(f"look at it:  scewl inspect {self.files[0]} --judge")
            lines += [f"trace:       {path}" for path in self.files[1:]]
        return lines


def run(
    lab: LabFile, drive: Drive, clock: Callable[[], float], begun: Callable[[World], None], *, stays: bool = False
) -> Ended:
    """Run a lab; `begun` is given its world before anything happens in it. Raises BadLab, HarnessError, OSError.

    `clock` gives wall seconds. A lab that `stays` does not end because nothing more happens.
    """
    world, acts = build(lab)
    started = clock()
    recorder = None
    verdict, reason, broken = Verdict.ERROR, "interrupted", None
    try:
        if lab.record is not None:
            recorder = Recorder(lab.record, world, seed=lab.seed, profile=PROFILE)
        begun(world)
        control = Control(world, acts, pace=lab.pace, until=lab.until, clock=clock, stays=stays)
        try:
            with one_processor():
                world.boot()
                drive(control)
        except Diverged as error:
            verdict, reason = Verdict.FAIL, f"SED {world.at} did what no rule allows: {error}"
            broken = _case(world, error.divergence, str(error), [])
        except IutFault as error:
            verdict, reason = Verdict.FAIL, f"SED {world.at} broke: {error.what}"
            broken = _case(world, None, reason, list(error.evidence))
        except HarnessError as error:
            reason = error.what
            raise
        else:
            verdict = Verdict.FAIL if control.unmet else Verdict.PASS
            reason = "; ".join(f"expectation not met: {why}" for why in control.unmet)
    finally:
        world.close()
        if recorder is not None:
            recorder.close(verdict.name, reason)
    facts = counts_facts(world) | {"virtual_ms": world.now, "wall_s": round(clock() - started, 3)}
    return Ended(verdict, reason, facts, broken, recorder.files if recorder else [])


def _case(world: World, divergence: Divergence | None, reason: str, evidence: list[str]) -> CaseResult:
    device = world.devices[world.at]
    return CaseResult(
        case=f"SED {world.at}",
        title=f"{device.kind}, in a lab",
        about="",
        iut=world.at,
        target=device.target.name,
        profile=PROFILE,
        requirements=[],
        verdict=Verdict.FAIL,
        reason=reason,
        virtual_ms=world.now,
        wall_s=0.0,
        steps=device.steps,
        divergence=divergence,
        ladder=list(device.ladder),
        evidence=evidence or device.evidence,
    )


def _summary(facts: dict[str, Any]) -> str:
    return (
        f"{seconds(facts['virtual_ms'])} s virtual, {facts['wall_s']:.1f} s wall; {facts['frames']} frames; "
        f"{facts['delivered']} of {facts['given']} messages delivered, {facts['payload_bytes']:,} B; "
        f"answers of the SSS: {facts['registered']} registered, {facts['deregistered']} deregistered, "
        f"{facts['refused']} refused"
    )
