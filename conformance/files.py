"""Writing files: those that hold secrets, and those that must not be there yet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError say which file it is about: that of a write, as to a disk that is full, does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_new(path: Path, text: str) -> None:
    """Write a text that begins a file. Raises FileExistsError if there is one, and OSError; then none is left."""
    file = path.open("x", encoding="utf-8")
    try:
        with naming(path), file:
            file.write(text)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read (mode 0600). Raises OSError if it cannot be written."""
    with naming(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # an older file keeps its mode when it is opened again
        file.write(data)
