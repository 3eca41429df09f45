from dataclasses import replace

import provable
import pytest
from provable import COUNTED, GOT, ON_QUIET, ON_WIRE, QUIET

from model.prove import Lemma, ctis, describe, prove, ranges
from model.prove.engine import DEPTH
from model.system.base import Step
from model.system.outcome import Finding

LEMMAS = (ON_WIRE, GOT, COUNTED)


@pytest.mark.parametrize("jobs", [1, 2])
def test_provable_with_lemmas_and_only_those_are_named(jobs):
    idle = Lemma("idle", "Nothing rests on it.", lambda v: v.sent >= 0)
    outcome = prove(provable.channel(), [*LEMMAS, idle], jobs=jobs)
    assert [(a.property, a.finding, a.how) for a in outcome.answers] == [
        ("made-up", Finding.PROVED, "1-induction with lemma on wire"),
        ("twice", Finding.PROVED, "1-induction with lemmas on wire, counted"),
        ("hearsay", Finding.PROVED, "1-induction with lemmas on wire, got"),
        ("on wire", Finding.PROVED, "lemma, 1-induction"),
        ("got", Finding.PROVED, "lemma, 1-induction with lemma on wire"),
        ("counted", Finding.PROVED, "lemma, 1-induction"),
        ("idle", Finding.PROVED, "lemma, 1-induction"),
    ]
    assert outcome.engine == "prove" and outcome.exhausted


def test_without_the_lemma_it_is_open_with_the_state_that_is_in_the_way(monkeypatch):
    monkeypatch.setattr("model.prove.engine.SPACER_S", 0.0)
    outcome = prove(provable.channel(), [COUNTED], jobs=1, properties=["made-up"])
    answer = outcome.answer("made-up")
    assert answer.finding is Finding.OPEN and not outcome.exhausted
    assert answer.how.startswith("not inductive: deliver from wire=1; no violation within ")


def test_what_the_receiver_does_not_check_cannot_be_proved_and_is_false(monkeypatch):
    system = provable.channel(checked=False)
    answer = prove(system, LEMMAS, jobs=1).answer("twice")
    assert answer.finding is Finding.FALSE
    assert len(answer.path) == 4 <= DEPTH
    end = provable.replayed(system, answer.path)
    assert end.taken > end.sent


def test_with_a_guard_dropped_the_proofs_fall():
    system = provable.channel()
    whole = {a.property for a in prove(system, LEMMAS, jobs=1).answers if a.finding is Finding.PROVED}
    assert whole == {"made-up", "twice", "hearsay", *(lemma.name for lemma in LEMMAS)}
    open_wire = replace(system.actions[2], body=lambda v: Step(True, {"wire": 0, "got": v.got + 1}))
    broken = replace(system, actions=(*system.actions[:2], open_wire, *system.actions[3:]))
    outcome = prove(broken, LEMMAS, jobs=1)
    assert outcome.answer("made-up").finding is Finding.FALSE
    assert outcome.answer("got").finding is Finding.OPEN


def test_a_wrong_lemma_is_named_and_nothing_rests_on_it(monkeypatch):
    monkeypatch.setattr("model.prove.engine.SPACER_S", 0.0)
    outcome = prove(provable.channel(), [QUIET, ON_QUIET], jobs=1, properties=["made-up"])
    assert {a.finding for a in outcome.answers} == {Finding.OPEN}
    assert outcome.answer("quiet").how == "lemma not inductive: send from the first state"
    without = "deliver from wire=1 without quiet, which is not proved"
    assert outcome.answer("on quiet").how == f"lemma not inductive: {without}"
    assert outcome.answer("made-up").how.startswith(f"not inductive: {without}; no violation within ")


def test_what_rested_on_a_wrong_lemma_is_shown_without_it():
    outcome = prove(provable.channel(), [QUIET, ON_WIRE], jobs=1, properties=["made-up"])
    assert outcome.answer("quiet").finding is Finding.OPEN
    assert outcome.answer("made-up").how == "1-induction with lemma on wire"


