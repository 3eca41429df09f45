"""A controller that we did not write, as far as that can be had: the historic one, a program of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.cli import main

HISTORIC = Path(__file__).parent / "historic"
CASES = ["register", "deregister", "across-registration", "lost-flight-4", "registered-964", "wrong-name-client"]
CASES += ["foreign-client", "response-trailing", "response-header-only", "sss-restart"]
SKIPPED = ["glare-lower", "yield-bounded", "client-finished-wrong"]

Run = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run cases of the file, with texts replaced: the exit code, and the report's cases by name."""

    def run(cases: list[str], *changes: tuple[str, str]) -> tuple[int, dict[str, dict[str, str]]]:
        text = (HISTORIC / "historic.toml").read_text().replace("{folder}", str(HISTORIC))
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "historic.toml").write_text(text)
        arguments = [
            "conform",
            *cases,
            "--iut",
            str(tmp_path / "historic.toml"),
            "--out",
            str(tmp_path / "out"),
            "--json",
        ]
        code = main(arguments)
        report = json.loads(capsys.readouterr().out)
        return code, {case["case"]: case for case in report["cases"]}

    return run


def test_it_passes_with_what_it_does_not_claim_skipped(run: Run) -> None:
    names = [*CASES, "broadcast", *SKIPPED]
    code, cases = run(names)
    assert {name: case["verdict"] for name, case in cases.items()} == {
        **dict.fromkeys(CASES, "PASS"),
        "broadcast": "FAIL",
        **dict.fromkeys(SKIPPED, "SKIPPED"),
    }
    assert code == 0
    assert cases["broadcast"]["known"].startswith("Passes the CPU's broadcasts to the radio")
    assert cases["glare-lower"]["reason"] == "The firmware does not claim SES-9."
    assert "RSA" in cases["client-finished-wrong"]["reason"]
    assert "--iut" in cases["register"]["reproduce"]


@pytest.mark.parametrize(
    ("case", "old", "new"),
    [
        ("glare-lower", 'claimed = ["FRM-1"', 'claimed = ["SES-9", "FRM-1"'),
        ("register", '"22-byte"', '"10-byte"'),
        ("unregistered-16", "{id}_PROVISION", "{id}_PROVISIONED"),
        ("unregistered-16", "rsa-aes256", "ecdhe-ecdsa-aes256"),
        ("lost-flight-4", "[rules]", "first_timeout_ms = 1000\n[rules]"),
        ("broadcast", 'case = "broadcast"', 'case = "bad-magic"'),
    ],
)
def test_it_fails_by_another_file(run: Run, case: str, old: str, new: str) -> None:
    code, cases = run([case], (old, new))
    assert (code, cases[case]["verdict"]) == (1, "FAIL")


def test_a_deviation_that_is_gone_fails_the_run(run: Run) -> None:
    code, cases = run(["register"], ('case = "broadcast"', 'case = "regist*"'))
    assert (code, cases["register"]["verdict"], cases["register"]["expected"]) == (1, "PASS", "FAIL")


def test_an_entry_for_no_case_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (HISTORIC / "historic.toml").read_text().replace('case = "broadcast"', 'case = "brodcast"')
    (tmp_path / "f.toml").write_text(text)
    assert main(["conform", "--iut", str(tmp_path / "f.toml"), "--list"]) == 2
    assert "no case brodcast for a known deviation. Did you mean broadcast?" in capsys.readouterr().err


def test_the_report_says_what_was_described(run: Run, tmp_path: Path) -> None:
    run(["bad-magic"])
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (told["target"], told["firmware"]["name"]) == ("native", "the historic controller")
    assert told["firmware"]["not_claimed"] == "SES-9" and len(told["firmware"]["iut_sha256"]) == 64
    assert told["command"].startswith("scewl conform bad-magic --iut ") and "--profile" not in told["command"]


def test_a_file_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "my.toml")
    assert main(["conform", "--init-profile", path]) == 0
    assert f"scewl conform --iut {path}" in capsys.readouterr().out
    assert main(["conform", "--init-profile", path]) == 2
    assert f"{path} is there already: remove it, or name another file" in capsys.readouterr().err


def test_only_what_is_skipped_is_nothing_selected(run: Run) -> None:
    code, cases = run(["glare-lower"])
    assert (code, cases["glare-lower"]["verdict"]) == (4, "SKIPPED")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "qemu"], "leave --target, --firmware and --profile out"),
        (["--profile", "historic"], "leave --target, --firmware and --profile out"),
    ],
)
def test_options_that_say_the_same(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--iut", str(HISTORIC / "historic.toml"), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_trace_is_replayed_with_its_file(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["register"])
    trace = str(tmp_path / "out" / "register.jsonl")
    assert main(["replay", trace, "--out", str(tmp_path / "again")]) == 3
    assert "it was recorded on 'the historic controller': name its file with --iut" in capsys.readouterr().err
    assert main(["replay", trace, "--out", str(tmp_path / "again"), "--iut", str(tmp_path / "historic.toml")]) == 0
    again = (tmp_path / "again" / "register.jsonl").read_text()
    assert again == Path(trace).read_text()
