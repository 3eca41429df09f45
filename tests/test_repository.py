"""What holds for the repository as a whole: the locks fit the project, and the documents name what exists."""

from __future__ import annotations

import re
import shlex
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest

from conformance.cli import build_parser

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ;[^\\]*)? \\$", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9_-]+")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "reports/README.md"]


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements" / lock).read_text()))


def declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    return {match[0].lower() for line in lines if (match := NAME.match(line))}


def test_the_locks_hold_what_the_project_declares() -> None:
    assert declared() <= pins("run.txt").keys()
    assert declared("test", "cluster", "lint", "dev") <= pins("test.txt").keys()


def test_the_lock_for_tests_contains_the_other() -> None:
    assert pins("run.txt").items() <= pins("test.txt").items()


@pytest.mark.parametrize("lock", ["run.txt", "test.txt"])
def test_every_pin_has_hashes(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    blocks = re.split(r"^(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    unprotected = [block.splitlines()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block]
    assert unprotected == []
    assert len(pins(lock)) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def commands(page: Path) -> list[str]:
    """The calls of scewl that a page shows, in code blocks and in line."""
    text = page.read_text()
    found = re.findall(r"^(?:\.venv/bin/)?(scewl [^\n#]+)", text, re.MULTILINE)
    return found + re.findall(r"`(?:\.venv/bin/)?(scewl \w[^`]*)`", text.replace("\n", " "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_on_a_page_are_commands(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(page):
        words = list(takewhile(lambda word: word != "|", shlex.split(command)))[1:]
        if len(words) < 2:
            words.append("--help")  # the name alone: of the command, not a call
        try:
            build_parser().parse_args(words)
        except SystemExit as end:
            assert end.code == 0, f"{command}: {capsys.readouterr().err}"


def test_the_readme_shows_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 5
