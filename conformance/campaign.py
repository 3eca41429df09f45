"""Many purposes against one implementation: `run_campaign`; one recorded trace again: `replay`."""

from __future__ import annotations

import hashlib
import json
import shlex
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from conformance.capture import capture_bytes
from conformance.case import TRACE_VERSION, Outcome, run_case, skipped, unstarted
from conformance.cast import Cast
from conformance.iut.profile import RULES, Iut
from conformance.iut.skips import reason_to_skip
from conformance.iut.target import firmware as described_firmware
from conformance.iut.target import given_deployment
from conformance.iut.target import make_target as described_target
from conformance.purpose import BadPurpose, Purpose, load_purposes, parse
from conformance.results import CaseResult, Report
from conformance.running.base import Done, Engine
from conformance.running.journal import Journal, qemu_version, suite_version
from conformance.running.processes import run_in_processes
from conformance.running.real_time import Differs, Unsuitable, rerun
from conformance.shrink import shrink
from conformance.targets.base import HarnessError, Target
from conformance.targets.native import NativeTarget
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.targets.spare import Spare
from model.profile import PROFILES
from model.verdict import Verdict

__all__ = ["DEFAULT_FIRMWARE", "load_purposes", "replay", "run_campaign", "trace_header"]

DEFAULT_FIRMWARE = Path("build/firmware/controller.elf")
"""What `make firmware` builds."""
DEFAULT_NATIVE = Path("build/host/controller")
"""What `make -C firmware host` builds."""

