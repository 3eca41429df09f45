"""How large the standard scopes are, and what is found in them.

The largest, `deregistered-device`, is left to `scewl check`: it has 34.5 million states.
"""

from __future__ import annotations

import pytest

from model.explore import explore
from model.profile import HARDENED, HISTORIC, Profile
from model.system.build import build
from model.system.outcome import Finding, Outcome
from model.system.scopes import SCOPES

LEFT_TO_CHECK = {"deregistered-device"}
MEMORY = 1 << 30

SIZES = {
    "reader": (14, 45, 3),
    "controller": (4_894, 136_964, 17),
    "pair": (563, 1_041, 36),
    "unregistered-pair": (70, 95, 18),
    "ring": (1_052, 1_854, 36),
    "chain": (108, 158, 18),
    "two-to-one": (107, 162, 18),
    "removed-device": (2_736, 6_098, 34),
    "absent": (67, 80, 20),
    "lossy": (351, 499, 26),
    "one-loss": (200, 310, 22),
    "records": (3_405, 5_164, 41),
    "registration": (30_260, 111_180, 36),
    "mixed-fleet": (190_268, 575_925, 56),
    "registration-lossy": (2_306_393, 8_814_790, 59),
    "lost-response": (856, 1_419, 24),
    "fleet": (14_989, 33_067, 55),
    "half-frame": (10_800, 30_600, 38),
    "failures": (2_438, 13_281, 27),
    "oversize": (10, 10, 8),
    "radio": (6_288_319, 50_828_238, 122),
    "unregistered-device": (1_249_606, 9_369_709, 73),
    "wire": (1_299_537, 6_128_967, 147),
    "power-cycles": (1_423_963, 4_496_698, 171),
}
"""States, transitions and depth, hardened. Every property holds in each of them."""

EXCHANGED = {"registration": (15_215, 55_913, 36), "half-frame": (5_450, 15_449, 38)}
"""The same with SEDs that can change places counted once."""

HISTORIC_SIZES = {
    "reader": (18, 69, 3),
    "controller": (4_504, 127_945, 14),
    "absent": (173, 195, 25),
    "records": (2_091, 3_401, 39),
    "oversize": (19, 18, 9),
}
HISTORIC_NOT_HOLDS = {
    "reader": {"magic-begins-a-frame": Finding.FALSE, "magic-is-found": Finding.VACUOUS},
    "controller": {
        "timers-armed": Finding.FALSE,
        "no-fatal-error": Finding.FALSE,
        "can-come-to-rest": Finding.FALSE,
    },
    "absent": {"timers-armed": Finding.FALSE, "all-delivered": Finding.FALSE},
    "records": {
        "timers-armed": Finding.FALSE,
        "cpu-first": Finding.FALSE,
        "same-bytes-or-nothing": Finding.FALSE,
        "idle-again": Finding.FALSE,
    },
    "oversize": {"timers-armed": Finding.FALSE, "same-bytes-or-nothing": Finding.FALSE},
}


def explored(name: str, profile: Profile) -> Outcome:
    return explore(build(SCOPES[name], profile), jobs=1, memory=MEMORY, symmetry=False)


def size(outcome: Outcome) -> tuple[int, int, int]:
    assert outcome.exhausted
    return outcome.states, outcome.transitions, outcome.depth


def not_holds(outcome: Outcome) -> dict[str, Finding]:
    assert outcome.answers
    return {a.property: a.finding for a in outcome.answers if a.finding is not Finding.HOLDS}


def test_the_table_has_all_standard_scopes_but_the_largest() -> None:
    standard = {name for name, scope in SCOPES.items() if scope.standard and "explore" in scope.engines}
    assert set(SIZES) | LEFT_TO_CHECK == standard
    assert not set(SIZES) & LEFT_TO_CHECK


@pytest.mark.parametrize("name", SIZES)
def test_hardened(name: str) -> None:
    outcome = explored(name, HARDENED)
    assert size(outcome) == SIZES[name]
    assert not_holds(outcome) == {}


@pytest.mark.parametrize("name", EXCHANGED)
def test_seds_that_can_change_places_count_once(name: str) -> None:
    outcome = explore(build(SCOPES[name], HARDENED), jobs=1, memory=MEMORY)
    assert size(outcome) == EXCHANGED[name]
    assert not_holds(outcome) == {}


def test_only_scopes_where_nothing_looks_at_ids_are_symmetric() -> None:
    symmetric = {name for name, scope in SCOPES.items() if build(scope, HARDENED).symmetries}
    assert symmetric == {"registration", "registration-lossy", "half-frame"}


@pytest.mark.parametrize("name", HISTORIC_SIZES)
def test_historic(name: str) -> None:
    outcome = explored(name, HISTORIC)
    assert size(outcome) == HISTORIC_SIZES[name]
    assert not_holds(outcome) == HISTORIC_NOT_HOLDS[name]
