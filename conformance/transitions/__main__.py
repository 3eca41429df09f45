"""`python -m conformance.transitions PROGRAM [--report FILE]`: the whole tour; exit status 0 if all is as the model.

`make transitions` runs it on the host build.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections import Counter
from pathlib import Path

from conformance.targets.native import NativeTarget
from conformance.transitions.machine import Machine
from conformance.transitions.reasons import REASONS, Account, account
from conformance.transitions.tour import Covered, Tour


def main() -> int:
    """Run the tour and write its account."""
    parser = argparse.ArgumentParser(prog="conformance.transitions", description=__doc__)
    parser.add_argument("program", type=Path, help="a controller built by `make -C firmware host`")
    parser.add_argument("--report", type=Path, help="write the account, Markdown")
    arguments = parser.parse_args()
    machine = Machine()
    with contextlib.closing(NativeTarget(arguments.program)) as target:
        found = Tour(machine, target).run()
    result = account(machine, found)
    text = page(machine, found, result)
    if arguments.report and not found.wrong and not result.unaccounted:
        arguments.report.write_text(text, "utf-8")
    print(text)
    for wrong in found.wrong[:10]:
        print(f"WRONG: {wrong.what}\n  {wrong.happening} in {wrong.state}\n  after {', '.join(wrong.path) or 'boot'}")
    for line in result.unaccounted[:10]:
        print(f"UNACCOUNTED: {line}")
    return 1 if found.wrong or result.unaccounted else 0


def page(machine: Machine, found: Covered, result: Account) -> str:
    """The account for people, Markdown."""
    stable = len(machine.states) - sum(not machine.can_happen(n) for n in range(len(machine.states)))
    names: Counter[str] = Counter()
    for (name, _), count in result.reasons.items():
        names[name] += count
    kinds = sorted({*result.taken, *result.series, *(kind for _, kind in result.reasons)})
    lines = [
        "# Every transition of the model's controller, on the firmware",
        "",
        "Made by `make transitions`. The scope `controller` of the model, explored, against the C of `firmware/src/`,",
        "built for the host under the address and undefined-behaviour sanitizers. In each state everything was tried",
        "that can happen there, with real cryptography, and read back by the abstraction that judges firmwares;",
        "each step's outputs, next deadline and state were compared with the model, and the rules that the firmware's",
        "table took (`machine.c`) with the model's.",
        "",
        f"- States: {len(machine.states):,}; {stable:,} of them at rest, of which {len(found.reached):,} were reached.",
        f"- Transitions: {result.total:,}. Taken: {result.taken.total():,}; {result.series.total():,} more, by one "
        "record of 16,385 bytes, were taken by the series of records that it stands for.",
        f"- Not makeable: {result.reasons.total():,}, each for one named reason. "
        f"Unaccounted for: {len(result.unaccounted)}.",
        f"- Trials: {found.trials:,}. Steps that the model does not allow: {len(found.wrong)}.",
        "",
        "| event | taken | by a series | cannot be made |",
        "|---|---|---|---|",
    ]
    for kind in kinds:
        cannot = sum(count for (_, k), count in result.reasons.items() if k == kind)
        lines.append(f"| {kind} | {result.taken[kind]:,} | {result.series[kind]:,} | {cannot:,} |")
    lines += ["", "| reason | transitions | |", "|---|---|---|"]
    lines += [f"| {r.name} | {names[r.name]:,} | {r.says} |" for r in REASONS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
