"""A run that was interrupted, and the one that goes on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign import Job, load_purposes, run_campaign
from conformance.purpose import parse
from conformance.results import CaseResult, Report
from conformance.running import journal
from conformance.targets.base import HarnessError
from model.verdict import Verdict

CASES = ["absent-peer", "faa-idle", "lost-flight-1", "lost-flight-2", "register", "registered-16", "sss-silent"]
COMMAND = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "conform"]
COMMAND += ["--target", "reference"]


def run(out: Path, *, resume: bool = False, **settings: Any) -> tuple[Report, list[str], list[str]]:
    """The report, the cases that were run, and those that were reused."""
    out.mkdir(exist_ok=True)
    ran: list[str] = []
    reused: list[str] = []

    def resumed(cases: Any) -> None:
        reused.extend(case.case for case in cases)

    purposes = [purpose for purpose in load_purposes() if purpose.id in CASES]
    report = run_campaign(
        settings.pop("purposes", purposes),
        **{"target": "reference", "firmware": None, "profile": "hardened", "seed": 0, "jobs": 1} | settings,
        out=out,
        progress=lambda _done, _total, case: ran.append(case.case),
        resumed=resumed if resume else None,
    )
    return report, ran, reused


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    report, _, _ = run(out)
    (out / "report.json").write_text(report.to_json())
    return out


def interrupted(out: Path, how: Callable[[subprocess.Popen[str]], None], *options: str) -> tuple[int, str]:
    """Run all cases, and do something to the program after the third; its exit code and what it said.

    They are some hundred, so that there are cases left however late this process comes to act.
    """
    program = subprocess.Popen(
        [*COMMAND, "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert program.stderr is not None
    for _ in range(3):
        program.stderr.readline()
    how(program)
    _, told = program.communicate()
    return program.returncode, told


def same(one: Path, other: Path) -> bool:
    """Whether two folders tell the same of all cases, but for wall times and where they lie."""

    def content(out: Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
        cases = json.loads((out / "report.json").read_text())["cases"]
        files = {p.name: p.read_bytes() for p in out.iterdir() if p.stem in CASES}
        return files, [{name: case[name] for name in case if name != "wall_s"} for case in cases]

    return content(one) == content(other)


@pytest.mark.parametrize("options", [["-j1"], ["-j2"], ["-j2", "--cluster=local"]], ids=" ".join)
def test_ctrl_c_leaves_a_report_and_resume_completes_it(whole: Path, tmp_path: Path, options: list[str]) -> None:
    def ctrl_c(program: subprocess.Popen[str]) -> None:
        os.killpg(program.pid, signal.SIGINT)  # a terminal sends it to all

    code, told = interrupted(tmp_path, ctrl_c, *options)
    assert code == 130 and "Traceback" not in told and "--resume" in told
    cut = Report.load(tmp_path / "report.json")
    assert cut.verdict is Verdict.ERROR and cut.cases[-1].case == "interrupted"
    left = {case.case for case in cut.cases} & set(CASES)
    assert "absent-peer" in left and len(left) < len(CASES)
    done = subprocess.run(
        [*COMMAND, *CASES, "--out", str(tmp_path), "--resume"], capture_output=True, text=True, check=True
    ).stderr
    assert done.startswith(f"resumed: {len(left)} of {len(CASES)} cases are from {tmp_path}\n")
    assert done.count("PASS") == len(CASES) - len(left)
    assert same(whole, tmp_path)
    assert not (tmp_path / journal.NAME).exists()


def test_a_program_that_was_killed_can_be_resumed_too(whole: Path, tmp_path: Path) -> None:
    code, _ = interrupted(tmp_path, lambda program: program.kill(), "-j2")
    assert code == -signal.SIGKILL and not (tmp_path / "report.json").exists()
    report, ran, reused = run(tmp_path, resume=True)
    (tmp_path / "report.json").write_text(report.to_json())
    assert "absent-peer" in reused and len(ran) > 0 and sorted(ran + reused) == CASES
    assert same(whole, tmp_path)


class TestWhatIsReused:
    @pytest.fixture
    def cut(self, tmp_path: Path) -> Path:
        """A run that was interrupted after its third case."""

        def stop(done: int, _total: int, _case: CaseResult) -> None:
            if done == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_campaign(
                [purpose for purpose in load_purposes() if purpose.id in CASES],
                target="reference",
                firmware=None,
                profile="hardened",
                seed=0,
                out=tmp_path,
                jobs=1,
                progress=stop,
            )
        return tmp_path

    def test_what_was_finished(self, cut: Path) -> None:
        _, ran, reused = run(cut, resume=True)
        assert (reused, ran) == (CASES[:3], CASES[3:])

    def test_nothing_without_the_option(self, cut: Path) -> None:
        assert run(cut)[1:] == (CASES, [])

    def test_not_a_case_of_which_a_file_is_missing(self, cut: Path) -> None:
        (cut / f"{CASES[1]}.pcapng").unlink()
        assert run(cut, resume=True)[2] == [CASES[0], CASES[2]]

    def test_not_a_line_that_was_cut_off(self, cut: Path) -> None:
        path = cut / journal.NAME
        path.write_bytes(path.read_bytes()[:-10])
        assert run(cut, resume=True)[2] == CASES[:2]

    def test_not_a_case_whose_purpose_has_changed(self, cut: Path) -> None:
        purposes = {purpose.id: purpose for purpose in load_purposes()}
        document = json.loads(json.dumps(purposes[CASES[0]].document()))
        document["about"] = "Something else."
        changed = [parse(CASES[0], document), purposes[CASES[1]]]
        assert run(cut, resume=True, purposes=changed)[1:] == ([CASES[0]], [CASES[1]])

    def test_not_an_error(self, cut: Path) -> None:
        path = cut / journal.NAME
        path.write_text(path.read_text().replace('"verdict": "PASS"', '"verdict": "ERROR"', 1))
        assert run(cut, resume=True)[2] == CASES[1:3]

    def test_nothing_of_another_seed(self, cut: Path) -> None:
        with pytest.raises(HarnessError, match="cases are of another run") as caught:
            run(cut, resume=True, seed=1)
        assert caught.value.evidence == ["seed: was 0, is 1"]

    def test_nothing_of_another_version_of_the_suite(self, cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("conformance.campaign.suite_version", lambda: "another")
        with pytest.raises(HarnessError) as caught:
            run(cut, resume=True)
        assert [line.partition(":")[0] for line in caught.value.evidence] == ["suite's version"]

    def test_nothing_of_another_firmware(self, tmp_path: Path) -> None:
        elf = tmp_path / "my.elf"
        elf.write_bytes(Path("build/firmware/controller.elf").read_bytes())
        purposes = [purpose for purpose in load_purposes() if purpose.id == "faa-idle"]
        settings = {"target": "qemu", "firmware": elf, "purposes": purposes}
        journal_path = tmp_path / "out" / journal.NAME

        def keep(_done: int, _total: int, _case: CaseResult) -> None:
            kept.append(journal_path.read_text())

        kept: list[str] = []
        (tmp_path / "out").mkdir()
        run_campaign(purposes, target="qemu", firmware=elf, profile="hardened", seed=0, out=tmp_path / "out", jobs=1,
                     progress=keep)  # fmt: skip
        journal_path.write_text(kept[-1])
        assert run(tmp_path / "out", resume=True, **settings)[2] == ["faa-idle"]
        journal_path.write_text(kept[-1])
        elf.write_bytes(elf.read_bytes() + b"\0")
        with pytest.raises(HarnessError) as caught:
            run(tmp_path / "out", resume=True, **settings)
        assert [line.partition(":")[0] for line in caught.value.evidence] == ["firmware"]

    @pytest.mark.parametrize("text", ["", "[]\n", '{"journal": 7, "run": {}}\n', "\xff\n"])
    def test_a_file_that_is_no_journal_is_named(self, cut: Path, text: str) -> None:
        (cut / journal.NAME).write_text(text, "latin-1")
        with pytest.raises(HarnessError, match="not the journal of a run"):
            run(cut, resume=True)


def test_the_version_is_that_of_our_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = journal.suite_version()
    assert first == journal.suite_version()
    package = tmp_path / "model"
    package.mkdir()
    (package / "__init__.py").write_text("# another model\n")
    monkeypatch.setattr(journal.model, "__file__", str(package / "__init__.py"))
    assert journal.suite_version() != first


def test_an_internal_error_is_the_cases_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("conformance.campaign.run_case", broken)
    purpose = next(purpose for purpose in load_purposes() if purpose.id == "register")
    done = Job(purpose, "reference", None, "hardened", 0, tmp_path).execute()
    assert done.result.verdict is Verdict.ERROR and done.result.reason == "internal error: RuntimeError: boom"
    assert done.files == {} and any("boom" in line for line in done.result.evidence)
