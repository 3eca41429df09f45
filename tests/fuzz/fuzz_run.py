"""Fuzz everything that reads captures: `make fuzz`, or this file with `--help`.

Case n of a seed is the same bytes in every run. A finding is written to a folder: the bytes, the traceback, and the
command that makes it again. Exit codes: 0 nothing found, 1 findings, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import queue
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "conformance" / "captures"):
    sys.path.insert(0, str(folder))

from fuzz_consume import Consumer, Grown  # noqa: E402
from fuzz_corpus import Seed, corpus  # noqa: E402
from fuzz_mutate import Case, make_case  # noqa: E402

CHUNK = 1_000
"""Cases that a process takes at a time; after each it looks at what it keeps."""
MOST_SECONDS = 20
"""Of a core, for one case; most take some milliseconds."""
MOST_MEMORY = 3 << 30
"""Bytes of address space of one process: what asks for more gets a MemoryError, which is a finding."""
MOST_FINDINGS = 20
"""Different ones; then the run ends."""


class TooSlow(Exception):
    """A case took longer than `MOST_SECONDS`."""


@dataclass(frozen=True)
class Finding:
    """What went wrong, and with which case. Two with the same place are one."""

    number: int
    place: str
    text: str
    told: str
    data: bytes


@dataclass(frozen=True)
class Done:
    """A chunk: how many cases, the bytes kept after it, and what was found."""

    cases: int
    kept: int
    findings: list[Finding]


def take(consumer: Consumer, case: Case) -> Finding | None:
    """One case, and what went wrong with it."""
    try:
        consumer.take(case)
    except Exception as error:  # whatever it is, it is what is looked for
        return _finding(case, error)
    return None


def _finding(case: Case, error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f"{os.sep}conformance{os.sep}" in f.filename] or frames
    place = f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"
    text = "".join(traceback.format_exception(error))
    return Finding(case.number, place, text, case.told, case.data)


def chunk(consumer: Consumer, seeds: list[Seed], seed: int, numbers: range) -> Done:
    """Some cases, and a look at what is kept."""
    findings = [f for n in numbers if (f := take(consumer, make_case(seeds, seed, n))) is not None]
    kept = 0
    try:
        kept = consumer.check_size()
    except Grown as error:
        last = make_case(seeds, seed, numbers[-1])
        findings.append(Finding(last.number, "Grown", str(error), last.told, last.data))
    return Done(len(numbers), kept, findings)


def _alarm(_signal: int, _frame: object) -> NoReturn:
    raise TooSlow(f"more than {MOST_SECONDS} s of a core")


def _work(seed: int, tasks: multiprocessing.Queue[range | None], results: multiprocessing.Queue[Done]) -> None:
    """A process: chunks until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, _alarm)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    seeds, consumer = corpus(), _Timed()
    while (numbers := tasks.get()) is not None:
        results.put(chunk(consumer, seeds, seed, numbers))


class _Timed(Consumer):
    """A consumer that has no patience."""

    def take(self, case: Case) -> None:
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        try:
            super().take(case)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def run(seed: int, first: int, count: int, jobs: int) -> Iterator[Done]:
    """All chunks of a run, as they are done. Raises RuntimeError if a process dies."""
    tasks: multiprocessing.Queue[range | None] = multiprocessing.Queue()
    results: multiprocessing.Queue[Done] = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=_work, args=(seed, tasks, results), daemon=True) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    starts = range(first, first + count, CHUNK)
    for start in starts:
        tasks.put(range(start, min(start + CHUNK, first + count)))
    for _ in workers:
        tasks.put(None)
    left = len(starts)
    while left:
        try:
            yield results.get(timeout=1)
            left -= 1
        except queue.Empty:
            dead = [w.exitcode for w in workers if w.exitcode]
            if dead:
                raise RuntimeError(f"a process died with {dead[0]}; what it had done is lost") from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="cases (default: a million)")
    parser.add_argument("--seed", type=int, default=0, help="of the whole run (default: 0)")
    parser.add_argument("--only", type=int, metavar="N", help="this case alone, its traceback on standard output")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one to a core)")
    parser.add_argument("--out", type=Path, default=Path("reports/out/fuzz"), help="where findings go")
    options = parser.parse_args()
    if options.count < 1 or options.jobs < 1:
        parser.error("--count and --jobs are at least 1")
    if options.only is not None:
        finding = take(Consumer(), make_case(corpus(), options.seed, options.only))
        print(finding.text if finding else "nothing wrong", end="" if finding else "\n")
        return 1 if finding else 0
    return _all(options.seed, options.count, options.jobs, options.out)


def _all(seed: int, count: int, jobs: int, out: Path) -> int:
    began, cases, most = time.monotonic(), 0, 0
    found: dict[str, int] = {}
    for done in run(seed, 0, count, jobs):
        cases, most = cases + done.cases, max(most, done.kept)
        for finding in done.findings:
            if finding.place not in found:
                write(out, seed, finding)
            found[finding.place] = found.get(finding.place, 0) + 1
        rate = cases / (time.monotonic() - began)
        line = f"{cases:,} of {count:,} cases, {rate:,.0f}/s, {len(found)} findings, {most >> 20} MB kept at most"
        print(f"\r{line}\x1b[K" if sys.stderr.isatty() else line, end="", file=sys.stderr, flush=True)
        if not sys.stderr.isatty():
            print(file=sys.stderr)
        if len(found) >= MOST_FINDINGS:
            break
    print(file=sys.stderr)
    for place, times in found.items():
        print(f"{times} x {place}")
    print(f"{cases:,} cases, {len(found)} findings" + (f" in {out}" if found else ""))
    return 1 if found else 0


def write(out: Path, seed: int, finding: Finding) -> None:
    """The finding as two files; the capture may hold secrets, of test keys only."""
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"finding-{seed}-{finding.number}"
    again = f".venv/bin/python tests/fuzz/fuzz_run.py --seed {seed} --only {finding.number}"
    stem.with_suffix(".txt").write_text(f"{finding.place}\nagain: {again}\ndone to: {finding.told}\n\n{finding.text}")
    stem.with_suffix(".pcapng").write_bytes(finding.data)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes end with this one
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
