"""Wrong firmwares: those that people wrote, and those that an existing tool, universalmutator, makes of each line.

A mutant is the whole text of one file of `firmware/src/` with something wrong in it; all other files are as they are.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conformance.targets.base import HarnessError

_ID_DIGITS = 8
_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.DOTALL)
_NUMBERED = re.compile(r"\.mutant\.(\d+)\.c$")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong firmware."""

    id: str
    says: str
    """What is wrong, in a sentence or as the change of the line."""
    file: str
    """Name of the file in `firmware/src/`."""
    text: str
    """That file's whole text."""
    line: int
    """Where it first differs, from 1."""
    case: str = ""
    """For one that somebody wrote: the case that has to catch it."""
    rule: str = ""
    """The rule that this case has to name."""


def written(page: Path, sources: Path) -> list[Mutant]:
    """The mutants of a TOML file such as tests/firmware/mutants.toml, in its order, without those that are right.

    Raises HarnessError if the file cannot be read, or a text that is to be replaced does not occur exactly once.
    """
    try:
        entries = tomllib.loads(page.read_text("utf-8"))["mutant"]
        return [_edited(entry, sources) for entry in entries if entry["rule"]]
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"{page}: not a list of mutants: {error}") from error


def _edited(entry: dict[str, str], sources: Path) -> Mutant:
    path = sources / entry["file"]
    was = text = path.read_text("utf-8")
    for old, new in (("old", "new"), ("also_old", "also_new")):
        if old not in entry:
            continue
        if text.count(entry[old]) != 1:
            raise HarnessError(
                f"mutant {entry['id']}: its `{old}` occurs {text.count(entry[old])} times in {path}; it must be once"
            )
        text = text.replace(entry[old], entry[new])
    line = _first_difference(was, text)
    return Mutant(entry["id"], entry["says"], entry["file"], text, line, entry["case"], entry["rule"])


def automatic(sources: Path, tool: Path) -> list[Mutant]:
    """All mutants that universalmutator's rules for C make of the sources, in the order of their ids.

    `tool` is the folder in which it is installed. An id depends on the line and its change, not on where the line
    stands, so that neither an edit elsewhere nor a new file changes which mutants a sample has.
    Raises HarnessError if the tool is missing or fails.
    """
    if not (tool / "universalmutator").is_dir():
        raise HarnessError(f"no universalmutator in {tool}: `make mutants` installs it there")
    found = [mutant for path in sorted(sources.glob("*.c")) for mutant in _of_file(path, tool)]
    return sorted(found, key=lambda mutant: mutant.id.rpartition("-")[2])


def _of_file(path: Path, tool: Path) -> Iterator[Mutant]:
    """The tool leaves lines alone that bear a comment, so it gets the file without them, line by line the same."""
    was = without_comments(path.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / path.name).write_text(was, "utf-8")
        (folder / "made").mkdir()
        command = [sys.executable, "-m", "universalmutator.genmutants", path.name, "c", "--noCheck"]
        done = subprocess.run(
            [*command, "--mutantDir", "made"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(tool.resolve())},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-5:]
            raise HarnessError(f"universalmutator failed on {path}", last)
        seen: Counter[tuple[str, str]] = Counter()
        for made in sorted((folder / "made").iterdir(), key=_number):
            text = made.read_text("utf-8")
            if text.split() == was.split():  # another space is no mutation
                continue
            line = _first_difference(was, text)
            old, new = _line(was, line), _line(text, line)
            seen[old, new] += 1
            digest = hashlib.sha256(f"{path.name}\0{old}\0{new}\0{seen[old, new]}".encode()).hexdigest()
            yield Mutant(f"{path.stem}-{digest[:_ID_DIGITS]}", f"`{old}` -> `{new}`", path.name, text, line)


def without_comments(text: str) -> str:
    """C without comments, and no blanks left of them; each line stays where it is, and strings stay what they are."""
    bare = _COMMENT.sub(lambda m: m[0] if m[0][0] in "\"'" else " " + "\n" * m[0].count("\n"), text)
    return "".join(line.rstrip() + "\n" for line in bare.splitlines())


def _number(made: Path) -> int:
    match = _NUMBERED.search(made.name)
    if match is None:
        raise HarnessError(f"universalmutator left {made.name}, which is no mutant's name that is known here")
    return int(match[1])


def _line(text: str, number: int) -> str:
    """A line without its indentation; nothing beyond the end."""
    lines = text.splitlines()
    return lines[number - 1].strip() if number <= len(lines) else ""


def _first_difference(was: str, text: str) -> int:
    """The number of the first line that differs, from 1."""
    for number, (a, b) in enumerate(zip(was.splitlines(), text.splitlines(), strict=False), 1):
        if a != b:
            return number
    return min(len(was.splitlines()), len(text.splitlines())) + 1
