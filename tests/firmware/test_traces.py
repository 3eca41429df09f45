"""A counterexample to the model without a rule, as a trace, catches firmware that lacks the rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_mutants import MUTANTS, build

from conformance.campaign import replay
from conformance.checking.trace import recorder
from model.profile import HARDENED
from model.system.build import build as build_system
from model.system.scopes import SCOPES
from model.verdict import Verdict
from model.walk import walk

STATES = 400
"""How many states of each scope are looked at: enough to come to the counterexample."""


@pytest.mark.parametrize(
    ("flag", "scope", "name", "mutant", "rule"),
    [
        ("ses_8", "records", "same-bytes-or-nothing", "no-contiguity", "SES-8"),
        ("ses_7", "records", "timers-armed", "no-idle-timeout", "SES-7"),
        ("crt_7", "unregistered-device", "authentic", "no-name-check", "CRT-7"),
        ("adv_1", "unregistered-device", "cpu-first", "never-pre-empts", "ADV-1"),
        ("reg_4", "failures", "one-answer", "malformed-request-unanswered", "REG-4"),
    ],
)
def test_a_firmware_without_the_rule_fails_on_the_trace(
    flag: str, scope: str, name: str, mutant: str, rule: str, tmp_path: Path
) -> None:
    system = build_system(SCOPES[scope], HARDENED.without(flag))
    answer = walk(system, limit=STATES, properties=(name,)).answer(name)
    trace = tmp_path / recorder(tmp_path)(system, answer, flag)
    elf = build(next(m for m in MUTANTS if m["id"] == mutant), tmp_path)
    result = replay(trace, target="qemu", firmware=elf, out=tmp_path)
    assert result.verdict is Verdict.FAIL, result.reason
    assert result.divergence is not None
    assert rule in result.divergence.requirements, result.divergence
