"""`scewl conform`: run test purposes against an implementation and report."""

from __future__ import annotations

import argparse
import fnmatch
import json
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from conformance.cli.shared import (
    EXIT_INTERRUPTED,
    EXIT_NOTHING,
    EXIT_PASS,
    UsageError,
    add_target_options,
    check_firmware,
    common_options,
    complain,
    load_iut,
    nearest,
)
from conformance.purpose import BadPurpose, Purpose
from conformance.report.console import Style, asides, details, progress_line, table
from conformance.report.drift import drift
from conformance.report.requirements import load_requirements, load_standards
from conformance.report.write import write_report
from conformance.results import CaseResult, Report
from conformance.targets.base import HarnessError
from model.verdict import Verdict

if TYPE_CHECKING:
    from conformance.iut.profile import Iut
    from conformance.running.base import Engine

_EPILOG = """A PURPOSE is an id, a pattern such as 'glare-*', or a requirement such as SES-9 (docs/protocol.md)
or RFC6347-41 (docs/rfc6347.md).
Without any, all are run.

examples:
  scewl conform --list
  scewl conform --target reference
  scewl conform 'glare-*' SES-8 --firmware my.elf -j 2
  scewl conform register-then-send --target reference --seed 7 --json
  scewl conform --suite quick -j 2                           what make conform runs
  scewl conform --suite full -j 2 'w-*'                      a part of all that there is
  scewl conform --suite reports/out/suite -j 2
  scewl conform --suite reports/out/suite -j 2 --resume      go on where an interrupted run stopped
  scewl conform --suite reports/out/suite --cluster tcp://host:8786
  scewl conform --firmware my.elf --real-time -j 8           does virtual time hide anything?
  scewl conform --firmware my.elf --baseline known.json      known.json: the report.json of a run before
  scewl conform --init-profile my.toml     write a commented file that describes a firmware
  scewl conform --iut my.toml              run the firmware that such a file describes

Each case leaves a trace and a capture, which holds the session secrets. To see the DTLS inside:
  wireshark -X lua_script:conformance/wireshark/scewl.lua reports/out/conform/register.pcapng

exit codes: 0 pass, 1 fail, 2 usage, 3 error or inconclusive, 4 nothing selected, or all skipped, 130 interrupted"""


