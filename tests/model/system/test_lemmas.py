"""The proofs without bound, of the real systems. That a flag is needed shows where a proof fails without it."""

import pytest

from model.profile import HARDENED
from model.prove import prove
from model.system.base import Kind
from model.system.build import build
from model.system.layout import Layout
from model.system.lemmas import lemmas_of
from model.system.outcome import Finding
from model.system.scopes import SCOPES

UNBOUNDED = SCOPES["unbounded"]


def proved(scope, profile=HARDENED, properties=None):
    return prove(build(scope, profile), lemmas_of(Layout(scope, profile)), properties=properties, jobs=1)


def test_all_that_is_claimed_of_the_unbounded_system_is_proved():
    scope = UNBOUNDED
    outcome = proved(scope)
    assert [(a.property, a.how) for a in outcome.answers if a.finding is not Finding.PROVED] == []
    claimed = [p.name for p in build(scope, HARDENED).properties if p.kind is Kind.ALWAYS]
    assert [a.property for a in outcome.answers][: len(claimed)] == claimed
    used = {name for goal in claimed for name in outcome.answer(goal).how.replace(",", "").split()}
    assert {lemma.name for lemma in lemmas_of(Layout(scope, HARDENED))} <= used, "a lemma is idle"


@pytest.mark.parametrize(
    ("scope", "flag", "broken"),
    [
        ("unregistered-device", "ses_8", {"same-bytes-or-nothing", "contiguous"}),
        ("unregistered-device", "adv_1", {"cpu-first"}),
        ("unregistered-device", "ses_7", {"timers-armed", "retransmission"}),
        ("wire", "reg_4", {"one-answer"}),
    ],
)
def test_without_a_flag_its_proof_fails_and_no_other(scope, flag, broken, monkeypatch):
    monkeypatch.setattr("model.prove.engine.SPACER_S", 0.0)
    monkeypatch.setattr("model.prove.engine.DEPTH", -1)
    outcome = proved(SCOPES[scope], HARDENED.without(flag))
    assert {a.property for a in outcome.answers if a.finding is not Finding.PROVED} == broken


def test_a_system_without_devices_has_none():
    assert lemmas_of(Layout(SCOPES["reader"], HARDENED)) == ()
