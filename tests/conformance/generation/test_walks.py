"""Random walks are those of their seed; and a case that fails is made shorter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.case import run_case
from conformance.cli import main
from conformance.generation.suite import purposes
from conformance.generation.walks import WALKS, walks
from conformance.purpose import Purpose, Step
from conformance.results import CaseResult, Divergence
from conformance.shrink import LIMIT, shrink
from conformance.targets.reference import ReferenceTarget
from model.verdict import Verdict
from reference import dtls


def test_a_seed_has_its_walks() -> None:
    first = list(walks(0))
    assert first == list(walks(0)) == purposes(["walks"])
    assert len({p.id for p in first}) == WALKS
    assert [p.steps for p in first] != [p.steps for p in walks(1)]
    assert purposes(["walks"], 1) == list(walks(1))
    done = {step.kind for purpose in first for step in purpose.steps}
    assert {"send", "register", "deregister", "lose", "delay", "cut", "duplicate", "boot", "silence", "replay"} <= done
    assert {"spoof", "inject", "restart", "respond", "faa", "broadcast", "request", "wait"} <= done


@pytest.mark.parametrize("seed", [0, 1])
def test_the_reference_passes_them(seed: int) -> None:
    for purpose in list(walks(seed))[::40]:
        done = run_case(purpose, ReferenceTarget, profile="hardened", seed=seed).result
        assert done.verdict is Verdict.PASS, f"{purpose.id}: {done.reason}"


def numbered(count: int) -> Purpose:
    """A purpose of so many steps that can be told apart."""
    purpose = next(walks(0))
    return Purpose("x", "", ("SES-2",), "", tuple(Step("wait", {"ms": n}) for n in range(count)), peers=purpose.peers)


class Fails:
    """An implementation that fails where all of some steps are there, otherwise where only one of them is."""

    def __init__(self, *together: int) -> None:
        self.together, self.runs = set(together), 0

    def __call__(self, purpose: Purpose) -> CaseResult:
        self.runs += 1
        there = {step.arguments["ms"] for step in purpose.steps} & self.together
        result = CaseResult("x", "", "", 10, "", "hardened", [], Verdict.FAIL if there else Verdict.PASS, "", 0, 0.0, 1)
        requirement = "SES-8" if there == self.together else "SES-1"
        result.divergence = Divergence(1, 0, "", [], [], None, [], [], [requirement], "")
        return result


@pytest.mark.parametrize("together", [(0,), (19,), (3, 11), (0, 7, 19)])
def test_what_is_needed_for_the_same_failure_is_left(together: tuple[int, ...]) -> None:
    iut = Fails(*together)
    told: list[tuple[int, int]] = []
    found = shrink(numbered(20), iut, lambda runs, steps: told.append((runs, steps)))
    assert [step.arguments["ms"] for step in found.steps] == list(together)
    assert told[-1][1] == len(together)
    assert iut.runs < LIMIT


def test_what_does_not_fail_stays_as_it_is() -> None:
    assert shrink(numbered(4), Fails(9), lambda *_: None) == numbered(4)


def test_a_long_case_ends_after_a_number_of_runs() -> None:
    iut = Fails(*range(0, 400, 2))
    shrink(numbered(400), iut, lambda *_: None)
    assert iut.runs == LIMIT + 1


def test_a_walk_that_a_wrong_device_fails_is_made_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = next(p for p in walks(0) if p.steps[0].kind == "wait" and any(s.kind == "send" for s in p.steps))
    trace = tmp_path / f"{walk.id}.jsonl"
    trace.write_text(run_case(walk, ReferenceTarget, profile="hardened", seed=0).trace)
    monkeypatch.setattr(dtls, "FIRST_TIMEOUT", 8_000)
    assert main(["replay", str(trace), "--target", "reference", "--shrink", "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert "1 steps still fail" in told.err
    purpose = json.loads((tmp_path / "out" / trace.name).read_text().splitlines()[0])["purpose"]
    (step,) = purpose["steps"]
    assert step["do"] in ("send", "register", "deregister")
