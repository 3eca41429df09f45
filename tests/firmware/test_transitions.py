"""The tour of the model's transitions on the host build: a share of it, and what it is worth on wrong firmwares.

`make transitions` takes all of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tomllib
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench import FIRMWARE, make

from conformance.targets.native import NativeTarget
from conformance.transitions.machine import Machine
from conformance.transitions.reasons import REASONS, account
from conformance.transitions.tour import Covered, Tour
from model.rules import RULES
from model.state import State, Waiting
from model.system.alone import FIRST

MUTANTS = {m["id"]: m for m in tomllib.loads(Path(__file__).with_name("mutants.toml").read_text("utf-8"))["mutant"]}
TRIED = (
    "idle-timer-not-rearmed", "no-contiguity",
)  # fmt: skip
"""Wrong firmwares that the tour must catch; with SCEWL_ALL_MUTANTS set, all of the table are tried."""


@cache
def machine() -> Machine:
    """The model's controller, explored."""
    return Machine()


def kind(s: State) -> Hashable:
    """The share: one state of each kind, by all that rules ask for but ids and numbers."""
    late, repeated = s.timer == 1, s.timeout > FIRST
    return s.mode, s.step, s.registered, late, repeated, s.began, s.aside, s.waiting != Waiting.NONE


def mode(s: State) -> Hashable:
    """A smaller share: one state of each of the five states (SES-1)."""
    return s.mode


def tour(program: Path, kind: Callable[[State], Hashable] = kind, *, until_wrong: bool = False) -> Covered:
    with contextlib.closing(NativeTarget(program)) as target:
        return Tour(machine(), target).run(kind, until_wrong=until_wrong)


def build(folder: Path, mutant: dict[str, Any] | None = None) -> Path:
    if mutant is None:
        done = make("-j2", "host")
        assert done.returncode == 0, done.stdout + done.stderr
        return FIRMWARE.parent / "build/host/controller"
    source = folder / "src"
    shutil.copytree(FIRMWARE / "src", source)
    path = source / mutant["file"]
    text = path.read_text("utf-8")
    for old, new in (("old", "new"), ("also_old", "also_new")):
        if old in mutant:
            assert text.count(mutant[old]) == 1
            text = text.replace(mutant[old], mutant[new])
    path.write_text(text, "utf-8")
    done = make("-j2", "host", f"SRC={source}", f"HOST_BUILD={folder / 'host'}")
    assert done.returncode == 0, done.stderr
    return folder / "host/controller"


def test_transitions_of_one_state_of_each_kind_are_taken_or_accounted_for(tmp_path: Path) -> None:
    found = tour(build(tmp_path))
    result = account(machine(), found)
    assert not found.wrong
    assert not result.unaccounted
    assert len(found.visited) == len({kind(s) for n, s in enumerate(machine().states) if machine().can_happen(n)})
    assert (result.total, result.taken.total()) == (4_734, 2_880)
    rules = {machine().labels[t.action][0] for t in found.taken}
    assert rules <= {r.id for r in RULES}
    assert {"SES-2.write", "SES-3.deliver", "SES-9.yield", "SES-9.resume", "ADV-1.replace", "REG-4.granted"} <= rules


def test_a_transition_without_reason_and_a_false_reason_both_show(tmp_path: Path) -> None:
    found = tour(build(tmp_path), mode)
    assert not account(machine(), found).unaccounted
    lost = next(iter(t for t in found.taken if machine().labels[t.action][1] == "hello from 3"))
    less = replace(found, taken=found.taken - {lost})
    assert "not taken, 0 reasons: SES-6.verify (hello from 3)" in account(machine(), less).unaccounted[0]
    cannot = next(
        t
        for t in machine().all()
        if t.node in found.visited and machine().labels[t.action][1] == "cpu-oversize to 3" and t not in found.taken
    )
    more = replace(found, taken=found.taken | {cannot})
    assert "taken, though waits-like-others" in account(machine(), more).unaccounted[0]
    misread = replace(found, read_as={**found.read_as, (cannot.node, "cpu-oversize to 3"): ("data",)})
    assert "waits-like-others, but read as ('data',)" in account(machine(), misread).unaccounted[0]


def test_reasons_have_names_of_their_own() -> None:
    assert len({r.name for r in REASONS}) == len(REASONS)


@pytest.mark.parametrize("name", MUTANTS if os.environ.get("SCEWL_ALL_MUTANTS") else TRIED)
def test_a_wrong_firmware_is_caught(name: str, tmp_path: Path) -> None:
    assert tour(build(tmp_path, MUTANTS[name]), until_wrong=True).wrong


def test_the_right_thing_for_another_reason_is_caught(tmp_path: Path) -> None:
    """The table says which of the model's rules it takes, and the tour compares that, too."""
    wrong = {"file": "machine.c", "old": '{"SES-9.yield"', "new": '{"SES-3.open"'}
    found = tour(build(tmp_path, wrong), until_wrong=True).wrong
    assert {w.what for w in found} == {"its table took SES-3.open, the model SES-9.yield"}
