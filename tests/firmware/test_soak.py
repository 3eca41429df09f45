"""Sixty sessions of all kinds in one QEMU: the figures of benchmarks/soak.py, and that it would see something grow."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import soak  # noqa: E402
from memory import build  # noqa: E402


@pytest.fixture(scope="module")
def elf() -> Path:
    return build()


def test_sixty_sessions_leave_nothing_behind(elf: Path) -> None:
    figures = soak.soak(elf, 60)
    assert figures["same"], figures
    assert set(figures["kinds"]) == {kind.__name__ for kind in soak.KINDS}


def test_a_heap_that_grows_is_seen(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session's report is made a byte larger, as if each left one byte behind."""
    told = 0

    def memory(*figures: int) -> soak.Memory:
        nonlocal told
        told += 1
        return replace(honest(*figures), heap_used=figures[2] + told)

    honest = soak.Memory
    monkeypatch.setattr(soak, "Memory", memory)
    assert not soak.soak(elf, 20)["same"]


def test_a_message_that_nobody_expects_is_seen(elf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_vain(world: soak.World, chance: random.Random, size: int) -> soak.Expected:
        soak.unicast_out(world, chance, size)
        return soak.Expected()

    monkeypatch.setattr(soak, "KINDS", (soak.register, soak.unicast_out, in_vain))
    with pytest.raises(soak.IutFault, match="session 2, in_vain"):
        soak.soak(elf, 10)
