from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.results import Report
from conformance.targets.base import HarnessError
from model.verdict import Verdict


def test_all_pass(campaign, scewl, tmp_path: Path) -> None:
    ended = scewl("conform", "--out", tmp_path / "deep" / "out")
    assert ended.code == 0
    assert ended.err.splitlines() == [
        "[1/3] PASS glare-higher-waits  virtual 0.0 s  wall 0.5 s",
        "[2/3] PASS glare-lower-yields  virtual 0.0 s  wall 0.5 s",
        "[3/3] PASS register  virtual 0.0 s  wall 0.5 s",
    ]
    assert "PASS          3 passed; 0.036 s virtual, 1.5 s wall" in ended.out
    page = tmp_path / "deep" / "out" / "index.html"
    assert ended.out.splitlines()[-1] == f"report: {page}"
    assert page.is_file() and (page.parent / "junit.xml").is_file()
    report = Report.load(page.parent / "report.json")
    assert report.command == "scewl conform --target qemu --profile hardened --seed 0"


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.INCONCLUSIVE, 3), (Verdict.ERROR, 3)]
)
def test_exit_code_is_the_verdict(campaign, scewl, tmp_path: Path, verdict: Verdict, code: int) -> None:
    campaign.verdicts["register"] = verdict
    ended = scewl("conform", "--out", tmp_path)
    assert ended.code == code
    assert ("reproduce: scewl conform register" in ended.out) is (code != 0)


def test_options_reach_the_campaign(campaign, scewl, tmp_path: Path) -> None:
    elf = tmp_path / "my.elf"
    elf.touch()
    scewl("conform", "--firmware", elf, "--profile", "historic", "--seed", 7, "-j", 2, "--out", tmp_path)
    scewl("conform", "--target", "reference", "--out", tmp_path)
    assert campaign.asked == [
        {"target": "qemu", "firmware": elf, "profile": "historic", "seed": 7, "jobs": 2},
        {"target": "reference", "firmware": None, "profile": "hardened", "seed": 0, "jobs": 1},
    ]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (["register"], ["register"]),
        (["register", "glare-*"], ["glare-higher-waits", "glare-lower-yields", "register"]),
        (["ADV-1"], ["glare-lower-yields"]),
        (["ses-9", "glare-*"], ["glare-higher-waits", "glare-lower-yields"]),
    ],
)
def test_selection(campaign, scewl, wanted: list[str], ids: list[str]) -> None:
    ended = scewl("conform", "--list", "--json", *wanted)
    assert ended.code == 0
    assert [row["id"] for row in json.loads(ended.out)] == ids


@pytest.mark.parametrize("wanted", ["none-*", "MBT-1"])
def test_nothing_selected(campaign, scewl, tmp_path: Path, wanted: str) -> None:
    ended = scewl("conform", wanted, "--out", tmp_path / "out")
    assert ended.code == 4 and "nothing selected" in ended.err and ended.out == ""
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_gets_the_nearest(campaign, scewl) -> None:
    ended = scewl("conform", "glare-lower-yeilds")
    assert ended.code == 2 and "Did you mean glare-lower-yields" in ended.err
    ended = scewl("conform", "qqqqqqqq")
    assert ended.code == 2 and "`scewl conform --list` shows all" in ended.err
    ended = scewl("conform", "SES-99")
    assert ended.code == 2 and "SES-9" in ended.err


def test_list_shows_what_would_run(campaign, scewl) -> None:
    assert scewl("conform", "--list", "reg*").out == "register  Register (REG-4)\n"
    assert campaign.asked == []


def test_json_is_all_there_is_on_stdout(campaign, scewl, tmp_path: Path) -> None:
    campaign.verdicts["register"] = Verdict.FAIL
    ended = scewl("conform", "--json", "--out", tmp_path)
    data = json.loads(ended.out)
    assert ended.code == 1
    assert (data["verdict"], [case["verdict"] for case in data["cases"]]) == ("FAIL", ["PASS", "PASS", "FAIL"])
    assert "report: " in ended.err


def test_interrupted_keeps_what_was_finished(campaign, scewl, tmp_path: Path) -> None:
    campaign.error, campaign.before = KeyboardInterrupt(), 2
    ended = scewl("conform", "--out", tmp_path)
    assert ended.code == 130
    assert "interrupted after 2 of 3 cases" in ended.err
    report = Report.load(tmp_path / "report.json")
    assert [case.case for case in report.cases] == ["glare-higher-waits", "glare-lower-yields", "interrupted"]
    assert (report.verdict, report.cases[-1].reason) == (Verdict.ERROR, "1 cases were not finished.")
    assert "glare-lower-yields" in (tmp_path / "index.html").read_text("utf-8")


def test_resume_says_what_it_reuses(campaign, scewl, tmp_path: Path) -> None:
    ended = scewl("conform", "--resume", "--out", tmp_path)
    assert ended.code == 0
    assert ended.err.splitlines()[0] == f"resumed: 1 of 3 cases are from {tmp_path}"
    assert ended.err.splitlines()[1].startswith("[2/3] PASS glare-lower-yields")
    assert len(Report.load(tmp_path / "report.json").cases) == 3


