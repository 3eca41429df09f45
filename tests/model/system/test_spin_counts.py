"""SPIN, an engine that we did not write, counts the same states of the standard scopes."""

from __future__ import annotations

import pytest
from test_scopes import SIZES

from model.profile import HARDENED
from model.spin import check
from model.system.build import build
from model.system.outcome import Finding
from model.system.scopes import SCOPES

QUICK = 50_000
"""States of scopes that are counted every day. The others were counted once: see docs/model.md."""


@pytest.mark.parametrize("name", [name for name, (states, _, _) in SIZES.items() if states <= QUICK])
def test_spin_counts_the_same_states_and_finds_the_same(name: str) -> None:
    outcome = check(build(SCOPES[name], HARDENED), memory_mb=2_048)
    assert outcome.exhausted
    assert (outcome.states, outcome.transitions) == SIZES[name][:2]
    assert outcome.answers
    assert all(answer.finding in (Finding.HOLDS, Finding.VACUOUS) for answer in outcome.answers)
