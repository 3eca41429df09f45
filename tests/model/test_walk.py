"""The run reading as an engine: against naive definitions on random graphs, and on protocols with known answers."""

import random
from collections import Counter

import pytest
from toys import links, replay, shuffle, table

from model.system.base import Kind
from model.system.outcome import Finding
from model.walk import Graph, walk

SEEDS = range(300)


def random_table(seed):
    """A graph of up to 8 states with self-loops, dead ends and unreachable parts; and which states are good."""
    choose = random.Random(seed)
    count = choose.randint(1, 8)
    ways = [(choose.randrange(count), choose.randrange(count)) for _ in range(choose.randint(0, 14))]
    inside = {n for n in range(count) if choose.random() < 0.35}
    return ways, count, inside


def distances(ways, start):
    """Steps to every state that can be reached, by rounds."""
    found = {start: 0}
    for length in range(1, 9):
        for a, b in ways:
            if found.get(a) == length - 1:
                found.setdefault(b, length)
    return found


def can_avoid(ways, count, inside):
    """The states with a maximal path that never comes inside: the greatest set that is closed in that sense."""
    avoiding = set(range(count)) - inside
    while True:
        onward = {n: {b for a, b in ways if a == n != b} for n in avoiding}
        kept = {n for n in avoiding if not onward[n] or onward[n] & avoiding}
        if kept == avoiding:
            return avoiding
        avoiding = kept


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_are_those_of_the_definitions(seed):
    ways, count, inside = random_table(seed)
    system = table(ways, count, inside=inside)
    outcome = walk(system)
    far = distances(ways, 0)
    assert (outcome.states, outcome.depth) == (len(far), max(far.values()))
    assert outcome.transitions == sum(a in far for a, _ in ways) == sum(outcome.taken.values())
    assert outcome.exhausted
    wrong = {
        Kind.ALWAYS: set(far) - inside,
        Kind.REACHABLE: set(far) & inside,
        Kind.POSSIBLE: {n for n in far if not inside & distances(ways, n).keys()},
        Kind.EVENTUALLY: can_avoid(ways, count, inside) & far.keys(),
    }
    for kind, shown in wrong.items():
        answer = outcome.answer(str(kind))
        finding = Finding.HOLDS if bool(shown) == (kind is Kind.REACHABLE) else Finding.FALSE
        assert answer.finding is finding, kind
        states = [s[0] for s in replay(system, answer.path)]
        if kind is Kind.EVENTUALLY and shown:
            first = min(far[n] for n in shown)
            assert set(states[first:]) <= shown
            if answer.loop is None:
                assert all(b == states[-1] for a, b in ways if a == states[-1])
            else:
                assert 0 <= answer.loop < len(answer.path) - 1
                assert answer.path[answer.loop].state == answer.path[-1].state
                once = states[max(first, 1) : -1]
                assert len(set(once)) == len(once), "it goes round more than once"
                assert len(set(states[answer.loop + 1 :])) > 1, "a self-loop does not count as going on"
        elif shown:
            assert states[-1] in shown
            assert len(answer.path) == min(far[n] for n in shown)
        else:
            assert answer.path == ()


def test_a_lossy_link():
    outcome = walk(links())
    findings = {a.property: a.finding for a in outcome.answers}
    assert findings == {
        "no-excess": Finding.HOLDS,
        "no-ghost": Finding.HOLDS,
        "idle": Finding.VACUOUS,
        "done": Finding.HOLDS,
        "too-much": Finding.FALSE,
        "can-finish": Finding.HOLDS,
        "can-restart": Finding.FALSE,
        "finishes": Finding.FALSE,
    }
    assert outcome.answer("finishes").loop is not None
    assert walk(links(lossy=False)).answer("finishes").finding is Finding.HOLDS


def test_without_its_alternating_bit_a_repeat_counts_twice():
    system = links(alternating=False)
    answer = walk(system).answer("no-excess")
    replay(system, answer.path)
    taken = [s.action for s in answer.path]
    assert taken == ["0.send", "0.arrive", "0.lose-ack", "time", "0.repeat", "0.arrive"]


def test_updates_are_simultaneous():
    system = shuffle()
    (_, rotated), (_, swapped) = list(system.successors(system.initial))[:2]
    assert (rotated, swapped) == ((-2, 3, 1, 7), (-2, 1, 3, 8))


def test_progress_and_the_order_of_states():
    told = []
    graph = Graph.of(links(), progress=lambda states, depth: told.append((states, depth)))
    levels = Counter(len(graph.way_to(n)) for n in range(len(graph.states)))
    assert [len(graph.way_to(n)) for n in range(len(graph.states))] == sorted(levels.elements())
    assert told == [(sum(levels[d] for d in range(depth + 1)), depth) for depth in range(1, graph.depth + 1)]


@pytest.mark.parametrize("limit", [1, 2, 20, 34])
def test_a_limit_leaves_open_what_was_not_seen(limit):
    system = links()
    outcome = walk(system, limit=limit)
    assert not outcome.exhausted
    assert outcome.states == limit
    whole = walk(system)
    graph = Graph.of(system, limit)
    assert sum(outcome.taken.values()) == outcome.transitions == graph.ends[-1]
    assert [list(graph.ways(n)) for n in range(graph.expanded)] == [
        list(Graph.of(system).ways(n)) for n in range(graph.expanded)
    ]
    for answer in outcome.answers:
        shown = answer.finding is not Finding.OPEN
        assert not shown or answer.path
        assert not shown or answer.finding is whole.answer(answer.property).finding
    assert outcome.answer("no-excess").finding is Finding.OPEN
    assert outcome.answer("idle").finding is Finding.OPEN
    assert outcome.answer("too-much").finding is Finding.OPEN


def test_a_limit_that_is_not_reached_changes_nothing():
    assert walk(links(), limit=35).exhausted


def test_a_limited_search_shows_what_it_saw():
    """Counterexamples within the part that is known are counterexamples."""
    system = table([(0, 1), (1, 2), (2, 1), (0, 3), (3, 4), (4, 5)], 6, inside={5})
    outcome = walk(system, limit=5)
    assert outcome.answer("eventually").finding is Finding.FALSE
    assert outcome.answer("always possible").finding is Finding.FALSE
    assert outcome.answer("reachable").finding is Finding.OPEN


def test_only_the_properties_named():
    assert [a.property for a in walk(links(), properties=["done", "idle"]).answers] == ["done", "idle"]
    with pytest.raises(KeyError):
        walk(links(), properties=["no such"])