def test_an_interrupted_resumption_keeps_what_it_reused(campaign, scewl, tmp_path: Path) -> None:
    campaign.error, campaign.before = KeyboardInterrupt(), 2
    ended = scewl("conform", "--resume", "--out", tmp_path)
    assert ended.code == 130
    assert "interrupted after 2 of 3 cases" in ended.err and "--resume runs the others" in ended.err
    cases = [case.case for case in Report.load(tmp_path / "report.json").cases]
    assert cases == ["glare-higher-waits", "glare-lower-yields", "interrupted"]


def test_harness_error_says_what_to_do(campaign, scewl, tmp_path: Path) -> None:
    campaign.error = HarnessError("QEMU is not installed: apt-get install qemu-system-arm", ["exit 127"])
    ended = scewl("conform", "--out", tmp_path)
    assert ended.code == 3
    assert ended.err == "scewl: QEMU is not installed: apt-get install qemu-system-arm\n  exit 127\n"


def test_an_unforeseen_error_is_one_line(campaign, scewl, tmp_path: Path) -> None:
    campaign.error = RuntimeError("boom")
    ended = scewl("conform", "--out", tmp_path)
    assert ended.code == 3
    assert ended.err.splitlines() == [
        "scewl: internal error: RuntimeError: boom",
        "  run again with --debug to see where",
    ]
    ended = scewl("conform", "--out", tmp_path, "--debug")
    assert ended.code == 3 and "Traceback" in ended.err and "test" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-j", "0"], "-j 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", "x"], "--seed"),
        (["--firmware", "none.elf"], "no firmware at none.elf"),
        (["--target", "reference", "--firmware", "none.elf"], "--firmware goes with --target qemu or native"),
        (["--target", "qmeu"], "Did you mean qemu?"),
    ],
)
def test_usage(campaign, scewl, arguments: list[str], says: str) -> None:
    ended = scewl("conform", *arguments)
    assert ended.code == 2 and says in ended.err and ended.out == ""
    assert campaign.asked == []


def test_a_folder_that_cannot_be_made_is_named(campaign, scewl, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = scewl("conform", "--out", tmp_path / "file" / "out")
    assert ended.code == 3 and str(tmp_path / "file" / "out") in ended.err


class TestBaseline:
    @pytest.fixture
    def earlier(self, campaign, scewl, tmp_path: Path) -> Path:
        campaign.verdicts["glare-lower-yields"] = Verdict.FAIL
        assert scewl("conform", "--out", tmp_path / "earlier").code == 1
        return tmp_path / "earlier" / "report.json"

    def test_what_failed_then_may_fail_now(self, campaign, scewl, earlier: Path, tmp_path: Path) -> None:
        ended = scewl("conform", "--baseline", earlier, "--out", tmp_path / "now")
        assert ended.code == 0 and ended.out.endswith(f"baseline {earlier}: no drift\n")

    def test_another_verdict_is_drift_either_way(self, campaign, scewl, earlier: Path, tmp_path: Path) -> None:
        campaign.verdicts = {"register": Verdict.INCONCLUSIVE}
        ended = scewl("conform", "--baseline", earlier, "--out", tmp_path / "now")
        assert ended.code == 1
        assert "drift: glare-lower-yields: FAIL -> PASS\n" in ended.out
        assert "drift: register: PASS -> INCONCLUSIVE: It went wrong.\n" in ended.out
        assert "2 cases differ" in ended.out

    def test_only_what_was_selected_is_compared(self, campaign, scewl, earlier: Path, tmp_path: Path) -> None:
        ended = scewl("conform", "register", "--baseline", earlier, "--out", tmp_path / "now", "--json")
        assert ended.code == 0 and json.loads(ended.out) and "no drift" in ended.err

    def test_cases_that_are_new_or_gone(self, campaign, scewl, earlier: Path, tmp_path: Path) -> None:
        data = json.loads(earlier.read_text())
        data["cases"][0]["case"] = "gone"
        data["cases"][1]["case"] = "other"
        earlier.write_text(json.dumps(data))
        ended = scewl("conform", "--baseline", earlier, "--out", tmp_path / "now")
        assert ended.code == 1
        drifts = [line for line in ended.out.splitlines() if line.startswith("drift")]
        assert drifts == [
            "drift: glare-lower-yields: not in the baseline -> FAIL: It went wrong.",
            "drift: gone: PASS -> not run",
            "drift: other: FAIL -> not run",
        ]

    def test_an_error_of_ours_stays_one(self, campaign, scewl, earlier: Path, tmp_path: Path) -> None:
        campaign.verdicts["register"] = Verdict.ERROR
        assert scewl("conform", "--baseline", earlier, "--out", tmp_path / "now").code == 3

    def test_no_baseline(self, campaign, scewl, tmp_path: Path) -> None:
        campaign.asked.clear()
        ended = scewl("conform", "--baseline", tmp_path / "none.json")
        assert ended.code == 2 and "No such file" in ended.err and campaign.asked == []
        (tmp_path / "bad.json").write_text("[]")
        ended = scewl("conform", "--baseline", tmp_path / "bad.json")
        assert ended.code == 2 and "is not a report of this version" in ended.err and campaign.asked == []