class _Listed(Protocol):
    """What a purpose has that a command line needs."""

    @property
    def id(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def requirements(self) -> Sequence[str]: ...


_Purpose = TypeVar("_Purpose", bound=_Listed)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "conform",
        help="run test purposes against an implementation and report",
        description="Run test purposes against an implementation and judge each step by the model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("purposes", nargs="*", metavar="PURPOSE", help="what to run (default: everything)")
    add_target_options(parser, "qemu")
    parser.add_argument(
        "--iut",
        type=Path,
        metavar="FILE",
        help="a file that describes the implementation under test: target, certificates, protocol settings, rules that "
        "it claims, known deviations",
    )
    parser.add_argument(
        "--init-profile",
        type=Path,
        nargs="?",
        const=Path("iut.toml"),
        metavar="FILE",
        help="write such a file, commented, for our own firmware, and run nothing (default: iut.toml)",
    )
    parser.add_argument("--profile", choices=("hardened", "historic"), default="hardened", help="default: hardened")
    parser.add_argument(
        "--suite",
        metavar="SUITE",
        help="`quick`: all purposes and some generated cases, under a minute; `full`: all that there is; or the folder "
        "in which `scewl generate` left one (default: the purposes)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="the randomness of the harness (default: the suite's; without one 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/out/conform"),
        metavar="DIR",
        help="where the report goes (default: %(default)s)",
    )
    parser.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="a report.json of an earlier run: exit with 1 if a verdict differs from it, else with 0",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="do not run again what an earlier run into --out has finished with the same firmware, seed and suite",
    )
    parser.add_argument("--list", action="store_true", help="list the purposes that would run, and run nothing")
    parser.add_argument(
        "--real-time",
        action="store_true",
        help="run each case that passes once more in a QEMU in real time, and compare; without PURPOSE a sample",
    )
    parser.add_argument(
        "--cold", action="store_true", help="a new QEMU for each boot, which gives the same results later"
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run the cases on the Dask cluster of this scheduler, such as tcp://host:8786, or on one of -j processes "
        "for `local` (docs/campaigns.md)",
    )
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="cases at a time (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError and HarnessError."""
    from conformance.campaign import load_purposes, run_campaign  # late: the real DTLS stacks make it slow to load
    from conformance.running.real_time import SAMPLE

    if args.init_profile is not None:
        return _init_profile(args.init_profile)
    if args.jobs < 1:
        raise UsageError(f"-j {args.jobs}: at least one case at a time")
    if args.seed is not None and args.seed < 0:
        raise UsageError(f"--seed {args.seed}: a seed is 0 or more")
    if args.suite is not None and args.out.resolve() == Path(args.suite).resolve():
        raise UsageError(f"--out {args.out} is the suite, and its traces would be replaced: name another folder")
    if args.real_time and args.target not in (None, "qemu"):
        raise UsageError(f"--real-time goes with --target qemu: {args.target} has no clock of its own")
    check_firmware(args.target, args.firmware)
    iut = None if args.iut is None else _iut(args)
    baseline = None if args.baseline is None else _baseline(args.baseline)
    seed = args.seed or 0
    try:
        if args.suite is None:
            wanted = list(SAMPLE) if args.real_time and not args.purposes else args.purposes
            purposes = select(load_purposes(), wanted)
        else:
            every, own = load_suite(args.suite)
            purposes, seed = select(every, args.purposes), own if args.seed is None else seed
    except BadPurpose as error:
        raise HarnessError(str(error)) from error
    if iut is not None:
        known = list(dict.fromkeys([*(p.id for p in load_purposes()), *(p.id for p in purposes)]))
        for pattern in iut.entries_for_nothing(known):
            raise UsageError(f"{iut.path}: no case {pattern} for a known deviation{nearest(pattern, known)}")
    if not purposes:
        complain("nothing selected", "`scewl conform --list` shows all purposes")
        return EXIT_NOTHING
    if args.list:
        _list(purposes, as_json=args.json)
        return EXIT_PASS

    target = iut.kind if iut is not None else args.target or "qemu"
    progress_style = Style.of(sys.stderr)
    finished: list[CaseResult] = []

    def progress(done: int, total: int, case: CaseResult) -> None:
        finished.append(case)
        print(progress_line(done, total, case, progress_style), file=sys.stderr, flush=True)

    def resumed(cases: Sequence[CaseResult]) -> None:
        finished.extend(cases)
        print(f"resumed: {len(cases)} of {len(purposes)} cases are from {args.out}", file=sys.stderr, flush=True)

    args.out.mkdir(parents=True, exist_ok=True)
    previous = baseline or _previous(args.out)
    interrupted = False
    try:
        report = run_campaign(
            purposes,
            target=target,
            firmware=args.firmware,
            profile=args.profile,
            seed=seed,
            out=args.out,
            jobs=args.jobs,
            progress=progress,
            suite=None if args.suite is None else Path(args.suite),
            resumed=resumed if args.resume else None,
            cold=args.cold,
            real_time=args.real_time,
            engine=None if args.cluster is None else _cluster(args, target),
            iut=iut,
        )
    except KeyboardInterrupt:
        interrupted = True
        order = [purpose.id for purpose in purposes]
        cases = sorted(finished, key=lambda case: order.index(case.case))
        missing = _missing(target, args.profile, len(purposes) - len(cases))
        report = Report(command="", target=target, profile=args.profile, seed=seed, cases=[*cases, missing])
    report.command = _command(args, target, seed)
    page = write_report(report, args.out, previous, selected=bool(args.purposes))
    _print(report, args.out, as_json=args.json)
    for line in _covered(purposes, args.out):
        print(line, file=sys.stderr if args.json else sys.stdout)
    print(f"report: {page}", file=sys.stderr if args.json else sys.stdout)
    if interrupted:
        complain(
            f"interrupted after {len(finished)} of {len(purposes)} cases; the report has those",
            "the same command with --resume runs the others",
        )
        return EXIT_INTERRUPTED
    if baseline is not None:
        return _compare(baseline, report, args)
    return report.verdict.exit_code


def _cluster(args: argparse.Namespace, target: str) -> Engine:
    """What gives the cases to a cluster. Raises HarnessError without the package for it."""
    from conformance.campaign import firmware_of

    try:
        from conformance.running.cluster import run_on_cluster
    except ModuleNotFoundError as error:
        if error.name not in ("dask", "distributed"):
            raise
        raise HarnessError(
            f"--cluster needs the Python package `distributed`, and there is no `{error.name}`",
            [".venv/bin/python -m pip install '.[cluster]' installs it in a checkout"],
        ) from error
    return partial(run_on_cluster, address=args.cluster, jobs=args.jobs, firmware=firmware_of(target, args.firmware))


def _init_profile(path: Path) -> int:
    """Write the commented file. Raises UsageError."""
    from conformance.campaign import DEFAULT_FIRMWARE
    from conformance.iut import BadIut, write_template

    try:
        write_template(path, DEFAULT_FIRMWARE)
    except BadIut as error:
        raise UsageError(str(error)) from error
    print(
        f"{path}: it describes our own firmware; change what is different for yours, then: scewl conform --iut {path}"
    )
    return EXIT_PASS


def _iut(args: argparse.Namespace) -> Iut:
    """Read the file before anything runs. Raises UsageError."""
    if args.target is not None or args.firmware is not None or args.profile != "hardened":
        raise UsageError("--iut says what to run and by which rules: leave --target, --firmware and --profile out")
    iut = load_iut(args.iut)
    if args.real_time or args.cluster is not None:
        raise UsageError("--iut does not go with --real-time or --cluster: leave one of them out")
    if not iut.exact and args.jobs > 1:
        raise UsageError(f"-j {args.jobs}: {iut.name} is one device, which runs one case at a time")
    return iut


def load_suite(name: str) -> tuple[list[Purpose], int]:
    """The purposes of a suite, by its name or its folder, and its seed. Raises UsageError and HarnessError."""
    from conformance.generation.named import NAMED, named
    from conformance.generation.suite import load

    if name not in NAMED:
        if not Path(name).exists():
            raise UsageError(
                f"--suite {name}: there is no such folder, and the suites with a name are {', '.join(NAMED)}"
            )
        suite = load(Path(name))
        return suite.purposes, suite.seed
    return named(name, lambda text: print(text, file=sys.stderr, flush=True)), 0


def _covered(purposes: Sequence[Purpose], out: Path) -> list[str]:
    """What the run has taken of the observable controller machine, if it is about that; also into coverage.json."""
    if not any(purpose.voice for purpose in purposes):
        return []
    from conformance.generation import coverage

    found = coverage.account(purposes, out)
    if found["transitions"]["taken"]:
        (out / "coverage.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return coverage.lines(found)


def _baseline(path: Path) -> Report:
    """Read it before anything runs. Raises UsageError."""
    try:
        return Report.load(path)
    except OSError as error:
        raise UsageError(f"--baseline {path}: {error.strerror}; it is the report.json of an earlier run") from error
    except ValueError as error:
        raise UsageError(f"--baseline {error}") from error


def _previous(out: Path) -> Report | None:
    """The run whose report this one replaces; None if there is none, or none that can be read."""
    try:
        return Report.load(out / "report.json")
    except (OSError, ValueError):
        return None


def _compare(baseline: Report, report: Report, args: argparse.Namespace) -> int:
    """Say what differs from the baseline; the exit code for it."""
    changes = drift(baseline, report, selected=bool(args.purposes))
    told = sys.stderr if args.json else sys.stdout
    for change in changes:
        print(f"drift: {change}", file=told)
    print(f"baseline {args.baseline}: " + (f"{len(changes)} cases differ" if changes else "no drift"), file=told)
    if any(case.verdict is Verdict.ERROR for case in report.cases):
        return Verdict.ERROR.exit_code
    return Verdict.FAIL.exit_code if changes else EXIT_PASS


def select(purposes: Sequence[_Purpose], wanted: Sequence[str]) -> list[_Purpose]:
    """The purposes that are wanted, in their own order, each once.

    A pattern, or a rule of the protocol page, may select nothing. Raises UsageError for another name without a purpose.
    """
    if not wanted:
        return list(purposes)
    ids = [purpose.id for purpose in purposes]
    rules = {rule for purpose in purposes for rule in purpose.requirements}
    rules |= load_requirements().keys() | load_standards().keys()
    chosen: set[str] = set()
    for name in wanted:
        if name in ids:
            chosen.add(name)
        elif name.upper() in rules:
            chosen |= {purpose.id for purpose in purposes if name.upper() in purpose.requirements}
        elif any(sign in name for sign in "*?["):
            chosen |= set(fnmatch.filter(ids, name))
        else:
            hint = nearest(name, [*ids, *rules]) or ". `scewl conform --list` shows all"
            raise UsageError(f"no purpose {name}{hint}")
    return [purpose for purpose in purposes if purpose.id in chosen]


def _missing(target: str, profile: str, count: int) -> CaseResult:
    """Stands for the cases that an interrupted run did not finish, lest its report look like a whole one."""
    return CaseResult(
        case="interrupted",
        title="The run was interrupted",
        about="",
        iut=0,
        target=target,
        profile=profile,
        requirements=[],
        verdict=Verdict.ERROR,
        reason=f"{count} cases were not finished.",
        virtual_ms=0,
        wall_s=0.0,
        steps=0,
    )


def _list(purposes: Sequence[_Listed], *, as_json: bool) -> None:
    if as_json:
        rows = [{"id": p.id, "title": p.title, "requirements": list(p.requirements)} for p in purposes]
        print(json.dumps(rows, indent=1))
        return
    width = max(len(purpose.id) for purpose in purposes)
    for purpose in purposes:
        print(f"{purpose.id:<{width}}  {purpose.title} ({', '.join(purpose.requirements)})")


def _command(args: argparse.Namespace, target: str, seed: int) -> str:
    """The command that gives this report again; `-j` and `--json` do not change it."""
    words = ["scewl", "conform", *args.purposes]
    words += ["--target", target] if args.iut is None else ["--iut", str(args.iut)]
    if args.firmware is not None:
        words += ["--firmware", str(args.firmware)]
    if args.suite is not None:
        words += ["--suite", str(args.suite)]
    if args.real_time:
        words += ["--real-time"]
    if args.iut is None:
        words += ["--profile", args.profile]
    return shlex.join([*words, "--seed", str(seed)])


def _print(report: Report, out: Path, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(report.to_json())
        return
    style, known = Style.of(sys.stdout), load_requirements() | load_standards()
    for case in report.cases:
        if case.counted > Verdict.PASS:
            print("\n".join(details(case, known, style, folder=out)), end="\n\n")
    for line in asides(report, style):
        print(line)
    print("\n".join(table(report, style)))
