"""A campaign on a Dask cluster: the embedded one, with real worker processes. What is killed is run again."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fatal_work import FatalJob

from conformance.campaign import DEFAULT_FIRMWARE, load_purposes, run_campaign
from conformance.cli import main
from conformance.results import CaseResult, Report
from conformance.running import cluster
from conformance.running.cluster import run_on_cluster
from conformance.targets.base import HarnessError
from model.verdict import Verdict

CASES = ["broadcast", "cut-flight-4", "faa-idle", "junk-radio", "lost-flight-1", "lost-flight-2", "register"]
CASES += ["registered-16", "unregistered-16"]
PURPOSES = [purpose for purpose in load_purposes() if purpose.id in CASES]


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    logger = logging.getLogger("distributed")
    level = logger.level
    yield
    logger.setLevel(level)


def told(report: Report, out: Path) -> tuple[list[dict[str, object]], dict[str, bytes]]:
    """All that a run says, but for wall times."""
    cases = [case.to_data() | {"wall_s": 0} for case in report.cases]
    return cases, {file.name: file.read_bytes() for file in out.iterdir()}


def test_a_killed_worker_loses_nothing_and_the_results_are_those_of_a_local_run(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(done: int, _total: int, _case: CaseResult) -> None:
        if done == 3:
            killed.append(next(child.pid for child in multiprocessing.active_children() if child.pid) or 0)
            os.kill(killed[0], signal.SIGKILL)

    folders = [tmp_path / "local", tmp_path / "cluster"]
    on_cluster = partial(run_on_cluster, address="local", jobs=2, firmware=DEFAULT_FIRMWARE)
    found = []
    for folder, engine in zip(folders, (None, on_cluster), strict=True):
        folder.mkdir()
        report = run_campaign(
            PURPOSES,
            target="qemu",
            firmware=None,
            profile="hardened",
            seed=0,
            out=folder,
            jobs=1,
            progress=kill_one if engine else lambda *_: None,
            engine=engine,  # type: ignore[arg-type]
        )
        assert report.verdict is Verdict.PASS
        found.append(told(report, folder))
    assert killed and not Path("/proc", str(killed[0]), "fd").exists()
    assert len(found[0][0]) == len(CASES) and len(found[0][1]) == 2 * len(CASES)
    assert found[0] == found[1]


def test_a_case_that_kills_its_worker_is_an_error_and_costs_no_other(tmp_path: Path) -> None:
    deaths = {"register": 1, "faa-idle": 9}
    work = [
        FatalJob(p, "reference", None, "hardened", 0, tmp_path, folder=tmp_path, deaths=deaths.get(p.id, 0))
        for p in PURPOSES
        if p.id in ("broadcast", "faa-idle", "junk-radio", "register")
    ]
    found = {done.result.case: done.result for done in run_on_cluster(work, "local", 2, None)}
    assert {case: result.verdict for case, result in found.items()} == {
        "broadcast": Verdict.PASS,
        "faa-idle": Verdict.ERROR,
        "junk-radio": Verdict.PASS,
        "register": Verdict.PASS,
    }
    assert found["faa-idle"].reason.startswith("The process that ran this case died, each of 3 times.")
    assert len(list(tmp_path.glob("faa-idle.*"))) == 3


def test_workers_with_other_sources_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "suite_version", lambda: "mine")
    work = [FatalJob(PURPOSES[0], "reference", None, "hardened", 0, tmp_path)]
    with pytest.raises(HarnessError, match=r"other sources of the suite: .*, not mine"):
        list(run_on_cluster(work, "local", 1, None))


def test_a_scheduler_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_S", 1)
    command = ["conform", "register", "--target", "reference", "--out", str(tmp_path), "--cluster"]
    assert main([*command, "tcp://127.0.0.1:9"]) == 3
    assert "no Dask scheduler at tcp://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_without_the_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    monkeypatch.delitem(sys.modules, "conformance.running.cluster", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    command = ["conform", "register", "--target", "reference", "--out", str(tmp_path), "--cluster", "local"]
    assert main(command) == 3
    told = capsys.readouterr().err
    assert f"there is no `{missing}`" in told and "pip install '.[cluster]'" in told
