"""Drafts of the first state of two SEDs that send to each other and ask the SSS."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from model.profile import HARDENED, Profile
from model.system.layout import Draft, Layout
from model.system.scope import Scope

BASE = Scope("base", "Two SEDs that send and ask.", sends={3: (4,), 4: (3,)}, asks={3: (0, 1), 4: (0, 1)})


def draft(values: dict[str, int] | None = None, profile: Profile = HARDENED, **bounds: object) -> Draft:
    """With some variables and bounds of the scope changed."""
    layout = Layout(replace(BASE, **bounds), profile)
    state = {v.name: v.init for v in layout.variables.values()}
    assert set(values or {}) <= set(state)
    return layout.draft(SimpleNamespace(**{**state, **(values or {})}))
