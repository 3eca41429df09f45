import provable
import pytest

from model.prove import bounded
from model.system.base import Step, System, Variable
from model.system.outcome import Finding


def test_a_shortest_path_replayed_on_integers():
    system = provable.detour(5)
    answer = bounded(system, system.property("not-7"), 10)
    assert answer.finding is Finding.FALSE
    assert [s.action for s in answer.path] == ["on-0", "jump", "on-5", "on-6"]
    assert provable.replayed(system, answer.path).at == 7


def test_a_violation_in_the_first_state_has_no_path():
    system = provable.rooms()
    answer = bounded(system, provable.always("nowhere", lambda v: v.at != 0), 3)
    assert (answer.finding, answer.path) == (Finding.FALSE, ())


@pytest.mark.parametrize(("depth", "finding"), [(3, Finding.OPEN), (4, Finding.FALSE)])
def test_the_depth_is_the_bound(depth, finding):
    system = provable.detour(5)
    answer = bounded(system, system.property("not-7"), depth)
    assert answer.finding is finding
    assert "within 3 steps" in answer.how or depth == 4


def test_none_is_open_and_never_more():
    system = provable.channel()
    answer = bounded(system, system.property("twice"), 6)
    assert (answer.finding, answer.how) == (Finding.OPEN, "no violation within 6 steps")


def test_one_action_at_a_time():
    apart = [provable.action(n, lambda v, n=n: Step(True, {n: 1})) for n in ("x", "y")]
    both = provable.always("not both", lambda v: v.x + v.y < 2)
    system = System("apart", (Variable("x", 0, 1), Variable("y", 0, 1)), tuple(apart), (both,))
    assert bounded(system, both, 1).finding is Finding.OPEN
    assert len(bounded(system, both, 2).path) == 2


def test_where_z3_gives_up_the_bound_is_what_was_looked_at(monkeypatch):
    monkeypatch.setattr("model.prove.search.RLIMIT", 1)
    system = provable.channel()
    answer = bounded(system, system.property("twice"), 6)
    assert answer.finding is Finding.OPEN
    assert "then Z3 gave up" in answer.how


def test_only_always():
    system = provable.channel()
    with pytest.raises(ValueError, match="any is not an `always` property"):
        bounded(system, system.property("any"), 1)
