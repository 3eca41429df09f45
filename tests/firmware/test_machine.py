"""The session machine's table, read from the C itself: its rules are the model's, each once, and none is ambiguous."""

from __future__ import annotations

import ctypes
import itertools
import re
import subprocess
from collections.abc import Iterator

import pytest
from bench import FIRMWARE

from conformance.transitions.machine import Machine
from conformance.transitions.table import ELSEWHERE, Row, difference, passive, row
from model.rules import RULES, Rule

HEADER = (FIRMWARE / "src/machine.h").read_text("utf-8")


class CRule(ctypes.Structure):
    """`struct rule` of machine.h."""

    _fields_ = (
        ("ids", ctypes.c_char_p),
        ("at", ctypes.c_uint16),
        ("on", ctypes.c_uint16),
        ("when", ctypes.c_uint16),
        ("unless", ctypes.c_uint16),
        ("does", ctypes.c_uint8 * 4),
    )


def enumerators(prefix: str) -> list[str]:
    """The enumerators of machine.h that begin so, in order."""
    return re.findall(rf"^    ({prefix}_\w+)", HEADER, re.M)


SITUATIONS, INPUTS, FACTS, ACTIONS = map(enumerators, ("AT", "ON", "IF", "DO"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    made = tmp_path_factory.mktemp("machine") / "machine.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", made, FIRMWARE / "src/machine.c"], check=True)
    library = ctypes.CDLL(str(made))
    library.machine_rule.restype = ctypes.POINTER(CRule)
    return library


@pytest.fixture(scope="module")
def table(library: ctypes.CDLL) -> list[CRule]:
    count = int(re.findall(r"#define MACHINE_RULES (\d+)", HEADER)[0])
    return list((CRule * count).in_dll(library, "machine_rules"))


def ids(rule: CRule) -> list[str]:
    return rule.ids.decode().split() if rule.ids else []


def applicable(table: list[CRule], at: int, on: int, facts: int) -> Iterator[CRule]:
    for rule in table:
        if rule.at >> at & 1 and rule.on == on and facts & rule.when == rule.when and not facts & rule.unless:
            yield rule


def test_at_most_one_rule_applies_and_it_is_the_one_that_is_found(library: ctypes.CDLL, table: list[CRule]) -> None:
    addresses = {ctypes.addressof(rule): rule for rule in table}
    found = 0
    for at, on in itertools.product(range(len(SITUATIONS)), range(len(INPUTS))):
        of_these = [rule for rule in table if rule.at >> at & 1 and rule.on == on]
        asked = 0
        for rule in of_these:
            asked |= rule.when | rule.unless
        for facts in (f for f in range(1 << len(FACTS)) if f & ~asked == 0):
            fitting = list(applicable(of_these, at, on, facts))
            assert len(fitting) <= 1, (SITUATIONS[at], INPUTS[on], [ids(r) for r in fitting])
            answer = library.machine_rule(1 << at, on, facts)
            assert [addresses[ctypes.addressof(answer.contents)]] == fitting if answer else not fitting
            found += len(fitting)
    assert found >= len(table)


def test_every_rule_can_apply_and_everything_that_has_a_name_is_used(table: list[CRule]) -> None:
    for rule in table:
        assert rule.at, "an empty row"
        assert rule.does[0]
        assert not rule.when & rule.unless
    assert {n for rule in table for n in rule.does} == set(range(len(ACTIONS)))
    assert {rule.on for rule in table} | {INPUTS.index("ON_NOTHING")} == set(range(len(INPUTS)))
    used = 0
    for rule in table:
        used |= rule.when | rule.unless
    assert used == (1 << len(FACTS)) - 1
    assert not any(rule.at >> SITUATIONS.index("AT_END") & 1 for rule in table), "nothing leaves FATAL_ERROR (SES-12)"


def test_its_rules_are_those_of_the_model(table: list[CRule]) -> None:
    said = {name for rule in table for name in ids(rule)}
    known = {rule.id: rule for rule in RULES}
    assert said <= known.keys()
    machine = Machine()
    taken = {machine.labels[t.action][0] for t in machine.all()} | {"SES-11.start"}
    effective = {name for name in taken if name == "SES-11.start" or not passive(known[name])}
    assert said | (ELSEWHERE.keys() & effective) == effective
    assert not said & ELSEWHERE.keys()
    for file in ELSEWHERE.values():
        assert (FIRMWARE / "src" / file).is_file()


def test_the_session_machine_has_no_other_rules() -> None:
    """dtls.c asks the table, and nothing else, what to do: no action is called but by `act`."""
    text = (FIRMWARE / "src/dtls.c").read_text("utf-8")
    assert text.count("machine_rule(") == 1
    for name in ("session_write", "session_close_notify", "credentials_discard", "credentials_install", "serve("):
        body = text.partition("static enum input act(")[2].partition("\n}\n")[0]
        helpers = text.partition("/* --- the actions")[2].partition("static enum input act(")[0]
        assert name in body + helpers
        assert name not in text.partition("/** Give the machine an input")[2], name


def rules(*names: str) -> list[Rule]:
    return [next(r for r in RULES if r.id == name) for name in names]


@pytest.mark.parametrize(
    ("rows", "model", "same"),
    [
        ((), ("SES-7.noise",), True),
        ((), ("SES-5.wait-to-send",), True),
        ((), ("SES-3.open",), False),
        ((Row(frozenset({"SES-3.open"}), asked=False),), ("SES-3.open",), True),
        ((Row(frozenset({"SES-3.open"}), asked=False),), ("SES-7.noise",), False),
        ((Row(frozenset({"SES-2.keys", "DTL-3.cookie"}), asked=True),), ("SES-2.keys",), True),
        ((Row(frozenset({"SES-2.keys", "DTL-3.cookie"}), asked=True),), ("SES-7.noise",), True),
        ((Row(frozenset({"SES-2.keys"}), asked=True),), ("DTL-3.cookie",), False),
        ((Row(frozenset({"SES-2.open"}), asked=False), Row(frozenset({"SES-11.start"}), asked=False)),
         ("SES-11.start",), True),
    ],
)  # fmt: skip
def test_what_a_table_took_beside_what_the_model_did(rows: tuple[Row, ...], model: tuple[str, ...], same: bool) -> None:
    assert (difference(rows, rules(*model)) is None) == same


def test_lines_of_the_debug_channel() -> None:
    assert row("scewl: rule taken: SES-3.open") == Row(frozenset({"SES-3.open"}), asked=False)
    assert row("scewl: rule asked: SES-2.keys DTL-3.cookie") == Row(
        frozenset({"SES-2.keys", "DTL-3.cookie"}), asked=True
    )
