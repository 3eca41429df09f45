"""`scewl generate`: make a suite of traces from the scenarios and the model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from conformance.cli.shared import EXIT_NOTHING, EXIT_PASS, UsageError, common_options, complain, nearest
from conformance.report.console import Style, progress_line
from conformance.results import CaseResult

_EPILOG = """What a suite can cover:
  faults         every transmission of each scenario lost, doubled, late or cut
  double-faults  every two of these faults, repeated flights included (thousands of cases)
  boundaries     every transmission 1 ms before, at and 1 ms after the first timeout
  interleavings  something else happens while each transmission is under way
  hardening      every counterexample of the model without one hardening rule (minutes to find)
  sizes          messages of every size at which something changes
  transitions    walks that take every transition of the observable controller machine
  places         walks that take every transition between places of that machine, a part of the former
  pairs          walks that take every pair of consecutive transitions between its places
  w              the W-method (k = 0) on it: after each transition, what identifies the state that it leads to
  w1             what the W-method has for k = 1 beyond that (12,985 cases)
  walks          random walks over honest and hostile steps, as --seed has them
docs/generation.md says what each of these guarantees.

examples:
  scewl generate                                         all but double faults, into reports/out/suite
  scewl generate --cover double-faults --out suites/double -j 2
  scewl conform --suite reports/out/suite -j 2           run it against our firmware
  scewl conform --suite reports/out/suite --firmware my.elf 'send-lose-*'

Each case is a trace, made with the reference and judged by the model; index.json lists them, and which rules of the
model they take. The same options make the same bytes.

exit codes: 0 written, 2 usage, 3 error, 130 interrupted"""
_DEFAULT = ("faults", "boundaries", "interleavings", "sizes")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the program."""
    parser = commands.add_parser(
        "generate",
        help="make a suite of traces",
        description="Make a suite: a folder of traces that `scewl conform --suite` runs against an implementation.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument(
        "--cover",
        default=",".join(_DEFAULT),
        metavar="WHAT[,WHAT...]",
        help="what the suite has to cover (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the randomness of all devices (default: 0)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("reports/out/suite"),
        metavar="DIR",
        help="where the suite goes: a new folder, or one with a suite (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the cases, and write nothing")
    parser.add_argument("-j", "--jobs", type=int, default=1, metavar="N", help="cases at a time (default: 1)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. Raises UsageError, HarnessError and OSError."""
    from conformance.generation.coverage import lines
    from conformance.generation.suite import COVERS, INDEX, generate, purposes  # late: the real DTLS stacks are slow

    covers = [word.strip() for word in args.cover.split(",") if word.strip()]
    for word in covers:
        if word not in COVERS:
            raise UsageError(f"no cover {word}" + (nearest(word, COVERS) or f"; there are {', '.join(COVERS)}"))
    if args.jobs < 1:
        raise UsageError(f"-j {args.jobs}: at least one case at a time")
    if args.seed < 0:
        raise UsageError(f"--seed {args.seed}: a seed is 0 or more")
    if not covers:
        complain("nothing to cover", f"--cover takes {', '.join(COVERS)}")
        return EXIT_NOTHING
    if args.list:
        made = purposes(covers, args.seed)
        if args.json:
            rows = [{"id": p.id, "title": p.title, "requirements": list(p.requirements)} for p in made]
            print(json.dumps(rows, indent=1))
        else:
            print("\n".join(f"{purpose.id}  {purpose.title}" for purpose in made))
        return EXIT_PASS
    _empty(args.out, INDEX)
    style = Style.of(sys.stderr)

    def progress(done: int, total: int, case: CaseResult) -> None:
        print(progress_line(done, total, case, style), file=sys.stderr, flush=True)

    print("running the scenarios to see what is transmitted", file=sys.stderr, flush=True)
    if "hardening" in covers:
        print("checking the model without each hardening rule, which takes minutes", file=sys.stderr, flush=True)
    index = generate(covers, seed=args.seed, out=args.out, jobs=args.jobs, progress=progress)
    if args.json:
        print(json.dumps(index, indent=1))
        return EXIT_PASS
    coverage = index["coverage"]
    taken, left = len(coverage["rules"]), coverage["rules_not_taken"]
    print(f"{len(index['cases'])} cases, all PASS on the reference; {taken} of {taken + len(left)} rules of the model")
    if "machine" in coverage:
        print("\n".join(lines(coverage["machine"])))
        for name, count in coverage["cannot"].items():
            print(f"  {count:,} more cannot be made of bytes: {name}. {coverage['reasons'][name]}")
    print(f"run them: scewl conform --suite {args.out}")
    return EXIT_PASS


def _empty(out: Path, index: str) -> None:
    """Make the folder, or remove the suite in it. Raises UsageError if it holds anything else."""
    out.mkdir(parents=True, exist_ok=True)
    files = list(out.iterdir())
    if files and not (out / index).is_file():
        raise UsageError(f"{out} is neither empty nor a suite: name another folder with --out")
    for file in files:
        if file.suffix in (".jsonl", ".json"):
            file.unlink()
