"""docs/monitors.md says what the catalogue says."""

from __future__ import annotations

import pytest

from conformance.monitors import CATALOGUE
from conformance.monitors.page import PAGE, tables, with_tables


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text("utf-8")
    assert with_tables(page) == page, "run: python -m conformance.monitors.page"


def test_every_monitor_is_on_it_with_its_automaton() -> None:
    text = tables()
    for monitor in CATALOGUE.values():
        assert text.count(f"| `{monitor.id}` |") == 1
        assert text.count(f"\n{monitor.id}  (one per ") == 1
        assert monitor.says in text


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="substring not found"):
        with_tables("# nothing")
