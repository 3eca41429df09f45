"""All mutants against the suite: in parallel, resumable, the same result in whatever order they end."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from conformance.mutation.build import Workshop
from conformance.mutation.catalogue import Mutant
from conformance.mutation.judging import FLAGS, Task
from conformance.mutation.results import VERSION, Other, Result, Sample
from conformance.purpose import Purpose
from conformance.targets.base import HarnessError

ROOT = Path(__file__).parents[2]
_JUDGES = ("model", "reference", "conformance")
_NO_JUDGE = ("checking", "cli", "generation", "inspection", "monitors", "mutation", "onlooker", "report", "transitions")
"""Rooms of `conformance/` that have no say in a verdict."""

Progress = Callable[[int, int, Result, bool], None]
"""Hears of each mutant: how many are done, of how many, the result, whether it was known from an earlier run."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all mutants are judged with."""

    workshop: Workshop
    purposes: Sequence[Purpose]
    jobs: int
    progress: Progress
    seed: int = 0

    def judge(
        self, mutants: Sequence[Mutant], *, stop: bool, first: Sequence[str] = (), on: str = "native"
    ) -> list[Result]:
        """Each mutant's result, in their order. Raises HarnessError.

        A mutant's own case is run first, then those named `first`, then the others.
        """
        common = self._key(on)
        tasks = [
            Task(
                mutant,
                self.workshop,
                self._order([mutant.case, *first]),
                _digest([common, mutant.file, mutant.text]),
                stop,
                self.seed,
                on,
            )
            for mutant in mutants
        ]
        found = {task.mutant.id: known for task in tasks if (known := task.known()) is not None}
        done = len(found)
        for number, known in enumerate(found.values(), 1):
            self.progress(number, len(tasks), known, True)
        missing = [task for task in tasks if task.mutant.id not in found]
        if missing:
            self._prepare(on)
        for judged in self._run(missing):
            found[judged.id] = judged
            done += 1
            self.progress(done, len(tasks), judged, False)
        return [found[m.id] for m in mutants]

    def _order(self, first: Sequence[str]) -> list[Purpose]:
        left = {purpose.id: purpose for purpose in self.purposes}
        return [left.pop(name) for name in first if name in left] + list(left.values())

    def _prepare(self, on: str) -> None:
        if on == "qemu":
            self.workshop.prepare_elf()
        else:
            self.workshop.prepare(FLAGS[on])

    def _run(self, tasks: Sequence[Task]) -> Iterator[Result]:
        if self.jobs == 1:
            yield from (task.run() for task in tasks)
            return
        with ProcessPoolExecutor(self.jobs, mp_context=multiprocessing.get_context("forkserver")) as pool:
            waiting = [pool.submit(task.run) for task in tasks]
            try:
                for future in as_completed(waiting):
                    yield future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _key(self, on: str) -> str:
        """Of all that a case's verdict depends on but the mutant and the purpose: sources and judge."""
        firmware = self.workshop.firmware
        files = [
            *firmware.glob("src/*"),
            *firmware.glob("port/*/*"),
            firmware / "Makefile",
            firmware / "mbedtls_config.h",
        ]
        for room in _JUDGES:
            files += [p for p in (ROOT / room).rglob("*.py") if p.relative_to(ROOT).parts[1] not in _NO_JUDGE]
        parts = [p.read_bytes() for p in sorted(files) if p.is_file()]
        return _digest([VERSION, *parts, on, self.seed])


def _digest(parts: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def sharpest(results: Iterable[Result]) -> list[str]:
    """Cases that together kill all that is killed, each the one that kills most of what the ones before it leave."""
    left = [{case for case, verdict in r.killers.items() if verdict == "FAIL"} for r in results]
    left = [killers for killers in left if killers]
    order = []
    while left:
        counts: dict[str, int] = {}
        for killers in left:
            for case in killers:
                counts[case] = counts.get(case, 0) + 1
        best = min(counts, key=lambda case: (-counts[case], case))
        order.append(best)
        left = [killers for killers in left if best not in killers]
    return order


def draw(mutants: Sequence[Mutant], count: int, workshop: Workshop, jobs: int) -> tuple[Sample, list[Mutant]]:
    """A sample of `count` automatic mutants that are programs of their own, and the account of how it was drawn.

    The first of each line in the order of ids, then the second of each, and so on; those are left out that do not
    compile, or whose object code is that of the right file or of one before. Raises HarnessError.
    """
    ranks: dict[tuple[str, int], int] = {}
    ranked = []
    for mutant in mutants:
        rank = ranks[mutant.file, mutant.line] = ranks.get((mutant.file, mutant.line), -1) + 1
        ranked.append((rank, mutant))
    ordered = [mutant for _, mutant in sorted(ranked, key=lambda pair: pair[0])]  # stable: by id within a rank
    sample, chosen = Sample(len(mutants), len(ranks), 0, 0, 0, 0), list[Mutant]()
    seen: set[str] = set()
    at = 0
    while len(chosen) < count and at < len(ordered):
        batch = ordered[at : at + 2 * (count - len(chosen)) + 16]
        at += len(batch)
        codes = workshop.codes(batch, jobs)
        for mutant in batch:
            if len(chosen) == count:
                break
            if mutant.file not in codes:
                raise HarnessError(f"{mutant.file} itself does not compile for the chip")
            sample.drawn += 1
            code = codes.get(mutant.id)
            if code is None:
                sample.refused += 1
            elif code == codes[mutant.file]:
                sample.same += 1
            elif code in seen:
                sample.double += 1
            else:
                seen.add(code)
                chosen.append(mutant)
    return sample, chosen


def compare(here: Sequence[Result], there: Sequence[Result]) -> list[Other]:
    """Mutants that were run on both targets: what differs case by case."""
    by_id = {r.id: r for r in here}
    others = []
    for other in there:
        mine = by_id[other.id].killers
        cases = sorted(mine.keys() | other.killers.keys())
        differ = {
            case: f"{mine.get(case, 'PASS')} here, {other.killers.get(case, 'PASS')} in QEMU"
            for case in cases
            if mine.get(case) != other.killers.get(case)
        }
        others.append(Other(other.id, len(other.killers), differ))
    return others
