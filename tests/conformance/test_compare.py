"""The same case on two implementations: what differs first is found and shown with both sides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.case import run_case
from conformance.cli import main
from conformance.compare import Comparison, compare, exit_code, lines
from conformance.purpose import FOLDER, load, parse
from conformance.results import CaseResult
from conformance.targets.reference import ReferenceTarget
from model.verdict import Verdict
from reference import dtls

NAMES = ("reference", "other")
LOST = load(FOLDER / "lost-flight-2.toml")


def side(path: Path) -> CaseResult:
    outcome = run_case(LOST, ReferenceTarget, profile="hardened", seed=0)
    path.write_text(outcome.trace)
    return outcome.result


@pytest.fixture
def right(tmp_path: Path) -> tuple[CaseResult, Path]:
    return side(tmp_path / "right.jsonl"), tmp_path / "right.jsonl"


def test_the_same_is_the_same(right: tuple[CaseResult, Path]) -> None:
    case, trace = right
    found = compare((case, case), NAMES, (trace, trace))
    assert found.same
    assert exit_code([found]) == 0


def test_a_wrong_deadline_is_the_first_difference(
    right: tuple[CaseResult, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dtls, "FIRST_TIMEOUT", 8_000)
    wrong = side(tmp_path / "wrong.jsonl")
    found = compare((right[0], wrong), NAMES, (right[1], tmp_path / "wrong.jsonl"))
    assert found.difference is not None
    assert wrong.divergence is not None
    assert (found.difference.step, found.difference.what) == (wrong.divergence.step, ["deadline"])
    assert found.verdicts == [Verdict.PASS, Verdict.FAIL]
    assert found.allowed == wrong.divergence.allowed
    text = "\n".join(lines(found))
    assert "reference and other differ from step 1 on, at 0.000 s (reference PASS, other FAIL)" in text
    assert "reference:  hello(to=11); next deadline 7.000 s" in text
    assert "other:      hello(to=11); next deadline 8.000 s" in text
    assert "model:      hello(to=11)" in text
    assert ">>    0.000 s  CPU > 10  message" in text
    assert exit_code([found]) == 1


def test_an_output_that_is_missing_and_a_run_that_ends_early_differ(
    right: tuple[CaseResult, Path], tmp_path: Path
) -> None:
    case, trace = right
    header, *steps, footer = trace.read_text().splitlines()
    silent = [json.loads(step) for step in steps]
    at = next(n for n, step in enumerate(silent) if step["outputs"])
    silent[at]["outputs"] = []
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join([header, *map(json.dumps, silent), footer]))
    found = compare((case, case), NAMES, (trace, other))
    assert found.difference is not None
    assert (found.difference.step, found.difference.what) == (at, ["outputs"])
    assert "model:      allows both" in "\n".join(lines(found))
    assert exit_code([found]) == 1
    other.write_text("\n".join([header, *steps[:3], footer]))
    found = compare((case, case), NAMES, (trace, other))
    assert found.difference is not None
    assert (found.difference.step, found.difference.what) == (3, ["end"])
    assert "other:      has ended" in "\n".join(lines(found))


def test_the_exit_code() -> None:
    def told(*verdicts: Verdict) -> Comparison:
        return Comparison("x", "", NAMES, list(verdicts), ["", ""])

    assert exit_code([told(Verdict.PASS, Verdict.FAIL)]) == 1
    assert exit_code([told(Verdict.FAIL, Verdict.FAIL)]) == 1
    assert exit_code([told(Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)]) == 3
    assert exit_code([told(Verdict.PASS, Verdict.FAIL), told(Verdict.ERROR, Verdict.PASS)]) == 3


def test_no_trace_differs_from_the_beginning(right: tuple[CaseResult, Path], tmp_path: Path) -> None:
    found = compare((right[0], right[0]), NAMES, (right[1], tmp_path / "none.jsonl"))
    assert found.difference is not None
    assert found.difference.step == 0


class TestCommand:
    """Against our firmware in QEMU."""

    def test_a_choice_that_the_rules_leave_shows(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Our two controllers differ in one: the reference ends a handshake where a ChangeCipherSpec is no 1."""
        steps = [{"do": "send", "to": 5, "size": 16}, {"do": "say", "what": "forged", "variant": 5}]
        asked = parse("odd", {"title": "", "requirements": ["DTL-7"], "iut": 4, "voice": True, "steps": steps})
        (tmp_path / "odd.jsonl").write_text(run_case(asked, ReferenceTarget, profile="hardened", seed=0).trace)
        assert main(["compare", str(tmp_path / "odd.jsonl"), "--out", str(tmp_path)]) == 1
        told = capsys.readouterr().out
        assert "odd: reference and qemu differ from step 2 on" in told
        assert "model:      allows both" in told
        assert "1 case on reference and qemu: 1 differ" in told
        (found,) = json.loads((tmp_path / "compare.json").read_text())
        assert not found["same"] and found["verdicts"] == ["PASS", "PASS"]

    def test_a_trace_is_run_on_both(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        side(tmp_path / "trace.jsonl")
        call = ["compare", str(tmp_path / "trace.jsonl"), "--out", str(tmp_path / "out")]
        assert main(call) == 0
        assert "1 case on reference and qemu: none differ" in capsys.readouterr().out
        assert (tmp_path / "out/qemu/lost-flight-2.jsonl").is_file()

    @pytest.mark.parametrize(
        ("options", "code", "says"),
        [
            (["--target", "reference"], 2, "that is the other side"),
            (["-j", "0"], 2, "at least one case"),
            (["--seed", "-1"], 2, "0 or more"),
            (["none.jsonl"], 2, "no trace at none.jsonl"),
            (["none.jsonl", "register"], 2, "do not go together"),
            (["x-*"], 4, "nothing selected"),
            (["--suite", "nowhere"], 2, "nowhere: there is no such folder, and the suites with a name are quick, full"),
        ],
    )
    def test_wrong_options(self, options: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", *options]) == code
        assert says in capsys.readouterr().err
