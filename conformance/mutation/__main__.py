"""`python -m conformance.mutation`: build every wrong firmware, run the suite against each, and say what catches it.

Exit status: 0 if every written mutant is killed, and 90 % of the automatic ones are killed or explained, with none
unexplained; 1 if not; 2 usage; 3 if the harness failed; 130 interrupted: what was judged is kept and not judged again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from conformance.mutation import matrix as matrices
from conformance.mutation import survivors
from conformance.mutation.build import Workshop
from conformance.mutation.catalogue import Mutant, automatic, written
from conformance.mutation.page import BAR, bar, page, unexplained
from conformance.mutation.results import Matrix, Result
from conformance.purpose import load_purposes
from conformance.targets.base import HarnessError

_EPILOG = """examples:
  make mutants                                              all of it; reports/mutants.md and .json
  .venv/bin/python -m conformance.mutation -j 2             the written ones alone, nothing is committed: see --report
  .venv/bin/python -m conformance.mutation --only no-yield no-cookie
  .venv/bin/python -m conformance.mutation --first          each only up to its first FAIL: fast
  .venv/bin/python -m conformance.mutation --automatic 300 --qemu 6 --report reports/mutants
  .venv/bin/python -m conformance.mutation --suite reports/out/suite"""


def main(words: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    args = _parser().parse_args(words)
    try:
        made = _run(args)
    except HarnessError as error:
        print(f"mutants: {error.what}", *(f"  {line}" for line in error.evidence), sep="\n", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("mutants: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.with_suffix(".json").write_text(made.to_json(), "utf-8")
    args.report.with_suffix(".md").write_text(page(made), "utf-8")
    print(f"report: {args.report.with_suffix('.md')}")
    return _verdict(made)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.mutation",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--mutants",
        type=Path,
        default=Path("tests/firmware/mutants.toml"),
        metavar="TOML",
        help="those that people wrote",
    )
    parser.add_argument("--only", nargs="+", metavar="ID", help="of these, only some")
    parser.add_argument(
        "--first", action="store_true", help="stop each mutant at its first FAIL: no table of all killers"
    )
    parser.add_argument(
        "--automatic",
        type=int,
        default=0,
        metavar="N",
        help="a sample of N that universalmutator makes, too (default: none)",
    )
    parser.add_argument(
        "--survivors",
        type=Path,
        default=Path("tests/firmware/survivors.toml"),
        metavar="TOML",
        help="why some need no case",
    )
    parser.add_argument(
        "--tool", type=Path, default=Path("build/mutator"), metavar="DIR", help="where universalmutator is installed"
    )
    parser.add_argument(
        "--qemu",
        type=int,
        default=0,
        metavar="N",
        help="N of the written ones in QEMU, too, case by case (default: none)",
    )
    parser.add_argument("--suite", type=Path, metavar="DIR", help="a generated suite instead of the purposes")
    parser.add_argument(
        "--firmware", type=Path, default=Path("firmware"), metavar="DIR", help="the firmware's sources and Makefile"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("reports/out/mutants"),
        metavar="DIR",
        help="what was judged, and the killing traces",
    )
    parser.add_argument(
        "--report",
        type=Path,
        default=Path("reports/out/mutants/mutants"),
        metavar="PATH",
        help="without .md and .json (default: %(default)s)",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="mutants at a time (default: one per core)",
    )
    return parser


def _run(args: argparse.Namespace) -> Matrix:
    args.work.mkdir(parents=True, exist_ok=True)
    mbedtls = Path(os.environ.get("MBEDTLS_DIR") or "build/mbedtls")
    workshop = Workshop(args.firmware.resolve(), mbedtls.resolve(), args.work.resolve())
    if args.suite is None:
        purposes, seed = load_purposes(), 0
    else:
        from conformance.generation import suite  # late: it brings the command line's half of the house

        loaded = suite.load(args.suite)
        purposes, seed = loaded.purposes, loaded.seed
    known = written(args.mutants, workshop.sources)
    chosen = _only(known, args.only)
    bench = matrices.Bench(workshop, purposes, max(1, args.jobs), _progress, seed)
    _say(f"{len(chosen)} written mutants, {len(purposes)} cases each" + (" at most" if args.first else ""))
    made = Matrix("purposes" if args.suite is None else args.suite.name, len(purposes))
    made.written = bench.judge(chosen, stop=args.first)
    if args.qemu:
        whole = [m for m, r in zip(chosen, made.written, strict=True) if not r.hangs]
        some = whole[:: max(1, len(whole) // args.qemu)][: args.qemu]
        _say(f"{len(some)} of them, every case, here and in QEMU")
        made.qemu = matrices.compare(bench.judge(some, stop=False), bench.judge(some, stop=False, on="qemu"))
    if args.automatic:
        explained = survivors.load(args.survivors)
        _say("drawing a sample of the automatic ones")
        sample, drawn = matrices.draw(automatic(workshop.sources, args.tool), args.automatic, workshop, args.jobs)
        first = matrices.sharpest(made.written)
        _say(f"{len(drawn)} automatic mutants of {sample.made}")
        sample.take(bench.judge(drawn, stop=True, first=first, on="sanitized"))
        sample.explained = [explained[r.id] for r in sample.judged if not r.killed and r.id in explained]
        made.automatic = sample
    return made


def _only(known: list[Mutant], names: Sequence[str] | None) -> list[Mutant]:
    if not names:
        return known
    missing = sorted(set(names) - {m.id for m in known})
    if missing:
        raise HarnessError(f"no mutant {', '.join(missing)}")
    return [m for m in known if m.id in names]


def _verdict(made: Matrix) -> int:
    """Say what is left; the exit status."""
    judged = [*made.written, *(made.automatic.judged if made.automatic else [])]
    broken = [r for r in judged if r.error]
    alive = [r for r in made.written if not r.killed]
    killed = len(made.written) - len(alive)
    print(f"written: {killed} of {len(made.written)} killed" + "".join(f"\n  {r.id} survives: {r.says}" for r in alive))
    bad = bool(alive)
    if made.automatic is not None:
        left, part = unexplained(made.automatic), bar(made.automatic)
        print(f"automatic: {part:.1%} of {len(made.automatic.judged)} killed or explained, {len(left)} unexplained")
        for r in left:
            print(f"  {r.id} survives, {r.file}:{r.line}: {r.says}")
        bad = bad or bool(left) or part < BAR
    for r in broken:
        print(f"  {r.id}: error: {r.error}")
    return 3 if broken else int(bad)


def _progress(done: int, total: int, result: Result, known: bool) -> None:
    said = (
        f"killed by {result.cheapest.case}"
        if result.cheapest
        else f"error: {result.error}"
        if result.error
        else "SURVIVES"
    )
    _say(f"[{done:>{len(str(total))}}/{total}] {result.id}: {said}" + (" (known)" if known else ""))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
