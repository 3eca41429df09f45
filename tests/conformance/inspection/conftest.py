"""Real captures: purposes on the reference and the kinds that `capture_kinds` makes, as files and explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from capture_kinds import Made, made

from conformance.capture import write_capture
from conformance.inspection.keys import Keys
from conformance.inspection.source import Source
from conformance.inspection.words import Clock
from conformance.sessions.seen import SeenFrame


@pytest.fixture
def capture(tmp_path: Path) -> Callable[..., Path]:
    def write(kind: str, *, secrets: bool = True, context: bool = True) -> Path:
        what: Made = made(kind)
        path = tmp_path / f"{kind}.pcapng"
        write_capture(path, what.frames, what.secrets if secrets else (), what.context if context else None)
        return path

    return write


@pytest.fixture
def explained(capture: Callable[..., Path]) -> Callable[..., list[SeenFrame]]:
    def read(kind: str, **how: bool) -> list[SeenFrame]:
        source = Source(capture(kind, **how), Keys(), Clock())
        return [entry for entry in source.entries() if isinstance(entry, SeenFrame)]

    return read
