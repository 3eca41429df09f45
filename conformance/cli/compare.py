"""`scewl compare`: the same cases on the reference and on an implementation, and where they first differ."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from conformance.cli.conform import load_suite, select
from conformance.cli.shared import (
    EXIT_NOTHING,
    UsageError,
    add_target_options,
    check_firmware,
    common_options,
    complain,
)
from conformance.purpose import BadPurpose, Purpose, parse
from conformance.report.console import Style, progress_line
from conformance.results import CaseResult
from conformance.targets.base import HarnessError

_EPILOG = """A PURPOSE is an id, a pattern or a requirement, as for `scewl conform`; or a trace (.jsonl) to run again.
Both implementations are judged by the model, step by step, and their steps compared with each other: what came, what
they did, their next deadline. What differs first is shown, with the model's opinion and a ladder of both.

examples:
  scewl compare                                        every purpose on the reference and our firmware in QEMU
  scewl compare 'glare-*' SES-8 --firmware my.elf -j 2
  scewl compare reports/out/conform/lost-flight-2.jsonl --firmware my.elf
  scewl compare --suite quick --target native -j 2     the C on this machine

Both sides' traces and captures, and compare.json, go to --out.

exit codes: 0 nothing differs and all passes, 1 something differs or fails, 2 usage, 3 error or inconclusive,
4 nothing selected, 130 interrupted"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "compare",
        help="run cases on the reference and on an implementation, and show the first difference",
        description="Run the same cases on the reference and an implementation, judge both, and compare their steps.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("purposes", nargs="*", metavar="PURPOSE", help="what to run (default: every purpose)")
    add_target_options(parser, "qemu")
    parser.add_argument("--suite", metavar="SUITE", help="the cases of a suite: `quick`, `full` or a folder")
    parser.add_argument(
        "--seed", type=int, metavar="N", help="the randomness of the harness (default: the suite's or 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/out/compare"),
        metavar="DIR",
        help="where traces and compare.json go (default: %(default)s)",
    )
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="cases at a time (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError and HarnessError."""
    from conformance.campaign import run_campaign  # late: the real DTLS stacks make it slow to load
    from conformance.compare import compare, exit_code, lines

    target = args.target or "qemu"
    if target == "reference":
        raise UsageError("--target reference: that is the other side; name qemu or native")
    if args.jobs < 1:
        raise UsageError(f"-j {args.jobs}: at least one case at a time")
    if args.seed is not None and args.seed < 0:
        raise UsageError(f"--seed {args.seed}: a seed is 0 or more")
    check_firmware(target, args.firmware)
    purposes, seed = _purposes(args)
    if not purposes:
        complain("nothing selected", "`scewl conform --list` shows all purposes")
        return EXIT_NOTHING
    style = Style.of(sys.stderr)

    def progress(side: str, done: int, total: int, case: CaseResult) -> None:
        print(f"{side:<10}{progress_line(done, total, case, style)}", file=sys.stderr, flush=True)

    names = ("reference", target)
    reports = []
    for name in names:
        out = args.out / name
        out.mkdir(parents=True, exist_ok=True)
        reports.append(
            run_campaign(
                purposes,
                target=name,
                firmware=None if name == "reference" else args.firmware,
                profile="hardened",
                seed=seed,
                out=out,
                jobs=args.jobs,
                progress=lambda done, total, case, side=name: progress(side, done, total, case),  # type: ignore[misc]
            )
        )
    found = [
        compare(
            (one, other), names, (args.out / names[0] / f"{one.case}.jsonl", args.out / names[1] / f"{one.case}.jsonl")
        )
        for one, other in zip(reports[0].cases, reports[1].cases, strict=True)
    ]
    text = json.dumps([c.document() for c in found], indent=1) + "\n"
    (args.out / "compare.json").write_text(text, "utf-8")
    if args.json:
        sys.stdout.write(text)
        return exit_code(found)
    differ = [c for c in found if not c.same]
    for comparison in differ:
        print("\n".join(lines(comparison)), end="\n\n")
    wrong = [c for c in found if c.same and c.verdicts[0].exit_code]
    for comparison in wrong:
        print(f"{comparison.case}: both {comparison.verdicts[0].name}: {comparison.reasons[0]}")
    print(f"{len(found)} case{'s' * (len(found) != 1)} on {names[0]} and {names[1]}: {len(differ) or 'none'} differ")
    print(f"report: {args.out / 'compare.json'}")
    return exit_code(found)


def _purposes(args: argparse.Namespace) -> tuple[list[Purpose], int]:
    """What to run, and the seed. Raises UsageError and HarnessError."""
    from conformance.campaign import load_purposes, trace_header

    traces = [Path(name) for name in args.purposes if name.endswith(".jsonl")]
    if not traces:
        try:
            purposes, seed = (load_purposes(), 0) if args.suite is None else load_suite(args.suite)
        except BadPurpose as error:
            raise HarnessError(str(error)) from error
        return select(purposes, args.purposes), seed if args.seed is None else args.seed
    if len(traces) < len(args.purposes) or args.suite is not None:
        raise UsageError("traces and purposes do not go together; run one and then the other")
    found: dict[str, Purpose] = {}
    seeds = set()
    for trace in traces:
        if not trace.is_file():
            raise UsageError(f"no trace at {trace}; `scewl conform` writes one per case into its --out folder")
        header = trace_header(trace)
        try:
            found[header["case"]] = parse(header["case"], header["purpose"])
            seeds.add(int(header["seed"]))
        except (KeyError, TypeError, ValueError, BadPurpose) as error:
            raise HarnessError(f"{trace}: its first line does not describe a run: {error}") from error
    if len(seeds) > 1 and args.seed is None:
        raise UsageError(f"the traces have the seeds {', '.join(map(str, sorted(seeds)))}: choose one with --seed")
    return list(found.values()), min(seeds) if args.seed is None else args.seed
