"""Generated suites: what they disturb takes place, they are the same each time, and a wrong IUT fails in them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.case import run_case
from conformance.cli import main
from conformance.generation import faults, scenarios
from conformance.generation.interleavings import INTRUSIONS, interleavings
from conformance.generation.suite import COVERS, generate, load, purposes
from conformance.purpose import Purpose
from conformance.results import CaseResult
from conformance.targets.base import HarnessError
from conformance.targets.reference import ReferenceTarget
from model.verdict import Verdict
from reference import dtls

SEND, RECEIVE, REGISTER, DEREGISTER = scenarios.SCENARIOS
FATES = {"lose": "lost", "duplicate": "duplicate", "delay": "delayed", "cut": "cut"}


def run(purpose: Purpose) -> CaseResult:
    return run_case(purpose, ReferenceTarget, profile="hardened", seed=0).result


def quiet(*_: object) -> None:
    pass


def test_a_session_has_six_flights_two_records_and_two_farewells() -> None:
    assert list(map(str, faults.transmissions(SEND))) == [
        "flight1-10", "flight2-11", "flight3-10", "flight4-11", "flight5-10", "flight6-11",
        "data-10", "data-10.2", "close-10", "close-11",
    ]  # fmt: skip
    # The answer to a deregistration is one record, and what came before the scenario is not of it.
    assert list(map(str, faults.transmissions(DEREGISTER)))[6:] == ["data-10", "data-1", "close-10", "close-1"]


@pytest.mark.parametrize("scenario", [SEND, REGISTER], ids=lambda s: s.id)
def test_every_fault_strikes_once(scenario: scenarios.Scenario) -> None:
    made = list(faults.single(scenario))
    assert len(made) == len(faults.ACTIONS) * len(faults.transmissions(scenario))
    for purpose in made:
        done = run(purpose)
        assert done.verdict is Verdict.PASS, f"{purpose.id}: {done.reason}"
        struck = {frame.fate for frame in done.ladder} - {"delivered"}
        assert struck == {FATES[purpose.steps[0].kind]}, purpose.id


def test_the_second_of_two_faults_is_later_and_may_strike_a_repetition() -> None:
    made = list(faults.double(SEND))
    names = [purpose.id for purpose in made]
    assert len(set(names)) == len(names) == 928
    assert "send-lose-flight1-10-lose-flight1-10.2" in names and "send-lose-flight2-11-cut-flight1-10.2" in names
    pairs = {tuple(map(str, purpose.steps[:2])) for purpose in made}
    assert len(pairs) == len(made)
    purpose = next(p for p in made if p.id == "send-lose-flight4-11-lose-flight4-11.2")
    done = run(purpose)
    assert done.verdict is Verdict.PASS
    assert [frame.time for frame in done.ladder if frame.fate == "lost"] == [0, 7_000]


def test_boundaries_are_a_millisecond_apart() -> None:
    made = [p for p in faults.boundaries(SEND) if "flight4" in p.id]
    assert [p.steps[0].arguments["ms"] for p in made] == [6_999, 7_000, 7_001]
    resent = [sum(f.source == 10 and "cookie" in f.label for f in run(p).ladder) for p in made]
    assert resent == [1, 2, 2]  # at 7 s the timer is as due as the flight, and both count


def test_each_intrusion_comes_while_its_transmission_is_under_way() -> None:
    made = [p for p in interleavings(RECEIVE) if p.id.endswith("-at-flight4-10")]
    assert len(made) == len(INTRUSIONS)
    for purpose in made:
        done = run(purpose)
        assert done.verdict is Verdict.PASS, f"{purpose.id}: {done.reason}"
    meets = run(next(p for p in made if "-hear-" in p.id)).ladder
    other = next(frame for frame in meets if frame.source == 12)
    late = [frame.time for frame in meets if "ServerHello" in frame.label and frame.target == 11]
    assert other.time == scenarios.MOMENT_MS and late[0] == 0


def test_names_are_unique_file_names_and_stay() -> None:
    covers = [name for name in COVERS if name not in ("double-faults", "hardening")]  # they take minutes
    names = [purpose.id for purpose in purposes(covers)]
    assert max(Counter(names).values()) == 1
    assert names.count("send-delay7001-flight1-10") == 1  # a fault and a boundary
    assert all(re.fullmatch(r"[a-z0-9.-]{1,80}", name) for name in names)
    assert names == [purpose.id for purpose in purposes(reversed(covers))]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("suite")
    generate(["sizes"], seed=3, out=out, jobs=1, progress=quiet)
    return out


def test_a_suite_is_traces_and_an_index(suite: Path) -> None:
    index = json.loads((suite / "index.json").read_text())
    assert {case["trace"] for case in index["cases"]} | {"index.json"} == {path.name for path in suite.iterdir()}
    assert index["seed"] == 3 and "SES-3.deliver" in index["coverage"]["rules"]
    assert "REG-4.refused" in index["coverage"]["rules_not_taken"]
    loaded = load(suite)
    assert loaded.seed == 3 and loaded.purposes == purposes(["sizes"])


def test_the_same_options_make_the_same_bytes(suite: Path, tmp_path: Path) -> None:
    generate(["sizes"], seed=3, out=tmp_path, jobs=2, progress=quiet)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {p.name: p.read_bytes() for p in suite.iterdir()}


def test_it_runs_and_a_part_of_it_too(suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["conform", "--suite", str(suite), "--target", "reference", "--out", str(tmp_path)]
    assert main([*call, "size-96*"]) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert [case["case"] for case in report["cases"]] == ["size-962", "size-963", "size-964"]
    assert report["seed"] == 3 and f"--suite {suite}" in report["command"]
    assert f"--suite {suite}" in report["cases"][0]["reproduce"]
    assert main(["conform", "--suite", str(suite), "--out", f"{suite}/."]) == 2  # its traces would be replaced
    assert main([*call, "register"]) == 2
    assert "no purpose register" in capsys.readouterr().err


def test_a_controller_with_another_timeout_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    purpose = next(p for p in faults.single(SEND) if p.id == "send-lose-flight2-11")
    monkeypatch.setattr(dtls, "FIRST_TIMEOUT", 8_000)
    done = run(purpose)
    assert done.verdict is Verdict.FAIL
    assert done.divergence is not None and "DTL-6" in done.divergence.requirements


def test_a_case_that_our_own_side_fails_makes_no_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [purpose for purpose in faults.single(SEND) if purpose.id == "send-lose-flight2-11"]
    monkeypatch.setattr(dtls, "FIRST_TIMEOUT", 8_000)
    monkeypatch.setitem(COVERS, "faults", ("", lambda _: iter(lost)))
    with pytest.raises(HarnessError, match="1 of 1 cases are not PASS on the reference"):
        generate(["faults"], seed=0, out=tmp_path, jobs=1, progress=quiet)
    assert not (tmp_path / "index.json").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "index.json").unlink(), "holds no suite"),
        (lambda folder: (folder / "index.json").write_text("{"), "not the index of a suite"),
        (lambda folder: (folder / "index.json").write_text('{"suite": 9}'), "not the index of a suite of version 1"),
        (lambda folder: (folder / "index.json").write_text("[]"), "not the index of a suite"),
        (lambda folder: (folder / "size-1.jsonl").unlink(), "size-1.jsonl: not a trace"),
        (lambda folder: (folder / "size-1.jsonl").write_text('{"trace": 1, "case": 1}\n'), "does not describe a run"),
    ],
)
def test_a_broken_suite_is_refused(
    suite: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in suite.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoil(tmp_path)
    assert main(["conform", "--suite", str(tmp_path), "--target", "reference", "--list"]) == 3
    assert says in capsys.readouterr().err


class TestCommand:
    def test_it_lists(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["generate", "--cover", "sizes", "--list"]) == 0
        assert "size-16385  A message of 16385 bytes, more than a frame may have" in capsys.readouterr().out
        assert main(["generate", "--cover", "sizes", "--list", "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == len(purposes(["sizes"]))

    def test_it_writes_and_writes_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        call = ["generate", "--cover", "sizes", "--out", str(tmp_path / "new"), "-j", "2"]
        assert main(call) == 0
        told = capsys.readouterr()
        assert "all PASS on the reference" in told.out and f"--suite {tmp_path / 'new'}" in told.out
        (tmp_path / "new" / "old.jsonl").touch()
        assert main([*call, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["covers"] == ["sizes"]
        assert not (tmp_path / "new" / "old.jsonl").exists()

    @pytest.mark.parametrize(
        ("options", "code", "says"),
        [
            (["--cover", "fault"], 2, "no cover fault. Did you mean faults"),
            (["--cover", "xyzzy"], 2, "there are faults"),
            (["--cover", ","], 4, "nothing to cover"),
            (["-j", "0"], 2, "at least one case"),
            (["--seed", "-1"], 2, "0 or more"),
        ],
    )
    def test_wrong_options(self, options: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["generate", *options]) == code
        assert says in capsys.readouterr().err

    def test_another_folder_is_left_alone(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "thesis.jsonl").touch()
        assert main(["generate", "--cover", "sizes", "--out", str(tmp_path)]) == 2
        assert "neither empty nor a suite" in capsys.readouterr().err and (tmp_path / "thesis.jsonl").exists()
