"""The prove reading: what is true of a system without any bound, and what is in the way where nothing is shown."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from multiprocessing import get_context

from model.prove.cti import Cti, short
from model.prove.horn import spacer
from model.prove.induction import Induction, Progress
from model.prove.lemmas import Lemma
from model.prove.obligations import Goal, Obligations
from model.prove.query import Query, Reply, decide
from model.prove.search import bounded
from model.system.base import Kind, Property, System
from model.system.outcome import Answer, Finding, Outcome

DEPTH = 8
"""Steps within which a violation is looked for where a property cannot be proved."""
SPACER_S = 20.0
"""Most seconds for Spacer on each such property."""
LATE = Reply(False, reason="out of time")


def prove(
    system: System,
    lemmas: Sequence[Lemma],
    *,
    properties: Sequence[str] | None = None,
    k: int = 1,
    timeout_s: float = 3600.0,
    jobs: int = 2,
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Prove the `always` properties of a system (all, or the named ones), for unbounded integers.

    Induction over up to `k` states in a row, on lemmas that are shown with them; where it fails, a short path to a
    violation is looked for, then an invariant by Spacer. The answers are about the properties, then about the lemmas.
    With more than one job, processes are spawned: a script that calls this needs the usual `__main__` guard.
    Raises KeyError for an unknown property, ValueError where two goals have one name.
    """
    begin = time.monotonic()
    named = system.properties if properties is None else [system.property(name) for name in properties]
    wanted = [p for p in named if p.kind is Kind.ALWAYS]
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) if jobs > 1 else nullcontext()
    with pool as executor:
        induction = Induction(system, lemmas, wanted, k, _decider(executor, begin + timeout_s), progress)
        try:
            induction.run()
        except BaseException:
            if executor:
                executor.shutdown(wait=False, cancel_futures=True)
            raise
    answers = [_answer(induction, p, begin + timeout_s) for p in wanted]
    answers += [_of_lemma(induction, lemma) for lemma in lemmas]
    # with processes of its own, this one may have been large for other reasons
    largest = resource.getrusage(resource.RUSAGE_CHILDREN if jobs > 1 else resource.RUSAGE_SELF).ru_maxrss
    return Outcome(
        system=system.name,
        engine="prove",
        answers=tuple(answers),
        seconds=time.monotonic() - begin,
        memory=largest * 1024,
        exhausted=all(answer.finding is not Finding.OPEN for answer in answers),
    )


def ctis(system: System, lemmas: Sequence[Lemma], goal: Goal) -> list[Cti]:
    """Where the induction of one goal fails if the lemmas are taken for granted: a counterexample per action."""
    obligations = Obligations(system, [goal])
    if cti := obligations.first(goal.name):
        return [cti]
    found = []
    for number, touched in obligations.touched.items():
        if touched:
            (reply,) = decide(obligations.query(number, [goal.name], lemmas, 1))
            if not reply.shown and (cti := obligations.cti(goal.name, number, reply)):
                found.append(cti)
    return found


def _decider(executor: Executor | None, deadline: float) -> Callable[[Sequence[Query]], Iterator[tuple[Reply, ...]]]:
    """Decide in this process or in others; after the deadline nothing more is begun."""

    def late(query: Query) -> tuple[Reply, ...]:
        return (LATE,) * query.goals

    def here(queries: Sequence[Query]) -> Iterator[tuple[Reply, ...]]:
        return (decide(query) if time.monotonic() < deadline else late(query) for query in queries)

    def elsewhere(queries: Sequence[Query]) -> Iterator[tuple[Reply, ...]]:
        assert executor is not None
        futures = [executor.submit(decide, query) for query in queries]
        for query, future in zip(queries, futures, strict=True):
            if time.monotonic() >= deadline and future.cancel():
                yield late(query)
            else:
                yield future.result()

    return elsewhere if executor else here


def _answer(induction: Induction, what: Property, deadline: float) -> Answer:
    """About a property: by induction, or else what the other two ways find."""
    if what.name not in induction.failed:
        return Answer(what.name, Finding.PROVED, _how(induction, what.name))
    system = induction.system
    why = [_why(induction, what.name)]
    if time.monotonic() < deadline:
        answer = bounded(system, what, DEPTH)
        if answer.finding is Finding.FALSE:
            return answer
        why.append(answer.how)
    if (left := min(SPACER_S, deadline - time.monotonic())) > 0:
        given = [lemma for name, lemma in induction.lemmas.items() if name not in induction.failed]
        answer = spacer(system, what, left, given)
        if answer.finding is not Finding.OPEN:
            return answer
        why.append(answer.how)
    return Answer(what.name, Finding.OPEN, "; ".join(why))


def _of_lemma(induction: Induction, lemma: Lemma) -> Answer:
    if lemma.name in induction.failed:
        return Answer(lemma.name, Finding.OPEN, "lemma " + _why(induction, lemma.name))
    return Answer(lemma.name, Finding.PROVED, "lemma, " + _how(induction, lemma.name))


def _how(induction: Induction, name: str) -> str:
    used = induction.used(name)
    lemmas = f" with {'lemma' if len(used) == 1 else 'lemmas'} {', '.join(used)}" if used else ""
    return f"{induction.depth(name)}-induction{lemmas}"


def _why(induction: Induction, name: str) -> str:
    failed = induction.failed[name]
    lost = f" without {', '.join(failed.without)}, which is not proved" if failed.without else ""
    why = short(induction.system, failed.cti) if failed.cti else f"not shown ({failed.reason})"
    return why + lost
