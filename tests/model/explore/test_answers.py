from __future__ import annotations

from dataclasses import replace

import pytest
from small_systems import Searched, action, courier, crowd, prop

from model.explore import explore
from model.system.base import Kind, Property, Step, System, Values, Variable
from model.system.outcome import Answer, Finding


def replay(system: System, answer: Answer) -> list[Values]:
    """The states of an answer's path, the first one included; each step is one of the system's."""
    states = [system.initial]
    for step in answer.path:
        ways = [(system.actions[n].name, after) for n, after in system.successors(states[-1])]
        assert (step.action, step.state) in ways
        states.append(step.state)
    return states


def holds(system: System, p: Property, state: Values) -> bool:
    return bool(p.holds(system.bind(state)))


def reaching(system: System, plain: Searched, p: Property) -> set[Values]:
    """By a plain fixed point: the states that can come (POSSIBLE) or must come (EVENTUALLY) to where `p` holds."""
    good = {s for s in plain.distance if holds(system, p, s)}
    combine = any if p.kind is Kind.POSSIBLE else all
    grown = True
    while grown:
        grown = False
        for state in plain.distance.keys() - good:
            others = [after in good for _, after in plain.steps[state] if after != state]
            if others and combine(others):
                good.add(state)
                grown = True
    return good


def expected(system: System, plain: Searched, p: Property) -> tuple[Finding, int]:
    """Finding, and length of the shortest path to where it shows; 0 without a path."""
    if p.kind in (Kind.POSSIBLE, Kind.EVENTUALLY):
        good = reaching(system, plain, p)
        distance = plain.nearest(lambda s: s not in good)
    elif p.kind is Kind.ALWAYS:
        distance = plain.nearest(lambda s: not holds(system, p, s))
    else:
        distance = plain.nearest(lambda s: holds(system, p, s))
        return (Finding.FALSE, 0) if distance is None else (Finding.HOLDS, distance)
    if distance is not None:
        return Finding.FALSE, distance
    if p.premise is not None and plain.nearest(lambda s: p.premise(system.bind(s))) is None:
        return Finding.VACUOUS, 0
    return Finding.HOLDS, 0


SYSTEMS = {
    "patient": courier(2, 0),
    "giving up": courier(2, 2),
    "crowd": crowd(2, 2),
    "three": crowd(3, 1, dull=2),
}


@pytest.mark.parametrize("symmetry", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_answer_is_that_of_a_plain_search(name: str, symmetry: bool) -> None:
    system = SYSTEMS[name]
    plain = Searched.of(system)
    for answer in explore(system, symmetry=symmetry).answers:
        p = system.property(answer.property)
        finding, length = expected(system, plain, p)
        assert answer.finding is finding, p.name
        states = replay(system, answer)
        if p.kind is not Kind.EVENTUALLY:
            assert len(answer.path) == length, p.name
            assert answer.loop is None
        match p.kind, finding:
            case Kind.ALWAYS, Finding.FALSE:
                assert not holds(system, p, states[-1])
            case Kind.REACHABLE, Finding.HOLDS:
                assert holds(system, p, states[-1])
            case Kind.POSSIBLE, Finding.FALSE:
                assert states[-1] not in reaching(system, plain, p)
            case Kind.EVENTUALLY, Finding.FALSE:
                assert_unending(system, plain, p, answer, length)


def assert_unending(system: System, plain: Searched, p: Property, answer: Answer, length: int) -> None:
    states = replay(system, answer)
    good = reaching(system, plain, p)
    assert all(state not in good for state in states[length:])
    if answer.loop is None:
        assert all(after == states[-1] for _, after in plain.steps[states[-1]])
    else:
        assert answer.path[answer.loop].state == states[-1]
        assert answer.loop < len(answer.path) - 1
        assert any(a != b for a, b in zip(states[answer.loop + 1 :], states[answer.loop + 2 :], strict=False))


def test_the_systems_show_every_finding() -> None:
    answers = [(system.property(a.property).kind, a) for system in SYSTEMS.values() for a in explore(system).answers]
    both = {Finding.HOLDS, Finding.FALSE}
    wanted = {(kind, finding) for kind in Kind for finding in both} | {(Kind.ALWAYS, Finding.VACUOUS)}
    assert {(kind, a.finding) for kind, a in answers} == wanted
    ends = {a.loop is None for kind, a in answers if kind is Kind.EVENTUALLY and a.finding is Finding.FALSE}
    assert ends == {True, False}  # dead ends and loops


def test_only_the_properties_that_are_asked_for() -> None:
    outcome = explore(courier(2, 2), properties=["does arrive", "in order"])
    assert [a.property for a in outcome.answers] == ["does arrive", "in order"]
    with pytest.raises(KeyError):
        explore(courier(2, 2), properties=["no such"])


def test_a_loop_through_the_first_state_is_an_index_of_the_path() -> None:
    system = System(
        "ring",
        (Variable("x", 0, 3), Variable("out", 0, 1)),
        (
            action("on", lambda v: Step(v.x < 3, {"x": v.x + 1})),
            action("back", lambda v: Step(v.x == 3, {"x": 0})),
            action("stay", lambda v: Step(v.x == 1)),
        ),
        (prop("leaves", Kind.EVENTUALLY, lambda v: v.out == 1),),
    )
    answer = explore(system).answer("leaves")
    assert [s.state[0] for s in answer.path] == [1, 2, 3, 0, 1]
    assert answer.loop == 0


def test_steps_within_an_orbit_are_steps() -> None:
    """Two states that are images of each other: one kept state, whose only step leads to its image, for ever."""
    system = System(
        "swing",
        (Variable("a", 0, 1, 1), Variable("b", 0, 1), Variable("end", 0, 1)),
        (action("swing", lambda v: Step(True, {"a": v.b, "b": v.a})),),
        (prop("ends", Kind.EVENTUALLY, lambda v: v.end == 1),),
        symmetries=({"a": "b", "b": "a"},),
    )
    outcome = explore(system)
    assert outcome.states == 1
    answer = outcome.answer("ends")
    assert answer.finding is Finding.FALSE
    assert [s.state for s in answer.path] == [(0, 1, 0), (1, 0, 0), (0, 1, 0)]
    assert answer.loop == 0


def test_a_property_that_tells_images_apart_is_refused_with_symmetry() -> None:
    system = crowd(2, 1)
    first = prop("first client first", Kind.ALWAYS, lambda v: v.turn1 <= v.turn0)
    system = replace(system, properties=(*system.properties, first))
    with pytest.raises(ValueError, match="first client first is not the same for all images"):
        explore(system)
    assert explore(system, symmetry=False).answer(first.name).finding is Finding.FALSE
    assert explore(system, properties=["all done"]).answer("all done").finding is Finding.HOLDS


def test_symmetries_must_be_permutations_of_like_variables() -> None:
    with pytest.raises(ValueError, match="not a permutation"):
        explore(replace(crowd(2, 1), symmetries=({"want0": "want1"},)))
    with pytest.raises(ValueError, match="different ranges"):
        explore(replace(crowd(2, 1), symmetries=({"want0": "turn0", "turn0": "want0"},)))
