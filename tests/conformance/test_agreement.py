"""Firmware and reference do the same, step by step, in every purpose, and are allowed on walks that nobody wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.case import Outcome, run_case
from conformance.purpose import Purpose, load_purposes, parse
from conformance.targets.base import Target
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from model.alphabet import SSS_ID
from model.verdict import Verdict

ELF = Path(__file__).parents[2] / "build/firmware/controller.elf"
PURPOSES = {p.id: p for p in load_purposes() if not p.scripted}
SEEN = ("t", "events", "outputs", "deadline", "rules", "state", "verdict")
"""What must be equal in each step of a trace; the bytes of two DTLS stacks are not."""


def run(purpose: Purpose, target: str, seed: int = 0) -> Outcome:
    def make() -> Target:
        return QemuTarget(ELF) if target == "qemu" else ReferenceTarget()

    return run_case(purpose, make, profile="hardened", seed=seed)


def steps(outcome: Outcome) -> list[dict[str, Any]]:
    """The steps of a trace without what may differ.

    Between links, no order of outputs is observable. How long the SSS's response is depends on its signatures, which
    depend on all that it received.
    """
    lines = [json.loads(line) for line in outcome.trace.splitlines()[1:-1]]
    kept = [{k: line[k] for k in SEEN} for line in lines]
    for step in kept:
        step["outputs"] = sorted(step["outputs"])
        step["events"] = [e[:3] if e[:2] == ["data", SSS_ID] else e for e in step["events"]]
    return kept


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
def test_firmware_and_reference_agree_step_by_step(purpose: Purpose) -> None:
    firmware, reference = run(purpose, "qemu"), run(purpose, "reference")
    assert firmware.result.verdict is reference.result.verdict is Verdict.PASS, firmware.result.reason
    assert steps(firmware) == steps(reference)


# --- walks ------------------------------------------------------------------------------------------------------------

PEERS = (4, 9, 12)
peers = st.sampled_from(PEERS)
anyone = st.sampled_from((10, *PEERS))
sizes = st.sampled_from((0, 1, 963, 964, 2_500))
flights = st.integers(1, 6)
records = st.sampled_from(("data", "close"))
delays = st.sampled_from((10, 3_000, 6_999, 7_000, 7_001, 20_000, 60_000))


def step(do: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"do": st.just(do), **arguments})


moves = st.one_of(
    step("send", to=peers, size=sizes),
    step("send", by=peers, to=st.just(10), size=sizes),
    step("send", by=peers, to=anyone, size=sizes),
    step("register", by=anyone),
    step("deregister", by=st.just(10)),
    step("request", size=st.integers(0, 5), op=st.sampled_from((0, 1, 5))),
    step("lose", flight=flights, nth=st.integers(1, 2), times=st.sampled_from((1, 2, 5))),
    step("lose", record=records, nth=st.integers(1, 2)),
    step("duplicate", flight=flights),
    step("duplicate", record=records),
    step("delay", flight=flights, ms=delays),
    step("delay", record=records, ms=delays),
    step("swap", record=st.just("data"), nth=st.just(1)),
    step("silence", who=st.sampled_from((1, *PEERS))),
    step("restore", who=st.sampled_from((1, *PEERS))),
    step("wait", ms=delays),
    step("wait", until=st.just("idle")),
    step("faa", to=st.sampled_from(("radio", "cpu")), size=sizes),
    step("inject", link=st.sampled_from(("radio", "sss")), source=st.sampled_from((1, 2, *PEERS)), size=sizes),
)


@st.composite
def walks(draw: st.DrawFn) -> Purpose:
    """A purpose without expectations: whatever comes of it must be allowed."""
    document = {
        "title": "walk",
        "requirements": ["SES-1"],
        "peers": [
            {"id": p, "credentials": draw(st.sampled_from(("good", "good", "foreign-certificate")))} for p in PEERS
        ],
        "overhear": draw(st.booleans()),
        "replace": draw(st.booleans()),
        "steps": draw(st.lists(moves, min_size=2, max_size=14)),
    }
    return parse("walk", document)


def judged(purpose: Purpose, target: str) -> None:
    result = run(purpose, target).result
    assert result.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE), (result.reason, result.divergence)


@settings(derandomize=True, deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(walks())
def test_the_reference_is_allowed_whatever_it_does_on_a_walk(purpose: Purpose) -> None:
    judged(purpose, "reference")


@settings(derandomize=True, deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
@given(walks())
def test_the_firmware_is_allowed_whatever_it_does_on_a_walk(purpose: Purpose) -> None:
    judged(purpose, "qemu")
