from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from small_systems import EMPTY, Searched, action, courier, crowd, prop, stages

from model.explore import EngineError, Explorer, Progress, RangeError, TermError, explore
from model.explore import explorer as explorer_module
from model.system.base import Kind, Step, System, Variable
from model.terms import And

SYSTEMS = [courier(3, 0), courier(2, 3), crowd(2, 3), crowd(3, 1, dull=8), stages()]


@pytest.fixture(scope="module", params=SYSTEMS, ids=lambda s: f"{s.name}-{len(s.variables)}")
def both(request: pytest.FixtureRequest) -> tuple[System, Searched]:
    return request.param, Searched.of(request.param)


def test_the_same_states_and_successors_as_the_plain_rules(both: tuple[System, Searched]) -> None:
    system, plain = both
    with Explorer(system, symmetry=False) as explorer:
        explorer.run()
        states = list(explorer.states())
        assert len(states) == len(plain.distance)
        assert set(states) == set(plain.distance)
        for number, state in enumerate(states):
            assert explorer.successors(state) == plain.steps[state]
            assert explorer.index(state) == number


def test_the_figures_are_those_of_a_plain_search(both: tuple[System, Searched]) -> None:
    system, plain = both
    outcome = explore(system, symmetry=False)
    assert outcome.exhausted
    assert outcome.states == len(plain.distance)
    assert outcome.depth == max(plain.distance.values())
    assert outcome.transitions == sum(len(steps) for steps in plain.steps.values())
    for number, name in enumerate(a.name for a in system.actions):
        assert outcome.taken[name] == sum(n == number for steps in plain.steps.values() for n, _ in steps)


def test_states_come_in_breadth_first_order_with_shortest_paths(both: tuple[System, Searched]) -> None:
    system, plain = both
    with Explorer(system, symmetry=False) as explorer:
        explorer.run()
        states = list(explorer.states())
        assert [plain.distance[s] for s in states] == sorted(plain.distance.values())
        for number in range(0, len(states), 1 + len(states) // 50):
            path = explorer.path(number)
            assert len(path) == plain.distance[states[number]]
            assert (path[-1].state if path else system.initial) == states[number]


def test_a_state_that_was_not_reached_has_no_index() -> None:
    with Explorer(courier(3, 0)) as explorer:
        explorer.run()
        assert explorer.index((3, 0, 0, 0, 1, EMPTY, EMPTY, 0, 0)) is None


@pytest.mark.parametrize("symmetry", [False, True])
def test_the_number_of_threads_changes_nothing(symmetry: bool) -> None:
    system = crowd(4, 5)
    results = []
    for jobs in (1, 2, 3):
        with Explorer(system, jobs=jobs, symmetry=symmetry) as explorer:
            explorer.run()
            results.append([list(explorer.states()), explorer.taken])
    assert len(results[0][0]) > 2_000  # else no batch is shared among threads
    assert results[0] == results[1] == results[2]
    outcomes = [explore(system, jobs=jobs, symmetry=symmetry) for jobs in (1, 2)]
    same = [replace(o, seconds=0, memory=0) for o in outcomes]
    assert same[0] == same[1]


@pytest.mark.parametrize("system", [crowd(2, 3), crowd(3, 2), crowd(3, 1, dull=8)], ids=["2", "3", "wide"])
def test_symmetry_keeps_one_state_of_each_orbit(system: System) -> None:
    plain = Searched.of(system)
    with Explorer(system) as explorer:
        explorer.run()
        orbits = {explorer.layout.canonical(s, explorer.images) for s in plain.distance}
        assert set(explorer.states()) == orbits
        assert explorer.engine.progress()[0] == len(orbits) < len(plain.distance)
        assert all(explorer.index(s) is not None for s in plain.distance)


def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system, reports = crowd(4, 5), list[Progress]()
    whole = explore(system, jobs=2, symmetry=False)
    monkeypatch.setattr(explorer_module, "SLICE", 0.0)
    sliced = explore(system, jobs=2, symmetry=False, progress=reports.append)
    assert replace(whole, seconds=0, memory=0) == replace(sliced, seconds=0, memory=0)
    assert len(reports) > whole.depth  # one batch each, and a batch never holds two levels
    assert [r.states for r in reports] == sorted(r.states for r in reports)
    assert reports[-1].states == whole.states
    assert reports[-1].queue == 0


def test_an_interrupt_stops_it_between_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer_module, "SLICE", 0.0)

    def interrupt(at: Progress) -> None:
        assert at.depth < 9
        if at.depth == 8:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        explore(courier(3, 0), progress=interrupt)


