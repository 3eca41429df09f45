"""Worker processes: what they bring back, and what a death costs."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fatal_work import FatalWork

from conformance.running import processes
from conformance.running.base import Done
from conformance.running.processes import run_in_processes
from conformance.targets.base import HarnessError
from conformance.targets.spare import Spare
from model.verdict import Verdict


def attempts(folder: Path) -> dict[str, int]:
    counted: dict[str, int] = {}
    for file in folder.iterdir():
        counted[file.stem] = counted.get(file.stem, 0) + 1
    return counted


def test_a_death_costs_its_case_alone_and_that_is_run_again(tmp_path: Path) -> None:
    work = [FatalWork(f"case{n}", tmp_path, deaths=n in (1, 4)) for n in range(6)]
    found = {done.result.case: done.result.verdict for done in run_in_processes(work, 2)}
    assert found == {f"case{n}": Verdict.PASS for n in range(6)}
    assert attempts(tmp_path) == {f"case{n}": 2 if n in (1, 4) else 1 for n in range(6)}
    assert str(os.getpid()) not in {file.read_text() for file in tmp_path.iterdir()}


def test_a_second_death_is_an_error_with_words(tmp_path: Path) -> None:
    work = [FatalWork("deadly", tmp_path, deaths=9), FatalWork("harmless", tmp_path)]
    found = {done.result.case: done.result for done in run_in_processes(work, 2)}
    assert found["harmless"].verdict is Verdict.PASS
    assert found["deadly"].verdict is Verdict.ERROR
    assert found["deadly"].reason == (
        "The process that ran this case died, and so did the one that ran it again (signal 9)."
    )
    assert attempts(tmp_path) == {"deadly": 2, "harmless": 1}


def test_one_at_a_time_is_run_here(tmp_path: Path) -> None:
    assert len(list(run_in_processes([FatalWork("case", tmp_path)], 1))) == 1
    assert (tmp_path / "case.1").read_text() == str(os.getpid())


def test_ctrl_c_is_not_lost_in_a_callback_of_the_dtls_library(tmp_path: Path) -> None:
    """There an exception would only be printed, and the case go wrong."""
    handler = signal.getsignal(signal.SIGINT)

    @ctypes.CFUNCTYPE(None)
    def callback() -> None:
        signal.raise_signal(signal.SIGINT)

    class Pressed(FatalWork):
        def execute(self, spare: Spare | None = None) -> Done:
            callback()
            return FatalWork.execute(self, spare)

    ended = run_in_processes([Pressed("first", tmp_path), FatalWork("second", tmp_path)], 1)
    assert next(ended).result.verdict is Verdict.PASS
    with pytest.raises(KeyboardInterrupt):
        next(ended)
    assert attempts(tmp_path) == {"first": 1}
    assert signal.getsignal(signal.SIGINT) is handler


def test_whoever_stops_listening_ends_the_workers(tmp_path: Path) -> None:
    work = [FatalWork(f"case{n}", tmp_path) for n in range(50)]
    with closing(run_in_processes(work, 2)) as ended:
        next(ended)
    assert len(attempts(tmp_path)) < 50
    for file in tmp_path.iterdir():
        status = Path("/proc", file.read_text(), "status")
        assert not status.exists() or "zombie" in status.read_text()


def test_workers_that_do_not_start_are_our_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_serve", sys.exit)
    with pytest.raises(HarnessError, match="a worker process did not start"):
        list(run_in_processes([FatalWork(f"case{n}", tmp_path) for n in range(4)], 2))


def test_a_worker_whose_program_is_gone_ends(tmp_path: Path) -> None:
    """Also after SIGKILL, which the program cannot answer."""
    code = (
        "import sys; from pathlib import Path; from fatal_work import FatalWork\n"
        "from conformance.running.processes import run_in_processes\n"
        "work = [FatalWork(f'case{n}', Path(sys.argv[1])) for n in range(10_000)]\n"
        "for done in run_in_processes(work, 2): print(done.result.case, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "machines")}
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert program.stdout is not None
    for _ in range(10):
        program.stdout.readline()
    program.kill()
    program.stdout.read()  # ends when the last process that holds it has ended
    program.wait()
    program.stdout.close()
    assert len(list(tmp_path.iterdir())) < 10_000
