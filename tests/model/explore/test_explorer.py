from __future__ import annotations

import pytest
from small_systems import Searched, courier, crowd

from model.explore import Explorer
from model.system.base import System

SYSTEMS = [courier(3, 0), courier(2, 3), crowd(2, 3), crowd(3, 1, dull=8)]


@pytest.fixture(scope="module", params=SYSTEMS, ids=lambda s: f"{s.name}-{len(s.variables)}")
def both(request: pytest.FixtureRequest) -> tuple[System, Searched]:
    return request.param, Searched.of(request.param)


def test_the_same_states_and_successors_as_the_plain_rules(both: tuple[System, Searched]) -> None:
    system, plain = both
    with Explorer(system, symmetry=False, memory=64 << 20) as explorer:
        explorer.run()
        states = list(explorer.states())
        assert len(states) == len(plain.distance)
        assert set(states) == set(plain.distance)
        for state in states:
            assert explorer.successors(state) == plain.steps[state]
