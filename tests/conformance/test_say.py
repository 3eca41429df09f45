"""Purposes in which nobody plays and everything is said by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conformance.case import run_case
from conformance.generation import coverage, covers
from conformance.purpose import BadPurpose, Purpose, parse
from conformance.sayings import FORGERIES, HELLOS, SAYINGS
from conformance.targets.reference import ReferenceTarget
from conformance.voice import FORGERIES as FORGED
from model.verdict import Verdict
from reference import dtls


def say(what: str, source: int = 0, **more: Any) -> dict[str, Any]:
    return {"do": "say", "what": what, **({"as": source} if source else {}), **more}


def purpose(*steps: dict[str, Any], **more: Any) -> Purpose:
    document = {"title": "t", "requirements": ["SES-2"], "iut": 4, "voice": True, "steps": list(steps)}
    return parse("said", document | more)


def run(asked: Purpose) -> tuple[Verdict, str, dict[str, Any]]:
    outcome = run_case(asked, ReferenceTarget, profile="hardened", seed=0)
    return outcome.result.verdict, outcome.result.reason, json.loads(outcome.trace.splitlines()[-1])


SERVED = (say("hello", 3), say("hello-cookie", 3, takes="SES-3.open"))


def test_a_device_registers_and_receives_by_what_is_said_to_it() -> None:
    registers = say("verify-request"), say("flight4"), say("flight6"), say("response", takes="REG-4.granted")
    receives = (
        say("flight5"),
        say("flight5-again", takes="DTL-6.repeat-6"),
        say("data"),
        say("close", takes="SES-3.deliver"),
    )
    assert run(purpose({"do": "register"}, *registers, *SERVED, *receives))[0] is Verdict.PASS


def test_every_saying_is_an_input_of_the_machine() -> None:
    steps = [step for t in covers.machine().transitions for step in t.input.steps]
    said = {step["what"] for step in steps if step["do"] == "say"}
    assert said == {*SAYINGS, *HELLOS}
    assert len(FORGED) == FORGERIES


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((say("flight4"),), "Step 1 (say what=flight4): flight4 cannot be said to an IUT in IDLE"),
        ((say("hello-cookie", 3),), "3 has no cookie of the IUT; it says a hello first."),
        ((*SERVED, say("hello-cookie", 3, takes="SES-3.open")), "not taken by SES-3.open but by DTL-6.repeat-4."),
    ],
)
def test_what_cannot_be_said_or_is_taken_otherwise_is_inconclusive(steps: tuple[Any, ...], says: str) -> None:
    verdict, reason, _ = run(purpose(*steps))
    assert verdict is Verdict.INCONCLUSIVE
    assert says in reason


def test_where_the_iut_chooses_otherwise_the_rest_is_left_out_and_the_trace_says_so() -> None:
    for variant, left in ((6, None), (0, 3)):  # one that is ignored, and one that is refused
        forged = say("forged", variant=variant, takes="DTL-7.forged-ignored", choice=True)
        verdict, reason, footer = run(purpose(*SERVED, forged, say("flight5", takes="SES-3.finish")))
        assert (verdict, reason, footer.get("left_out")) == (Verdict.PASS, "", left)


def test_a_wrong_device_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "FIRST_TIMEOUT", 8_000)
    outcome = run_case(purpose(*SERVED), ReferenceTarget, profile="hardened", seed=0)
    assert outcome.result.verdict is Verdict.FAIL
    assert outcome.result.divergence is not None
    assert "DTL-6" in outcome.result.divergence.requirements


@pytest.mark.parametrize(
    ("steps", "more", "says"),
    [
        ((say("flight7"),), {}, "no what 'flight7'; did you mean flight"),
        ((say("flight4", takes="SES-2"),), {}, "no takes 'SES-2'"),
        ((say("flight4", 3),), {}, "a hello, and nothing else, is said `as` 3 or 5"),
        ((say("hello"),), {}, "a hello, and nothing else, is said `as` 3 or 5"),
        ((say("forged", variant=FORGERIES),), {}, f"`variant` is 0 to {FORGERIES - 1}"),
        ((say("flight4"),), {"voice": False}, "`say` steps need `voice = true`"),
        ((say("flight4"),), {"iut": 10}, "`voice` speaks to an `iut` of 4, and no peers are there"),
        ((say("flight4"),), {"peers": [{"id": 5}]}, "`voice` speaks to an `iut` of 4"),
    ],
)
def test_bad_purposes(steps: tuple[Any, ...], more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadPurpose) as bad:
        purpose(*steps, **more)
    assert says in str(bad.value)


class TestCoverage:
    @pytest.fixture
    def walk(self) -> Purpose:
        """The hellos, a session that is opened and a forgery that is refused, which ends it, and one more input."""
        names = ("hello-3", "hello-5", "hello-cookie-3", "forged-message", "noise")
        state, found = 0, []
        for name in names:
            found.append(covers.machine().out[state][name])
            state = found[-1].target
        return covers.purpose("walk", "", [found])

    def test_a_walk_counts_once_it_has_passed_and_as_far_as_it_went(self, walk: Purpose, tmp_path: Path) -> None:
        trace = tmp_path / "walk.jsonl"
        outcome = run_case(walk, ReferenceTarget, profile="hardened", seed=0)
        trace.write_text(outcome.trace)
        found = coverage.account([walk], tmp_path)
        assert (found["transitions"]["taken"], found["pairs"]["taken"], found["cases_cut_by_choice"]) == (5, 4, 0)
        assert coverage.lines(found)[0].startswith("5 of 6,808 transitions")
        *lines, last = outcome.trace.splitlines()
        for footer, taken, cut in (({"left_out": 8}, 4, 1), ({"verdict": "FAIL"}, 0, 0)):
            trace.write_text("\n".join([*lines, json.dumps(json.loads(last) | footer)]))
            found = coverage.account([walk], tmp_path)
            assert (found["transitions"]["taken"], found["cases_cut_by_choice"]) == (taken, cut)
        trace.unlink()
        assert coverage.lines(coverage.account([walk], tmp_path)) == []

    def test_what_is_written_by_hand_is_no_walk(self, tmp_path: Path) -> None:
        asked = purpose(*SERVED, {"do": "wait", "ms": 7})
        (tmp_path / "said.jsonl").write_text(run_case(asked, ReferenceTarget, profile="hardened", seed=0).trace)
        assert coverage.account([asked], tmp_path)["transitions"]["taken"] == 0

    def test_each_state_and_event_that_no_bytes_are_has_its_reason(self) -> None:
        assert coverage.cannot().keys() <= coverage.reasons().keys()
        assert coverage.cannot()[coverage.OWN_FAILURE] == 4
