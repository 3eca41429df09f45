"""The historic profile shows the defects that were confirmed by experiment; the hardened one has none of them."""

from __future__ import annotations

import pytest

from model.explore import explore
from model.profile import PROFILES
from model.system.build import build
from model.system.defects import DEFECTS, Defect
from model.system.outcome import Finding
from model.system.scopes import SCOPES

SHOWN = [d for d in DEFECTS if d.scope]


def test_a_defect_that_is_not_shown_has_a_reason() -> None:
    assert [d.number for d in DEFECTS] == list(range(1, 18))
    assert all(bool(d.scope) == bool(d.property) == (not d.why_not) for d in DEFECTS)


@pytest.mark.parametrize("defect", SHOWN, ids=[str(d.number) for d in SHOWN])
def test_a_historic_defect_is_found_and_the_hardened_profile_lacks_it(defect: Defect) -> None:
    scope = SCOPES[defect.scope]
    name = defect.property
    found = {p: explore(build(scope, PROFILES[p]), jobs=1, properties=[name]).answer(name) for p in PROFILES}
    assert found["historic"].finding is Finding.FALSE
    assert found["historic"].path
    assert found["hardened"].finding is Finding.HOLDS
