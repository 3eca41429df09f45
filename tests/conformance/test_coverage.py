"""What a run has covered: rules with the frames that took them, events by state, and where a deviation is seen."""

from __future__ import annotations

import json

import pytest

from conformance.case import Outcome, run_case
from conformance.coverage import events_met, rules_taken
from conformance.purpose import load_purposes
from conformance.results import Report
from conformance.targets.reference import ReferenceTarget

STEPS = [
    {"n": 0, "rules": [], "events": [], "state": ["IDLE (unregistered)"]},
    {"n": 1, "rules": ["A.a"], "events": [["time", 3]], "state": ["IDLE (x)", "SENDING_MESSAGE/HELLO with 11 (x)"]},
    {"n": 2, "rules": ["A.a", "B.b"], "events": [["data", 1, 2], ["close", 1]], "state": ["IDLE (unregistered)"]},
    {"n": 3, "rules": ["B.b"], "events": [], "state": []},
]  # fmt: skip


def run(name: str) -> Outcome:
    (purpose,) = (p for p in load_purposes() if p.id == name)
    return run_case(purpose, ReferenceTarget, profile="hardened", seed=0)


def test_a_rule_has_the_first_frame_with_which_it_was_taken() -> None:
    assert rules_taken(STEPS, {2: 5, 3: 7}) == {"A.a": 5, "B.b": 5}
    assert rules_taken(STEPS, {1: 4, 3: 7}) == {"A.a": 4, "B.b": 7}
    assert rules_taken(STEPS, {}) == {"A.a": 0, "B.b": 0}


def test_an_event_counts_for_every_state_in_which_the_step_may_have_begun() -> None:
    assert events_met(STEPS) == [
        "IDLE close",
        "IDLE data",
        "IDLE time",
        "SENDING_MESSAGE/HELLO close",
        "SENDING_MESSAGE/HELLO data",
    ]


@pytest.mark.parametrize("name", ["register", "lost-flight-4"])
def test_the_frames_are_those_of_the_capture(name: str) -> None:
    outcome = run(name)
    assert len(outcome.result.rules) > 5 and outcome.result.shown == 0
    for rule, number in outcome.result.rules.items():
        carrying = [frame.number for frame in outcome.frames if rule in frame.comment]
        assert number == (min(carrying) if carrying else 0), rule
    assert [frame.number for frame in outcome.frames] == list(range(1, len(outcome.frames) + 1))


def test_a_deviation_is_seen_in_the_frame_that_shows_its_evidence() -> None:
    outcome = run("client-hello-suite-other")
    frame = outcome.frames[outcome.result.shown - 1].frame
    assert bytes.fromhex("20") in frame and bytes.fromhex("0002c02b") in frame  # the cookie's length, the suite
    earlier = [f.frame for f in outcome.frames[: outcome.result.shown - 1] if bytes.fromhex("0002c02b") in f.frame]
    assert len(earlier) == 1  # the hello without the cookie is not the evidence


def test_coverage_comes_back_from_the_report_and_older_reports_have_none(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("report") / "report.json"
    case = run("client-hello-suite-other").result
    report = Report("", "reference", "hardened", 0, {}, [case])
    path.write_text(report.to_json(), "utf-8")
    (loaded,) = Report.load(path).cases
    assert (loaded.rules, loaded.met, loaded.shown) == (case.rules, case.met, case.shown)
    assert loaded.shown > 0
    data = json.loads(path.read_text("utf-8"))
    for name in ("rules", "met", "shown"):
        del data["cases"][0][name]
    path.write_text(json.dumps(data), "utf-8")
    (loaded,) = Report.load(path).cases
    assert (loaded.rules, loaded.met, loaded.shown) == ({}, [], 0)
