"""Programs of the user's that the harness calls: to make a flash image, to power-cycle a device."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from conformance.targets.base import HarnessError

_LIMIT_S: Final = 120.0
"""Seconds that such a program may take: flashing a device does."""
_LAST_LINES: Final = 20


def words(command: Sequence[str], folder: Path, values: Mapping[str, str]) -> list[str]:
    """The words of a command, with `{python}` (the interpreter that runs this), `{folder}` (of the file that names the
    command) and `values` put in. A first word with a slash begins at `folder`. Raises HarnessError if there is no such
    program."""
    known = {"python": sys.executable, "folder": str(folder), **values}
    filled = [_fill(word, known) for word in command]
    program = folder / filled[0] if "/" in filled[0] else Path(shutil.which(filled[0]) or filled[0])
    if not program.is_file():
        raise HarnessError(f"no program {filled[0]}; a path with a slash begins at {folder}")
    return [str(program), *filled[1:]]


def run(command: Sequence[str], folder: Path, values: Mapping[str, str]) -> None:
    """Run a command to its end. Raises HarnessError, with what it said, if it fails or takes too long."""
    argv = words(command, folder, values)
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"{argv[0]} did not end within {_LIMIT_S:g} s") from error
    except OSError as error:
        raise HarnessError(f"{argv[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        lines = done.stdout.decode("utf-8", "backslashreplace").splitlines()
        raise HarnessError(f"{argv[0]} ended with status {done.returncode}", lines[-_LAST_LINES:])


def _fill(word: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word
