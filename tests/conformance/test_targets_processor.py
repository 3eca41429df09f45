"""A harness and what it starts stay on one processor, for as long as that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance.targets.processor import one_processor

ASK = "import os; print(*os.sched_getaffinity(0))"


def test_what_is_started_meanwhile_has_the_one_processor_and_the_harness_gets_all_back() -> None:
    before = os.sched_getaffinity(0)
    with one_processor():
        mine = os.sched_getaffinity(0)
        child = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    assert len(mine) == 1 and mine <= before
    assert child.split() == [str(n) for n in mine]
    assert os.sched_getaffinity(0) == before


def test_they_come_back_after_an_exception() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(KeyboardInterrupt), one_processor():
        raise KeyboardInterrupt
    assert os.sched_getaffinity(0) == before


def test_a_system_that_does_not_say_where_one_is_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    monkeypatch.setattr("conformance.targets.processor._libc", type("Libc", (), {"sched_getcpu": lambda _: -1})())
    with one_processor():
        assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before
