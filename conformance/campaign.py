"""Many purposes against one implementation: `run_campaign`; one recorded trace again: `replay`."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shlex
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conformance.capture import write_capture
from conformance.case import TRACE_VERSION, Outcome, run_case, skipped, unstarted
from conformance.iut.profile import RULES, Iut
from conformance.iut.skips import reason_to_skip
from conformance.iut.target import firmware as firmware_of
from conformance.iut.target import given_deployment, make_target
from conformance.purpose import BadPurpose, Purpose, load_purposes, parse
from conformance.results import CaseResult, Report
from conformance.shrink import shrink
from conformance.targets.base import HarnessError, Target
from conformance.targets.native import NativeTarget
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
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
    iut: Iut | None = None
    """What is known of an implementation that is not ours; `target`, `firmware` and `profile` do not count then."""

    def make_target(self) -> Target:
        """A new handle. Raises HarnessError if there is nothing to run."""
        if self.iut is not None:
            return make_target(self.iut)
        if self.target == "reference":
            return ReferenceTarget()
        if self.target == "native":
            return NativeTarget(self.firmware or DEFAULT_NATIVE)
        firmware = self.firmware or DEFAULT_FIRMWARE
        if not firmware.is_file():
            raise HarnessError(
                f"no firmware at {firmware}: `make firmware` builds it, or name yours with --firmware ELF"
            )
        return QemuTarget(firmware)

    def run(self) -> CaseResult:
        """Run it and write trace and capture into `out`."""
        try:
            if why := self._reason_to_skip():
                return self._known(skipped(self.purpose, self.profile, why))
            outcome = run_case(self.purpose, self.make_target, profile=self.profile, seed=self.seed, iut=self.iut)
        except HarnessError as error:
            outcome = Outcome(unstarted(self.purpose, self.profile, error), "")
        except Exception as error:  # a bug of ours costs this case, not the others of the run
            fault = HarnessError(
                f"internal error: {type(error).__name__}: {error}", traceback.format_exc().splitlines()
            )
            outcome = Outcome(unstarted(self.purpose, self.profile, fault), "")
        return self._keep(outcome)

    def _reason_to_skip(self) -> str:
        return reason_to_skip(self.iut, self.purpose, given_deployment(self.iut)) if self.iut else ""

    def _known(self, result: CaseResult) -> CaseResult:
        """Note which known deviation is about a case that was run."""
        entry = self.iut.known_deviation(self.purpose.id) if self.iut else None
        if entry is not None and result.verdict is not Verdict.SKIPPED:
            result.expected, result.known = entry.verdict.name, entry.comment
        return result

    def look(self) -> CaseResult:
        """Run it and leave nothing behind."""
        return run_case(self.purpose, self.make_target, profile=self.profile, seed=self.seed, iut=self.iut).result

    def _keep(self, outcome: Outcome) -> CaseResult:
        result = self._known(outcome.result)
        result.reproduce = self.command()
        if outcome.trace:
            result.trace = f"{self.purpose.id}.jsonl"
            (self.out / result.trace).write_text(outcome.trace, "utf-8")
        if outcome.trace and self.captures:
            result.capture = f"{self.purpose.id}.pcapng"
            write_capture(self.out / result.capture, outcome.frames, outcome.secrets, outcome.context)
        return result

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
    iut: Iut | None = None,
) -> Report:
    """Run purposes and write their traces and `captures` into `out`, which exists. `jobs` cases run at a time.
    `suite` is the folder that they come from, for the commands that run one of them again. `iut` is what is known of an
    implementation that is not ours; it says what to run, and how.

    `progress` hears of each case as it ends: how many have, of how many, and the case. The report has the cases in the
    order of `purposes`. Raises HarnessError if nothing at all can be run.
    """
    if profile not in PROFILES:
        raise HarnessError(f"no profile {profile}; there are {', '.join(PROFILES)}")
    _forget(out)
    work = [Job(p, target, firmware, profile, seed, out, captures, suite, iut) for p in purposes]
    if work:
        work[0].make_target().close()
    results: dict[str, CaseResult] = {}
    for result in _run_all(work, jobs):
        results[result.case] = result
        progress(len(results), len(work), result)
    return Report(
        command="",
        target=target,
        profile=profile,
        seed=seed,
        firmware=_firmware(firmware or DEFAULT_FIRMWARE) if target == "qemu" and iut is None else _described(iut),
        cases=[results[p.id] for p in purposes],
    )


def _run_all(work: Sequence[Job], jobs: int) -> Iterator[CaseResult]:
    if jobs == 1:
        yield from (job.run() for job in work)
        return
    try:
        executor = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("forkserver"))
    except OSError as error:
        raise HarnessError(
            f"cannot run {jobs} cases at a time ({error}): use -j 1, or make /dev/shm writable"
        ) from error
    with executor as pool:
        waiting = {pool.submit(job.run): job for job in work}
        try:
            for future in as_completed(waiting):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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


def _firmware(path: Path) -> dict[str, Any]:
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _described(iut: Iut | None) -> dict[str, Any]:
    """What the report says of an implementation that is not ours."""
    if iut is None:
        return {}
    told = {"name": iut.name, "iut": str(iut.path), "iut_sha256": hashlib.sha256(iut.path.read_bytes()).hexdigest()}
    if unclaimed := [rule for rule in RULES if rule not in iut.claimed]:
        told["not_claimed"] = " ".join(unclaimed)
    path = firmware_of(iut)
    return told | (_firmware(path) if path is not None else {})


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
