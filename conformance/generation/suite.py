"""A suite: a folder with a trace for each case, made on the reference, and an index that says what they cover."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.campaign import Progress, run_campaign, trace_header
from conformance.generation import coverage, covers, faults, hardening, walks, wmethod
from conformance.generation.interleavings import interleavings
from conformance.generation.scenarios import SCENARIOS, Scenario
from conformance.generation.sizes import sizes
from conformance.purpose import BadPurpose, Purpose, parse
from conformance.targets.base import HarnessError
from model.rules import RULES
from model.verdict import Verdict

INDEX: Final = "index.json"
VERSION: Final = 1


Make = Callable[[int], Iterator[Purpose]]
"""Makes purposes; of the seed, which most do not need."""


def _planned(make: Callable[[], Iterator[Purpose]]) -> Make:
    return lambda _: make()


def _each(make: Callable[[Scenario], Iterator[Purpose]]) -> Make:
    return lambda _: (purpose for scenario in SCENARIOS for purpose in make(scenario))


COVERS: Final[dict[str, tuple[str, Make]]] = {
    "faults": ("every transmission of each scenario lost, doubled, late or cut", _each(faults.single)),
    "double-faults": ("every two of these faults, repeated flights included", _each(faults.double)),
    "boundaries": ("every transmission 1 ms before, at and 1 ms after the first timeout", _each(faults.boundaries)),
    "interleavings": ("something else happens while each transmission is under way", _each(interleavings)),
    "hardening": ("every counterexample of the model without one hardening rule", _planned(hardening.hardening)),
    "sizes": ("messages of every size at which something changes", _planned(sizes)),
    "transitions": (
        "walks that take every transition of the observable controller machine",
        _planned(covers.transitions),
    ),
    "places": ("walks that take every transition between places of that machine", _planned(covers.places)),
    "pairs": ("walks that take every pair of consecutive transitions between its places", _planned(covers.pairs)),
    "w": ("the W-method, k = 0: after each transition, what identifies the state it leads to", _planned(wmethod.w)),
    "w1": ("what the W-method has for k = 1 beyond that: the same after each two transitions", _planned(wmethod.w1)),
    "walks": ("random walks over honest and hostile steps, as the seed has them", walks.walks),
}
"""What a suite can cover: in words, and the purposes that do."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What a folder holds."""

    purposes: list[Purpose]
    seed: int


def purposes(covers: Iterable[str], seed: int = 0) -> list[Purpose]:
    """The purposes of some of `COVERS`, in its order, each once; the same each time."""
    wanted = set(covers)
    made = (purpose for name, (_, make) in COVERS.items() if name in wanted for purpose in make(seed))
    return list({purpose.id: purpose for purpose in made}.values())


def generate(names: Sequence[str], *, seed: int, out: Path, jobs: int, progress: Progress) -> dict[str, Any]:
    """Write a suite into `out`, which exists; return its index.

    Raises HarnessError if a case is not PASS on the reference: then the fault is ours, and a suite of it worth nothing.
    """
    made = purposes(names, seed)
    report = run_campaign(
        made,
        target="reference",
        firmware=None,
        profile="hardened",
        seed=seed,
        out=out,
        jobs=jobs,
        progress=progress,
        captures=False,
    )
    wrong = [
        f"{case.case}: {case.verdict.name} {case.reason}" for case in report.cases if case.verdict is not Verdict.PASS
    ]
    if wrong:
        raise HarnessError(f"{len(wrong)} of {len(made)} cases are not PASS on the reference; no suite", wrong[:20])
    taken: Counter[str] = Counter()
    for case in report.cases:
        taken.update(_rules(out / case.trace))
    rules = [rule.id for rule in RULES]
    index = {
        "suite": VERSION,
        "covers": list(names),
        "seed": seed,
        "cases": [
            {
                "id": case.case,
                "title": case.title,
                "requirements": case.requirements,
                "steps": case.steps,
                "virtual_ms": case.virtual_ms,
                "trace": case.trace,
            }
            for case in report.cases
        ],
        "coverage": {
            "rules": {rule: taken[rule] for rule in rules if taken[rule]},
            "rules_not_taken": [rule for rule in rules if not taken[rule]],
            **_machine(made, out),
            **({"hardening": hardening.account()} if "hardening" in names else {}),
        },
    }
    (out / INDEX).write_text(json.dumps(index, indent=1) + "\n", "utf-8")
    return index


def _machine(made: Sequence[Purpose], out: Path) -> dict[str, Any]:
    """What the cases take of the observable controller machine, if any is about it."""
    if not any(purpose.voice for purpose in made):
        return {}
    return {"machine": coverage.account(made, out), "cannot": coverage.cannot(), "reasons": coverage.reasons()}


def load(folder: Path) -> Suite:
    """The suite in a folder. Raises HarnessError if there is none, or a trace of it is missing or no trace."""
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
        if index.get("suite") != VERSION:
            raise HarnessError(f"{folder / INDEX}: not the index of a suite of version {VERSION}")
        seed, names = int(index["seed"]), [Path(str(case["trace"])).name for case in index["cases"]]
    except OSError as error:
        raise HarnessError(
            f"{folder} holds no suite ({error.strerror}: {INDEX}); `scewl generate` makes one"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HarnessError(f"{folder / INDEX}: not the index of a suite: {error}") from error
    return Suite([_purpose(folder / name) for name in names], seed)


def _purpose(trace: Path) -> Purpose:
    header = trace_header(trace)
    try:
        return parse(header["case"], header["purpose"])
    except (KeyError, TypeError, BadPurpose) as error:
        raise HarnessError(f"{trace}: its first line does not describe a run: {error}") from error


def _rules(trace: Path) -> set[str]:
    """The model's rules that a trace takes."""
    with trace.open(encoding="utf-8") as file:
        return {rule for line in file for rule in json.loads(line).get("rules", ())}