@pytest.mark.parametrize("jobs", [1, 2])
def test_memory_is_bounded(jobs: int) -> None:
    system = crowd(5, 6)
    with Explorer(system, symmetry=False) as explorer:
        least = explorer.engine.least_memory
    room = least + (1 << 20)
    some = explore(system, jobs=jobs, symmetry=False, memory=room)
    assert not some.exhausted
    assert some.memory <= room
    assert 20_000 < some.states < explore(system, symmetry=False).states
    assert some.states == explore(system, jobs=3 - jobs, symmetry=False, memory=room).states
    findings = {a.property: str(a.finding) for a in some.answers}
    assert findings == {
        "one holds it": "not exhausted",
        "not all want": "false",
        "all done": "not exhausted",
        "free again": "not exhausted",
        "freed": "not exhausted",
        "someone waits": "not exhausted",
    }


def test_states_are_looked_at_though_memory_leaves_no_room_for_their_successors() -> None:
    def grow(i: int) -> Step:
        return lambda v: Step(getattr(v, f"bit{i}") == 0, {f"bit{i}": 1})

    size = 22
    names = [f"bit{i}" for i in range(size)]
    system = System(
        "bits",
        tuple(Variable(n, 0, 1) for n in names),
        tuple(action(f"set {i}", grow(i)) for i in range(size)),
        tuple(
            prop(f"at most {n}", Kind.ALWAYS, lambda v, n=n: sum(getattr(v, name) for name in names) <= n)
            for n in range(size)
        ),
    )
    with Explorer(system) as explorer:
        least = explorer.engine.least_memory
    outcome = explore(system, memory=least + (5 << 20))
    assert not outcome.exhausted
    violated = [a for a in outcome.answers if a.path]
    assert [len(a.path) for a in violated] == list(range(1, len(violated) + 1))
    assert len(violated) > outcome.depth  # found in a level that was not expanded


def test_edges_that_find_no_room_are_computed_anew() -> None:
    system = crowd(5, 6)
    with Explorer(system, symmetry=False) as explorer:
        room = explorer.engine.least_memory + 23_500_000  # the states just fit
    roomy, tight = (explore(system, symmetry=False, memory=m) for m in (1 << 30, room))
    assert tight.exhausted
    assert tight.memory <= room < roomy.memory
    assert tight.answers == roomy.answers


def test_too_little_memory_is_said() -> None:
    with pytest.raises(EngineError, match="1000 bytes of memory are too few"):
        explore(courier(1, 0), memory=1000)


def test_a_value_out_of_its_range_names_variable_action_and_length() -> None:
    def over(v: object) -> Step:
        return Step(And(v.x >= 1, v.y == 1), {"x": v.x + 2})

    system = System(
        "outside",
        (Variable("x", 0, 3), Variable("y", 0, 1)),
        (
            action("up", lambda v: Step(v.x < 2, {"x": v.x + 1})),
            action("arm", lambda v: Step(True, {"y": 1})),
            action("over", over),
            action("beyond", lambda v: Step(And(v.x == 2, v.y == 1), {"x": v.x + 3})),
        ),
        (),
    )
    with pytest.raises(RangeError, match=r"outside: over gives x the value 4, .* after a path of 3 steps") as caught:
        explore(system)
    error = caught.value
    assert (error.variable, error.value, error.action) == ("x", 4, "over")
    assert error.path[-1].state == (2, 1)
    with Explorer(system) as explorer, pytest.raises(RangeError, match="over gives x the value 5"):
        explorer.successors((3, 1))


def test_without_gcc_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("gcc") is None
    with pytest.raises(EngineError, match="needs gcc, which is not installed"):
        explore(courier(1, 0))


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    maps = Path("/proc/self/maps")
    with Explorer(courier(1, 0)) as explorer:
        explorer.run()
        assert str(tmp_path) in maps.read_text()
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in maps.read_text()


def test_what_cannot_be_computed_is_refused() -> None:
    def system(variable: Variable, update: dict[str, object]) -> System:
        return System("odd", (variable,), (action("a", lambda v: Step(True, update)),), ())

    with pytest.raises(TermError, match="no variable y"):
        explore(system(Variable("x", 0, 1), {"y": 1}))
    with pytest.raises(ValueError, match=r"x begins with 0, which is not in 1\.\.2"):
        explore(system(Variable("x", 1, 2), {}))
    divided = System("odd", (Variable("x", 0, 4),), (action("a", lambda v: Step(True, {"x": v.x / 2})),), ())
    with pytest.raises(TermError, match="cannot compute"):
        explore(divided)
    large = System("odd", (Variable("x", 0, 70_000),), (action("a", lambda v: Step(v.x * v.x > 5)),), ())
    with pytest.raises(TermError, match="does not fit into 32 bits"):
        explore(large)


def test_a_system_without_actions_or_bits_has_one_state() -> None:
    outcome = explore(System("still", (Variable("x", 4, 4, 4),), (), ()))
    assert (outcome.states, outcome.transitions, outcome.depth, outcome.exhausted) == (1, 0, 0, True)