Progress = Callable[[int, int, CaseResult], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One case to run; plain data, so that another process can take it."""

    purpose: Purpose
    target: str
    firmware: Path | None
    profile: str
    seed: int
    out: Path
    captures: bool = True
    """Whether the frames are written, too."""
    suite: Path | None = None
    """The folder that has the purpose, if it is a generated one."""
    cold: bool = False
    """Whether each boot of a firmware is a new QEMU."""
    real_time: bool = False
    """Whether a case that passes is run once more, in a QEMU in real time."""
    iut: Iut | None = None
    """What is known of an implementation that is not ours; `target`, `firmware` and `profile` do not count then."""

    def make_target(self, spare: Spare | None = None) -> Target:
        """A new handle; `spare` is for a QEMU that may serve several cases. Raises HarnessError if nothing can run."""
        if self.iut is not None:
            return described_target(self.iut)
        if self.target == "reference":
            return ReferenceTarget()
        if self.target == "native":
            return NativeTarget(self.firmware or DEFAULT_NATIVE)
        firmware = self.firmware or DEFAULT_FIRMWARE
        if not firmware.is_file():
            raise HarnessError(
                f"no firmware at {firmware}: `make firmware` builds it, or name yours with --firmware ELF"
            )
        return QemuTarget(firmware, spare=None if self.cold else spare)

    def run(self, spare: Spare | None = None) -> CaseResult:
        """Run it and write trace and capture into `out`."""
        return self.execute(spare).keep(self.out)

    def execute(self, spare: Spare | None = None) -> Done:
        """Run it; trace and capture come with the result."""
        make = partial(self.make_target, spare)
        try:
            if why := self._reason_to_skip():
                return self._done(Outcome(skipped(self.purpose, self.profile, why), ""))
            outcome = run_case(self.purpose, make, profile=self.profile, seed=self.seed, iut=self.iut)
        except HarnessError as error:
            return self.lost(error.what, error.evidence)
        except Exception as error:  # a bug of ours costs this case, not the others of the run
            return self.lost(f"internal error: {type(error).__name__}: {error}", traceback.format_exc().splitlines())
        if self.real_time and outcome.result.verdict is Verdict.PASS:
            self._in_real_time(outcome)
        return self._done(outcome)

    def _reason_to_skip(self) -> str:
        return reason_to_skip(self.iut, self.purpose, given_deployment(self.iut)) if self.iut else ""

    def _known(self, result: CaseResult) -> CaseResult:
        """Note which known deviation is about a case that was run."""
        entry = self.iut.known_deviation(self.purpose.id) if self.iut else None
        if entry is not None and result.verdict is not Verdict.SKIPPED:
            result.expected, result.known = entry.verdict.name, entry.comment
        return result

    def _in_real_time(self, outcome: Outcome) -> None:
        """Run it again so; the result says what was found."""
        result, image = outcome.result, Cast(self.purpose, self.seed).image()
        try:
            result.evidence = [str(rerun(outcome.trace, self.firmware or DEFAULT_FIRMWARE, image))]
        except Differs as error:
            result.verdict, result.reason, result.evidence = Verdict.FAIL, f"In real time: {error.why}", error.evidence
        except Unsuitable as error:
            result.verdict, result.reason = Verdict.INCONCLUSIVE, f"Not for real time: {error.why}."
        except HarnessError as error:
            result.verdict, result.reason, result.evidence = Verdict.ERROR, error.what, list(error.evidence)

    def look(self) -> CaseResult:
        """Run it and leave nothing behind."""
        return run_case(self.purpose, self.make_target, profile=self.profile, seed=self.seed, iut=self.iut).result

    def lost(self, why: str, evidence: Sequence[str] = ()) -> Done:
        """The result, ERROR, if the case could not be run."""
        return self._done(Outcome(unstarted(self.purpose, self.profile, HarnessError(why, list(evidence))), ""))

    def _done(self, outcome: Outcome) -> Done:
        result, files = self._known(outcome.result), {}
        result.reproduce = self.command()
        if outcome.trace:
            result.trace = f"{self.purpose.id}.jsonl"
            files[result.trace] = outcome.trace.encode()
        if outcome.trace and self.captures:
            result.capture = f"{self.purpose.id}.pcapng"
            files[result.capture] = capture_bytes(outcome.frames, outcome.secrets, outcome.context)
        return Done(result, files)

    def command(self) -> str:
        """The command line that runs this case alone."""
        words = [".venv/bin/scewl", "conform", self.purpose.id]
        words += ["--iut", str(self.iut.path)] if self.iut is not None else ["--target", self.target]
        words += ["--seed", str(self.seed)]
        if self.firmware is not None:
            words += ["--firmware", str(self.firmware)]
        if self.profile != "hardened":
            words += ["--profile", self.profile]
        if self.suite is not None:
            words += ["--suite", str(self.suite)]
        if self.real_time:
            words += ["--real-time"]
        return shlex.join(words)


def run_campaign(
    purposes: Sequence[Purpose],
    *,
    target: str,
    firmware: Path | None,
    profile: str,
    seed: int,
    out: Path,
    jobs: int,
    progress: Progress,
    captures: bool = True,
    suite: Path | None = None,
    cold: bool = False,
    real_time: bool = False,
    engine: Engine | None = None,
    resumed: Callable[[Sequence[CaseResult]], None] | None = None,
    iut: Iut | None = None,
) -> Report:
    """Run purposes and write their traces and `captures` into `out`, which exists. `jobs` cases run at a time.
    `suite` is the folder that they come from, for the commands that run one of them again. `iut` is what is known of an
    implementation that is not ours; it says what to run, and how.

    `progress` hears of each case as it ends: how many have, of how many, and the case. The report has the cases in the
    order of `purposes`. `cold` wants a new QEMU for each boot, `real_time` each case that passes once more in real
    time. `engine` runs the cases, in place of `jobs` processes of this machine. With `resumed`, the cases that an
    earlier run into `out` has finished are not run again; it hears of them once, before all else. Raises HarnessError
    if nothing at all can be run, or if the earlier run was of another kind.
    """
    if profile not in PROFILES:
        raise HarnessError(f"no profile {profile}; there are {', '.join(PROFILES)}")
    work = [Job(p, target, firmware, profile, seed, out, captures, suite, cold, real_time, iut) for p in purposes]
    if work:
        work[0].make_target().close()
    by_id = {purpose.id: purpose for purpose in purposes}
    binary = described_firmware(iut) if iut else firmware_of(target, firmware)
    digest = "" if binary is None else _sha256(binary)
    run = {
        "target": target,
        "firmware": digest,
        "profile": profile,
        "seed": seed,
        "captures": captures,
        "real time": real_time,
        "described by": "" if iut is None else _sha256(iut.path),
    }
    journal = Journal(out, run | {"suite's version": suite_version(), "QEMU": qemu_version()})
    results: dict[str, CaseResult] = {}
    if resumed is None:
        _forget(out)
        journal.begin()
    else:
        results = {case.case: case for case in journal.resume(by_id)}
        for job in work:
            if job.purpose.id in results:
                results[job.purpose.id].reproduce = job.command()
        resumed([results[p.id] for p in purposes if p.id in results])
    left = [job for job in work if job.purpose.id not in results]
    with closing(engine(left) if engine else run_in_processes(left, min(jobs, max(len(left), 1)))) as ended:
        for done in ended:
            result = done.keep(out)
            journal.add(by_id[result.case], result)
            results[result.case] = result
            progress(len(results), len(work), result)
    if all(result.verdict is not Verdict.ERROR for result in results.values()):
        journal.end()
    return Report(
        command="",
        target=target,
        profile=profile,
        seed=seed,
        firmware=_described(iut) if iut else {"path": str(binary), "sha256": digest} if target == "qemu" else {},
        cases=[results[p.id] for p in purposes],
    )


def firmware_of(target: str, firmware: Path | None) -> Path | None:
    """The file that a run judges: `firmware` if it is named, else our own; None if the target needs none."""
    if target == "reference":
        return None
    return firmware or (DEFAULT_NATIVE if target == "native" else DEFAULT_FIRMWARE)


def _forget(out: Path) -> None:
    """Remove the traces and captures that the report in `out` names: they would look like this run's."""
    try:
        earlier = Report.load(out / "report.json")
    except (OSError, ValueError):
        return
    for case in earlier.cases:
        for name in (case.trace, case.capture):
            if name and Path(name).name == name:
                (out / name).unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _described(iut: Iut) -> dict[str, Any]:
    """What the report says of an implementation that is not ours."""
    told = {"name": iut.name, "iut": str(iut.path), "iut_sha256": _sha256(iut.path)}
    if unclaimed := [rule for rule in RULES if rule not in iut.claimed]:
        told["not_claimed"] = " ".join(unclaimed)
    path = described_firmware(iut)
    return told | ({"path": str(path), "sha256": _sha256(path)} if path is not None else {})


def replay(
    trace: Path,
    *,
    target: str | None,
    firmware: Path | None,
    out: Path,
    iut: Iut | None = None,
    shorter: Callable[[int, int], None] | None = None,
) -> CaseResult:
    """Run the purpose of a recorded trace again, with its seed and profile, and write the new trace into `out`.

    Without `target` the trace's own is taken. With `shorter`, a case that fails is made shorter first, and `shorter`
    told the number of runs and of steps left. Raises HarnessError if the file is no trace of this version.
    """
    header = trace_header(trace)
    if "lab" in header:
        raise HarnessError(f"{trace}: a trace of a lab, in which several devices played: run the lab's file again")
    try:
        purpose = parse(header["case"], header["purpose"])
        job = Job(purpose, target or header["target"], firmware, header["profile"], header["seed"], out, iut=iut)
    except (KeyError, TypeError, BadPurpose) as error:
        raise HarnessError(f"{trace}: its first line does not describe a run: {error}") from error
    if iut is None and target is None and "iut" in header:
        raise HarnessError(f"{trace}: it was recorded on {header['iut']!r}: name its file with --iut, or a --target")
    if (
        job.target not in ("qemu", "reference", "native", "streams")
        or job.profile not in PROFILES
        or not isinstance(job.seed, int)
    ):
        raise HarnessError(f"{trace}: its first line names an unknown target or profile")
    if shorter is not None:
        job = replace(job, purpose=shrink(purpose, lambda less: replace(job, purpose=less).look(), shorter))
    return job.run()


def trace_header(trace: Path) -> dict[str, Any]:
    """The first line of a trace. Raises HarnessError if the file is no trace of this version."""
    try:
        with trace.open(encoding="utf-8") as file:
            header = json.loads(file.readline())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise HarnessError(f"{trace}: not a trace: {error}") from error
    if not isinstance(header, dict) or header.get("trace") != TRACE_VERSION:
        raise HarnessError(f"{trace}: not a trace of version {TRACE_VERSION}; its first line must say so")
    return header
