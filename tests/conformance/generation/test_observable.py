"""The observable controller machine is what the model does; its states can be told apart, and its tours are whole."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from conformance.generation import wmethod
from conformance.generation.covers import machine
from conformance.generation.observable import INPUTS, SETTING, Machine, Transition, canonical
from conformance.generation.telling import harmonised, tells
from conformance.generation.tours import LONGEST_MS, PRELUDE, Tours
from model.alphabet import Event
from model.run import react
from model.state import State

UNKNOWN = {"data": 1, "deliver": 1, "request": 0}
"""Outputs with an argument that the machine does not know, and which that is: a size, or the id in a request."""


def shown(outputs: tuple[object, ...]) -> list[tuple[object, ...]]:
    return [(o.kind, *(a for n, a in enumerate(o.args) if UNKNOWN.get(o.kind) != n)) for o in outputs]  # type: ignore[attr-defined]


def numbered(event: Event, state: State) -> Event:
    """The machine's first handshake is whichever is served, and its second another."""
    if event.kind != "hello-cookie":
        return event
    return Event(event.kind, (event.args[0], max(state.handshake, 1) + event.args[1] - 1))


@pytest.mark.parametrize("seed", range(8))
def test_the_machine_does_what_the_model_does(seed: int) -> None:
    """A walk of the model itself, with its numbers, sizes and times: each step is the machine's."""
    chance, m = random.Random(seed), machine()
    state, node = State(), 0
    for _ in range(200):
        given = chance.choice([i for i in INPUTS if i.name in m.out[node]])
        expected = m.out[node][given.name]
        ways = [(state, (), ())]
        for event in (numbered(e, state) for e in given.events(state)):
            ways = [
                (r.state, o + r.outputs, u + tuple(x.id for x in r.rules))  # type: ignore[misc]
                for s, o, u in ways
                for r in react(s, event, SETTING)
            ]
        way = next(w for w in ways if len(ways) == 1 or given.chooses in w[2])
        assert way[2] == expected.rules
        assert shown(way[1]) == shown(expected.outputs)
        state, node = way[0], expected.target
        assert canonical(state) == m.states[node]


def test_its_size() -> None:
    assert (len(machine().states), len(machine().transitions)) == (442, 6_808)
    assert (len(wmethod.machine().states), len(wmethod.machine().transitions)) == (72, 973)


def test_a_walk_is_a_path_from_boot_and_all_together_take_every_transition_and_pair() -> None:
    small = wmethod.machine()
    every = Tours(machine(), lambda _, b: b.number)
    assert len(every.goals) == len(machine().transitions)
    for tours in (every, Tours(small, lambda a, b: (a and a.number, b.number))):
        met = set()
        for walk in tours.walks():
            assert [t.input.name for t in walk[:2]] == list(PRELUDE)
            assert [t.source for t in walk] == [0, *(t.target for t in walk[:-1])]
            assert sum(t.ms for t in walk) < LONGEST_MS + 400_000
            met |= {tours._goal(None, walk[0])}
            met |= {tours._goal(a, b) for a, b in pairwise(walk)}
        assert met == tours.goals


def test_every_two_states_of_the_w_methods_machine_are_told_apart_by_a_word_of_both() -> None:
    m, words = wmethod.machine(), wmethod.identifiers()
    for a in range(len(m.states)):
        begun = {w[: n + 1] for w in words[a] for n in range(len(w))}
        for b in range(a):
            both = begun & {w[: n + 1] for w in words[b] for n in range(len(w))}
            assert any(tells(m, w, a, b) for w in both), (m.states[a], m.states[b])


def test_states_that_nothing_tells_apart_are_refused() -> None:
    """Whether a frame waits that will be dropped shows by nothing that a purpose can do."""
    with pytest.raises(KeyError):
        harmonised(machine())


Changed = dict[tuple[int, str], tuple[object, int]]


def answers(m: Machine, changed: Changed, sequence: tuple[str, ...], twin: int = 0) -> list[object]:
    """What an IUT says that is the machine but for some transitions: answer and target. It says nothing to what does
    not fit the state that it is in. It may have one state more, number -1, which is `twin` but for what is changed."""
    said, state = [], 0
    for name in sequence:
        transition = m.out[twin if state < 0 else state].get(name)
        if transition is None:
            return said
        answer, target = changed.get((state, name), ((transition.outputs, transition.timer), transition.target))
        said.append(answer)
        state = target
    return said


def test_the_w_method_finds_every_wrong_answer_and_every_wrong_state() -> None:
    """Its guarantee, on a sample of the machines with one transition that says something else or leads elsewhere."""
    m = wmethod.machine()
    suite = [tuple(t.input.name for t in s) for _, found in wmethod.sequences() for s in found]
    right = [answers(m, {}, s) for s in suite]
    by_first: dict[tuple[int, str], list[int]] = {}
    for piece, found in wmethod.sequences():
        assert found, piece
    chance = random.Random(6347)
    for transition in chance.sample(m.transitions, 60):
        key = transition.source, transition.input.name
        wrong: list[tuple[object, int]] = [("something else", transition.target)]
        others = [n for n in range(len(m.states)) if n != transition.target]
        wrong += [((transition.outputs, transition.timer), n) for n in chance.sample(others, 6)]
        using = by_first.setdefault(key, [n for n, s in enumerate(suite) if transition.input.name in s])
        for change in wrong:
            found_out = any(answers(m, {key: change}, suite[n])[: len(right[n])] != right[n] for n in using)
            assert found_out, (transition, change)


def test_with_k_1_it_finds_a_wrong_state_more_that_k_0_misses() -> None:
    """An IUT with one state more: a twin of a state, entered by one transition, that answers one input otherwise."""
    m = wmethod.machine()
    suites = [[tuple(t.input.name for t in s) for _, found in wmethod.sequences(k) for s in found] for k in (0, 1)]
    chance = random.Random(6347)
    missed = 0
    for entry in chance.sample([t for t in m.transitions if t.source != t.target], 25):
        wrong = chance.choice(list(m.out[entry.target].values()))
        changed: Changed = {
            (entry.source, entry.input.name): ((entry.outputs, entry.timer), -1),
            (-1, wrong.input.name): ("something else", wrong.target),
        }
        found_out = []
        for suite in suites:
            using = [s for s in suite if entry.input.name in s]
            twin = [answers(m, changed, s, entry.target) for s in using]
            found_out.append(twin != [answers(m, {}, s) for s in using])
        assert found_out[1], (entry, wrong)
        missed += not found_out[0]
    assert missed


def test_the_tour_of_transitions_alone_would_not_find_them_all() -> None:
    """That is what the W-method is for: to a wrong state, a tour may say only what the right one answers alike."""
    m = wmethod.machine()
    tour = [tuple(t.input.name for t in walk) for walk in Tours(m, lambda _, b: b.number).walks()]
    right = [answers(m, {}, s) for s in tour]

    def missed(transition: Transition, target: int) -> bool:
        changed: Changed = {
            (transition.source, transition.input.name): ((transition.outputs, transition.timer), target)
        }
        said = (answers(m, changed, s) for s in tour)
        return all(heard == r[: len(heard)] for heard, r in zip(said, right, strict=True))

    chosen = random.Random(1).sample(m.transitions, 40)
    assert any(missed(t, (t.target + 1) % len(m.states)) for t in chosen)


def test_the_suites_for_more_states_are_as_large_as_the_page_says() -> None:
    assert sum(len(found) for _, found in wmethod.sequences()) == 3_672
    assert sum(len(found) for _, found in wmethod.sequences(1)) == 50_503
