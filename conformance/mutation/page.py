"""`reports/mutants.md`: the matrix for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from conformance.mutation.results import Matrix, Result, Sample

BAR = 0.9
"""Part of the automatic mutants that has to be killed or shown not to need it."""
_HEAD = """# Wrong firmwares, and what catches them

Made by `make mutants`; `mutants.json` has the same for programs. Each mutant is our firmware with one thing wrong,
built for this machine, and run against {what}. It is killed if a case does not pass.
The cheapest killing trace is the one with the least virtual time up to the verdict; the run that made this page left it
as `reports/out/mutants/ID.native.jsonl`, and `scewl replay` runs it. (i): no single step was forbidden, but the case
missed something.
"""


def bar(sample: Sample) -> float:
    """The part of the judged ones that is killed, or explained and not as a gap."""
    fine = {e.id for e in sample.explained if e.kind != "gap"}
    return sum(r.killed or r.id in fine for r in sample.judged) / max(1, len(sample.judged))


def unexplained(sample: Sample) -> list[Result]:
    """Survivors of which nobody has said anything."""
    told = {e.id for e in sample.explained}
    return [r for r in sample.judged if not r.killed and r.id not in told]


def page(matrix: Matrix) -> str:
    """The page, Markdown."""
    what = f"{matrix.cases} cases ({'the purposes' if matrix.suite == 'purposes' else 'suite ' + matrix.suite})"
    lines = [_HEAD.format(what=what)]
    if matrix.written:
        lines += _written(matrix.written, matrix.cases)
    if matrix.qemu:
        lines += _qemu(matrix)
    if matrix.automatic is not None:
        lines += _automatic(matrix.automatic)
    return "\n".join(lines) + "\n"


def _written(results: list[Result], cases: int) -> Iterator[str]:
    killed = sum(r.killed for r in results)
    yield f"## Written by people: {killed} of {len(results)} killed"
    yield ""
    if any(r.run < cases and not r.hangs for r in results):
        yield "Each was run up to its first FAIL (`--first`), beginning with the case that has to catch it."
        yield ""
    yield "| mutant | file | what is wrong | killed by | cheapest killing trace | virtual s | broke |"
    yield "|---|---|---|---|---|---|---|"
    for r in results:
        by = f"{len(r.killers)}{' at least' if r.hangs else ''} of {r.run}"
        yield f"| {r.id} | {r.file}:{r.line} | {_cell(r.says)} | {by} | {_kill(r)} |"
    yield ""
    rare = [r for r in results if len(r.killers) == 1 and r.run > 1]
    if rare:
        yield f"By one case alone: {', '.join(r.id for r in rare)}."
        yield ""


def _kill(r: Result) -> str:
    if r.error:
        return f"error: {_cell(r.error)} | | "
    if r.cheapest is None:
        return "**survives** | | "
    kill = r.cheapest
    name = kill.case + (" (i)" if kill.verdict != "FAIL" else "") + (", a sanitizer" if r.sanitized else "")
    # The rule that the mutant is about comes first if the trace names it.
    broke = sorted(kill.requirements, key=lambda rule: rule != r.rule)[:4]
    return f"{name} | {kill.virtual_ms / 1000:.3f} | {' '.join(broke) or _cell(kill.reason)}"


def _qemu(matrix: Matrix) -> Iterator[str]:
    same = sum(not other.differ for other in matrix.qemu)
    yield f"## The same in QEMU: {same} of {len(matrix.qemu)} tried have the same verdict in every case"
    yield ""
    yield "| mutant | killed by, in QEMU | differences |"
    yield "|---|---|---|"
    for other in matrix.qemu:
        differ = "; ".join(f"{case}: {how}" for case, how in other.differ.items()) or "none"
        yield f"| {other.id} | {other.killers} | {differ} |"
    yield ""


def _automatic(sample: Sample) -> Iterator[str]:
    judged, killed = sample.judged, sum(r.killed for r in sample.judged)
    kinds = Counter(e.kind for e in sample.explained)
    yield f"## Made by universalmutator: {killed} of {len(judged)} killed, {bar(sample):.1%} killed or need no case"
    yield ""
    yield (
        f"The tool makes {sample.made:,} of {sample.lines:,} lines. A sample, in the order of their ids, which are "
        f"hashes: one of each line, then another of each. Of the {sample.drawn:,} drawn, {sample.refused:,} do not "
        f"compile, {sample.same:,} have the object code of the right file and {sample.double:,} that of another "
        f"mutant; the other {len(judged):,} are judged, each up to the first case that fails, under the address and "
        "undefined-behaviour sanitizers."
    )
    yield ""
    yield "| file | judged | killed | equivalent | caught elsewhere | gaps | unexplained |"
    yield "|---|---|---|---|---|---|---|"
    said = {e.id: e.kind for e in sample.explained}
    for name in [*sorted({r.file for r in judged}), ""]:
        mine = [r for r in judged if name in ("", r.file)]
        left = Counter(said.get(r.id, "unexplained") for r in mine if not r.killed)
        counts = [left[k] for k in ("equivalent", "elsewhere", "gap", "unexplained")]
        yield f"| {name or 'all'} | {len(mine)} | {sum(r.killed for r in mine)} | {' | '.join(map(str, counts))} |"
    yield ""
    if strict := sum(r.sanitized for r in judged):
        yield f"Of the killed, {strict} by the sanitizers."
        yield ""
    yield from _killers(judged)
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) or "none explained"
    yield f"### The {len(judged) - killed} survivors ({told})"
    yield ""
    yield "| mutant | line | change | why |"
    yield "|---|---|---|---|"
    why = {e.id: f"{e.kind}: {e.because}{f' ({e.test})' if e.test else ''}" for e in sample.explained}
    for r in judged:
        if not r.killed:
            yield f"| {r.id} | {r.file}:{r.line} | {_cell(r.says)} | {_cell(why.get(r.id, '**unexplained**'))} |"


def _killers(judged: Iterable[Result]) -> Iterator[str]:
    counts = Counter(r.cheapest.case for r in judged if r.cheapest is not None)
    yield "### Which case said FAIL first"
    yield ""
    yield ", ".join(f"{case} {n}" for case, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))) + "."
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
