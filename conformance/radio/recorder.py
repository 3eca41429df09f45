"""The capture of a running radio: a pcapng file that grows with every frame, with the secrets that the SEDs offer.

Readers want a session's secret before its frames. A SED writes it down before it sends what it protects, but its peer
may have been faster; so at the end the file is written once more, with all secrets in front.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from conformance.capture import CapturedFrame, KeyLogText, read_capture
from conformance.capture.write import frame_block, head_blocks, secrets_blocks
from conformance.files import naming
from conformance.wire.secrets import KeyLog

_CHUNK = 1 << 20
_LONGEST_LINE = 4_096
"""Bytes of a key log's line; longer ones are none."""


class Recorder:
    """Writes a capture. Of frames that the disk does not take it keeps the number."""

    def __init__(self, path: Path, key_logs: Iterable[Path]) -> None:
        """Begin the file (mode 0600); an older one is replaced. Raises OSError."""
        self.path = path
        self.frames = 0
        self.lost = 0
        """Frames that could not be written."""
        self.secrets = 0
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
        os.fchmod(self._file.fileno(), 0o600)
        self._tails = [_Tail(key_log) for key_log in key_logs]
        self._late = False
        """Whether a secret came behind a frame."""
        self._size = 0
        """Bytes of whole blocks."""
        with contextlib.ExitStack() as failed, naming(path):
            failed.callback(self._file.close)
            self._append(head_blocks())
            failed.pop_all()

    def record(self, frame: CapturedFrame) -> None:
        """Write a frame, and before it the secrets that are new. Never raises."""
        try:
            self._offer()
            self._append(frame_block(frame))
            self.frames += 1
        except (OSError, ValueError):
            self.lost += 1

    def close(self) -> None:
        """End the file. Raises OSError if its last form cannot be written; what was there before stays."""
        with contextlib.suppress(OSError):
            self._offer()
        self._file.close()
        if not self._late:
            return
        draft = self.path.with_name(self.path.name + ".new")
        try:
            self._write_anew(draft)
        except OSError:
            if draft.is_file():
                draft.unlink()
            raise
        draft.replace(self.path)

    def _write_anew(self, draft: Path) -> None:
        """All secrets, then all frames. The file itself has them: nothing was kept in memory, however long it ran."""
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(head_blocks())
            for entry in read_capture(self.path):
                if isinstance(entry, KeyLogText):
                    file.write(secrets_blocks(_secrets(entry.text.splitlines())))
            for entry in read_capture(self.path):
                if isinstance(entry, CapturedFrame):
                    file.write(frame_block(entry))

    def _offer(self) -> None:
        for tail in self._tails:
            if new := tail.read():
                self._late |= self.frames > 0
                self.secrets += len(new)
                self._append(secrets_blocks(new))

    def _append(self, blocks: bytes) -> None:
        """Write whole blocks, or nothing: what follows half a block could not be read."""
        if self._file.write(blocks) == len(blocks):
            self._size += len(blocks)
            return
        self._file.seek(self._size)
        self._file.truncate()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Tail:
    """A key log that grows, or is not there yet."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, b""

    def read(self) -> list[tuple[bytes, bytes]]:
        """The secrets since the last time."""
        try:
            with self._path.open("rb", buffering=0) as file:
                if file.seek(0, os.SEEK_END) <= self._at:
                    return []
                file.seek(self._at)
                data = file.read(_CHUNK)
        except OSError:
            return []
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_LONGEST_LINE:]
        return _secrets(line.decode("ascii", "replace") for line in lines)


def _secrets(lines: Iterable[str]) -> list[tuple[bytes, bytes]]:
    """Client randoms and master secrets in a key log's lines; other lines are none."""
    found = []
    for line in lines:
        log = KeyLog()
        if log.add_line(line):
            random = bytes.fromhex(line.split()[1])
            master = log.master(random)
            if master is not None:
                found.append((random, master))
    return found
