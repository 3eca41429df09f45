"""A disk that is full, or a file that may not grow: what is said, and what is left. The limit is the process's own."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LAB = """
device = [{ id = 10, kind = "python" }, { id = 11, kind = "python" }, { id = 12, kind = "python" }]
[[script]]
when = "1s"
do = "send"
by = 10
to = 11
size = 3000
"""


@pytest.fixture
def limited(scewl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the program in a folder of its own while no file may have more than so many bytes."""
    monkeypatch.chdir(tmp_path)

    def run(size: int, *words: str) -> tuple[int, str]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            ended = scewl(*words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return ended.code, ended.err

    return run


Limited = Callable[..., tuple[int, str]]


def test_no_half_of_a_deployment_is_left(limited: Limited, tmp_path: Path) -> None:
    """It would hold keys, and be in the way of the next try."""
    wanted = ("provision", "deployment", "--ids", "10-14")
    assert limited(100, *wanted) == (3, "scewl: deployment/ca.der: File too large\n")
    assert list(tmp_path.iterdir()) == []
    assert limited(1 << 20, *wanted) == (0, "")


def test_no_half_of_a_file_to_begin_with_is_left(limited: Limited, tmp_path: Path) -> None:
    assert limited(500, "lab", "--init", "lab.toml") == (3, "scewl: lab.toml: File too large\n")
    code, said = limited(500, "conform", "--init-profile", "my.toml")
    assert (code, said) == (2, "scewl: my.toml: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_a_radio_names_the_capture_that_it_cannot_begin(limited: Limited) -> None:
    radio = ("radio", "--listen", "unix:radio", "--capture", "r.pcapng")
    assert limited(10, *radio) == (3, "scewl: r.pcapng: No space left on device\n")


def test_a_lab_writes_what_it_can_and_says_what_it_cannot(limited: Limited, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(LAB)
    code, said = limited(9_000, "lab", "lab.toml", "--record", "record")
    assert code == 3 and said.startswith("scewl: record/") and said.endswith(": File too large\n")
    assert (tmp_path / "record/10.jsonl").stat().st_size == 9_000, "all that fits"
    whole = (tmp_path / "record/12.jsonl").read_text().splitlines()
    assert json.loads(whole[-1]).keys() == {"verdict", "reason", "virtual_ms"}, "its file is not full"
    assert (tmp_path / "record/lab.pcapng").stat().st_size > 1_000
