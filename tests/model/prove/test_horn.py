import provable
import pytest

from model.prove import spacer
from model.system.outcome import Finding


def test_finds_an_invariant_by_itself():
    system = provable.rooms(entrance=4)
    answer = spacer(system, system.property("not-6"), 20.0)
    assert (answer.finding, answer.how) == (Finding.PROVED, "Spacer")


def test_with_a_lemma_that_is_given():
    system = provable.channel()
    answer = spacer(system, system.property("made-up"), 20.0, [provable.ON_WIRE])
    assert (answer.finding, answer.how) == (Finding.PROVED, "Spacer with on wire")


def test_a_lemma_is_assumed_not_proved():
    """What is given had better be proved: here it is not true and takes the violation with it."""
    system = provable.detour(5)
    wrong = provable.Lemma("wrong", "", lambda v: v.at < 6)
    assert spacer(system, system.property("not-7"), 20.0, [wrong]).finding is Finding.PROVED


def test_what_is_false_has_a_shortest_path():
    system = provable.detour(5)
    answer = spacer(system, system.property("not-7"), 20.0)
    assert answer.finding is Finding.FALSE
    assert [s.action for s in answer.path] == ["on-0", "jump", "on-5", "on-6"]


def test_out_of_time_is_open():
    system = provable.channel(checked=False)
    answer = spacer(system, provable.always("far", lambda v: v.taken < 60), 0.2)
    assert answer.finding is Finding.OPEN
    assert "gave up" in answer.how


def test_only_always():
    system = provable.channel()
    with pytest.raises(ValueError, match="any is not an `always` property"):
        spacer(system, system.property("any"), 1.0)
