"""`scewl replay`: run one recorded trace again and judge it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from conformance.cli.shared import UsageError, add_target_options, check_firmware, common_options, load_iut
from conformance.report.console import Style, details
from conformance.report.requirements import load_requirements
from conformance.results import CaseResult

_FRAMES = 60
"""Frames of the ladder that is printed; the trace has all."""
_EPILOG = """examples:
  scewl replay reports/out/conform/register-then-send.jsonl
  scewl replay counterexample.jsonl --firmware my.elf
  scewl replay reports/out/conform/register.jsonl --iut my.toml
  scewl replay walk-007.jsonl --firmware my.elf --shrink     with as few steps as fail the same way
  scewl replay alarms/watched-1-1.jsonl                      what a node under --watch did, judged once more
  scewl replay alarms/watched-10-1.jsonl --deployment DIR    the same stimuli for another reference controller

exit codes: 0 pass, 1 fail, 2 usage, 3 error or inconclusive"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "replay",
        help="run one recorded trace again and judge it",
        description="Give a trace's stimuli to an implementation again and judge what it does.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("trace", type=Path, metavar="TRACE", help="a trace (.jsonl) of an earlier run")
    parser.add_argument("--iut", type=Path, metavar="FILE", help="the file that describes what is judged")
    add_target_options(parser, "qemu with --firmware, else the trace's own")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/out/replay"),
        metavar="DIR",
        help="where the new trace and capture go (default: %(default)s)",
    )
    parser.add_argument(
        "--deployment",
        type=Path,
        metavar="DIR",
        help="of the trace of a watched controller: give its stimuli to a new reference controller of this deployment",
    )
    parser.add_argument(
        "--shrink", action="store_true", help="if it fails, leave out steps while it fails the same way"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError and HarnessError."""
    from conformance.campaign import replay  # late: the real DTLS stacks make it slow to load

    if not args.trace.is_file():
        raise UsageError(f"no trace at {args.trace}; `scewl conform` writes one per case into its --out folder")
    check_firmware(args.target, args.firmware)
    if args.iut is not None and (args.target or args.firmware):
        raise UsageError("--iut says what to run: leave --target and --firmware out")
    iut = None if args.iut is None else load_iut(args.iut)
    args.out.mkdir(parents=True, exist_ok=True)
    if (case := _watched(args)) is not None:
        return _show(case, args)
    target = args.target or ("qemu" if args.firmware else None)

    def shorter(runs: int, steps: int) -> None:
        print(f"{runs} runs: {steps} steps still fail", file=sys.stderr, flush=True)

    told = shorter if args.shrink else None
    case = replay(args.trace, target=target, firmware=args.firmware, out=args.out, iut=iut, shorter=told)
    return _show(case, args)


def _watched(args: argparse.Namespace) -> CaseResult | None:
    """The result, if the trace is that of a watched node. Raises UsageError and HarnessError."""
    from conformance.watching.replay import replay_watched

    with args.trace.open("rb") as file:
        watched = b'"watched":' in file.readline()
    if not watched:
        if args.deployment is not None:
            raise UsageError("--deployment goes with the trace of a watched controller; this is none")
        return None
    if args.target or args.firmware or args.iut or args.shrink:
        raise UsageError("the trace is of a watched node, which is judged by itself: only --deployment goes with it")
    return replay_watched(args.trace, args.out, args.deployment)


def _show(case: CaseResult, args: argparse.Namespace) -> int:
    if args.json:
        print(json.dumps(asdict(case) | {"verdict": case.verdict.name}, indent=1, sort_keys=True))
    else:
        style = Style.of(sys.stdout)
        print("\n".join(details(case, load_requirements(), style, folder=args.out, frames=_FRAMES)))
    return case.verdict.exit_code