def test_a_lemma_that_fails_at_first_is_dropped():
    never = Lemma("never", "Wrong from the start.", lambda v: v.sent > 0)
    outcome = prove(provable.channel(), [never, ON_WIRE], jobs=1, properties=["made-up"])
    assert outcome.answer("never").how == "lemma does not hold in the first state"
    assert outcome.answer("made-up").finding is Finding.PROVED


def test_two_steps_where_one_is_not_enough(monkeypatch):
    monkeypatch.setattr("model.prove.engine.SPACER_S", 0.0)
    assert prove(provable.rooms(), [], jobs=1).answer("not-6").finding is Finding.OPEN
    answer = prove(provable.rooms(), [], jobs=1, k=2).answer("not-6")
    assert (answer.finding, answer.how) == (Finding.PROVED, "2-induction")
    longer = provable.rooms(entrance=4)
    assert prove(longer, [], jobs=1, k=2).answer("not-6").finding is Finding.OPEN
    assert prove(longer, [], jobs=1, k=3).answer("not-6").how == "3-induction"


def test_an_induction_over_two_states_needs_two_first_states():
    """Only room 6 leads to room 5, so the step from two states to a third holds, also where the walk begins in 5."""
    system = provable.rooms()
    begun = replace(system, variables=(replace(system.variables[0], init=5), system.variables[1]))
    answer = prove(begun, [], jobs=1, k=2).answer("not-6")
    assert answer.finding is Finding.FALSE and len(answer.path) == 1


def test_a_proof_of_several_steps_replays_its_counterexample(monkeypatch):
    monkeypatch.setattr("model.prove.engine.SPACER_S", 0.0)
    how = prove(provable.rooms(entrance=4), [], jobs=1, k=2).answer("not-6").how
    assert how.startswith("not inductive: in, 5-6 from at=4")


def test_counterexamples_to_induction_one_per_action():
    system = provable.channel()
    (found,) = ctis(system, [], system.property("made-up"))
    assert describe(system, found) == "made-up: before  wire=1\n    deliver  wire=0 got=1 taken=1"
    assert ctis(system, [ON_WIRE], system.property("made-up")) == []
    both = ctis(system, [], Lemma("", "", lambda v: v.wire == 0))
    assert [c.path[0].action for c in both] == ["send", "again"]
    (first,) = ctis(system, [], Lemma("", "", lambda v: v.wire == 1))
    assert first.path == () and first.before == system.initial


def test_ranges_are_not_assumed_but_can_be_shown():
    system = provable.rooms()
    outcome = prove(system, ranges(system, ["at", "steps"]), jobs=1, properties=[])
    assert [a.finding for a in outcome.answers] == [Finding.PROVED, Finding.PROVED]
    endless = provable.channel()
    assert prove(endless, ranges(endless, ["sent"]), jobs=1, properties=[]).answers[0].finding is Finding.OPEN
    with pytest.raises(KeyError):
        ranges(system, ["nowhere"])


def test_no_time_no_proof():
    outcome = prove(provable.channel(), LEMMAS, jobs=1, timeout_s=0.0)
    assert {a.finding for a in outcome.answers} == {Finding.OPEN}
    assert "out of time" in outcome.answer("made-up").how


def test_one_that_z3_gives_up_is_open(monkeypatch):
    monkeypatch.setattr("model.prove.query.RLIMIT", 1)
    monkeypatch.setattr("model.prove.engine.SPACER_S", 0.0)
    answer = prove(provable.channel(), LEMMAS, jobs=1).answer("made-up")
    assert answer.finding is Finding.OPEN
    assert answer.how.startswith("not shown (")


def test_names_must_differ():
    twin = replace(ON_WIRE, name="made-up")
    with pytest.raises(ValueError, match="different names"):
        prove(provable.channel(), [twin], jobs=1)


def test_progress_counts_up_to_the_end():
    seen = []
    prove(provable.channel(), LEMMAS, jobs=1, progress=seen.append)
    assert seen[-1].done == seen[-1].asked > 0
    assert [p.done for p in seen] == sorted(p.done for p in seen)
