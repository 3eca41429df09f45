"""The page `docs/ten-minutes.md`: each of its commands works, and says what the page says."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/ten-minutes.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LIMIT_S = 600
"""For a block; nothing here is to take so long."""


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """The checkout as a reader has it, but for what the commands leave behind."""
    for path in ROOT.iterdir():
        if path.name not in ("reports", ".git"):
            (tmp_path / path.name).symlink_to(path)
    yield tmp_path
    device = tmp_path / "device.pid"
    if device.exists():  # left behind by a block that failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(device.read_text()), signal.SIGTERM)


def pattern(line: str) -> str:
    """A line of output, whatever the times in it and the blanks between its columns."""
    words = (r"\d+\.\d+" if re.fullmatch(r"\d+\.\d+", word) else re.escape(word) for word in line.split())
    return r"\s+".join(words)


def test_the_page_has_commands_and_what_they_say() -> None:
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds.count("sh") >= 5 and kinds.count("text") >= 4 and kinds[0] == "sh"
    commands = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    for command in ("--init-profile", "--iut", "replay", "inspect", "--baseline", "provision"):
        assert any(command in line for line in commands)


def test_every_command_works_and_says_so(checkout: Path) -> None:
    said = ""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "TOX"))}
    for kind, text in BLOCKS:
        if kind == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            said = done.stdout
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        else:
            for line in text.splitlines():
                assert re.search(f"^{pattern(line)}$", said, re.MULTILINE), f"{line!r} is not in:\n{said}"


def test_a_line_of_output_is_compared_but_for_times() -> None:
    assert re.fullmatch(pattern("PASS   2 passed; 0.000 s virtual"), "PASS 2 passed; 13.5 s virtual")
    assert not re.fullmatch(pattern("PASS   2 passed; 0.000 s virtual"), "PASS 3 passed; 13.5 s virtual")
