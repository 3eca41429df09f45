"""Counterexamples of the model without one hardening rule, as cases: a part of the matrix, which takes minutes."""

from __future__ import annotations

import pytest

from conformance.case import run_case
from conformance.generation import hardening
from conformance.generation.hardening import Row, search
from conformance.purpose import load_purposes
from conformance.targets.reference import ReferenceTarget
from model.verdict import Verdict


def test_a_rule_that_is_missing_gives_a_case_that_the_reference_withstands() -> None:
    row = search("frm_1", "reader")
    assert [p.id for p in row.purposes] == ["frm_1-reader-magic-begins-a-frame"]
    done = run_case(row.purposes[0], ReferenceTarget, profile="hardened", seed=0).result
    assert done.verdict is Verdict.PASS, done.reason


def test_what_is_no_trace_says_why() -> None:
    row = search("ses_7", "controller")
    assert not row.purposes
    assert row.untold and all("One controller alone" in text for text in row.untold)


def test_where_a_rule_changes_nothing_there_is_nothing() -> None:
    assert search("reg_1", "reader") == Row("reg_1", "reader")


def test_cases_that_read_alike_are_one_and_the_account_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = load_purposes()[:2]
    made = (Row("frm_1", "reader", (one,)), Row("frm_2", "pair", (one, other), ("p: no",)))
    monkeypatch.setattr(hardening, "rows", lambda: made)
    assert list(hardening.hardening()) == [one, other]
    account = hardening.account()
    assert account["frm_2"] == {"cases": [one.id, other.id], "no_trace": ["pair: p: no"]}
    assert account["adv_1"] == {"cases": [], "no_trace": []}
    assert account.keys() == set(hardening.FLAGS)
