"""How long something can last: against a naive computation on random graphs, and on sessions with known bounds."""

import random

import pytest
from toys import replay, session, table

from model.bounds import longest
from model.walk import Graph


def busy(v):
    return v.busy == 1


def bound(system, inside=busy, begins=frozenset()):
    return longest(Graph.of(system), system, inside, begins)


def stay_of(system, path, inside, begins):
    """Milliseconds that a path's last stay lasted, the step that ends it included."""
    actions = {a.name: a for a in system.actions}
    states = replay(system, path)
    total, last = 0, 0
    for before, step in zip(states, path, strict=False):
        v = system.bind(before)
        if inside(v):
            total += actions[step.action].elapsed(v) if actions[step.action].elapsed else 0
            last = total
        if step.action in begins or not inside(system.bind(step.state)):
            total = 0
    return last * system.unit


@pytest.mark.parametrize("records", [1, 3])
def test_each_record_prolongs_a_session(records):
    system = session(records=records)
    found = bound(system)
    assert (found.milliseconds, found.loop) == ((records + 1) * 60_000, None)
    assert stay_of(system, found.path, busy, set()) == found.milliseconds
    assert found.path[-1].action == "expire"


def test_any_number_of_records_prolongs_it_for_ever():
    system = session(records=None)
    found = bound(system)
    assert found.milliseconds is None
    replay(system, found.path)
    assert found.path[found.loop].state == found.path[-1].state
    assert "time.1" in [s.action for s in found.path[found.loop + 1 :]]


def test_without_a_timer_nothing_ends_it():
    found = bound(session(timer=False))
    assert (found.milliseconds, found.loop) == (None, None)
    assert [s.action for s in found.path] == ["open"]


def test_an_action_can_begin_a_new_stay():
    system = session(start_over=True)
    assert bound(system).milliseconds is None
    assert bound(system, begins={"again"}).milliseconds == 240_000


def test_what_cannot_be_computed_is_refused():
    system = session()
    with pytest.raises(ValueError, match="not all states"):
        longest(Graph.of(system, 5), system, busy)
    with pytest.raises(ValueError, match="no reachable state"):
        bound(system, lambda v: v.left > 60)
    with pytest.raises(ValueError, match="nonsense"):
        bound(system, begins={"nonsense", "open"})


def naive(ways, passing, inside, begins):
    """Units of the longest stay by relaxation from everywhere; None if it does not settle, or if there is an end."""
    reached, size = {0}, 0
    while size < len(reached):
        size = len(reached)
        reached |= {b for a, b in ways if a in reached}
    inside = inside & reached
    if any(all(b == n for a, b in ways if a == n) for n in inside):
        return None
    most = dict.fromkeys(inside, 0)
    for _ in range(10 * len(ways) + 10):
        before = dict(most)
        for number, (a, b) in enumerate(ways):
            if a in inside:
                onward = most[b] if b in inside and number not in begins else 0
                most[a] = max(most[a], passing[number] + onward)
        if most == before:
            return max(most.values())
    return None


@pytest.mark.parametrize("seed", range(400))
def test_the_bound_is_the_naive_one_and_its_path_attains_it(seed):
    choose = random.Random(seed)
    count = choose.randint(2, 9)
    ways = [(choose.randrange(count), choose.randrange(count)) for _ in range(choose.randint(count, 20))]
    passing = [choose.choice((0, 0, 0, 1, 5)) for _ in ways]
    numbers = {n for n in range(count) if choose.random() < 0.6}
    begins = {n for n in range(len(ways)) if choose.random() < 0.15}
    system = table(ways, count, passing=passing, inside=numbers, timers=True)
    names = {system.actions[n].name for n in begins}

    def inside(v):
        return v.at in numbers

    try:
        found = bound(system, inside, names)
    except ValueError:
        assert not any(s[0] in numbers for s in Graph.of(system).states)
        return
    assert found.milliseconds == naive(ways, passing, numbers, begins)
    if found.milliseconds is not None:
        assert stay_of(system, found.path, inside, names) == found.milliseconds
        return
    states = replay(system, found.path)
    if found.loop is None:
        assert all(after == states[-1] for _, after in system.successors(states[-1]))
    else:
        cycle = found.path[found.loop + 1 :]
        assert found.path[found.loop].state == found.path[-1].state
        assert all(inside(system.bind(s.state)) and s.action not in names for s in cycle)
        assert any(passing[int(s.action.split(":")[0])] for s in cycle)
