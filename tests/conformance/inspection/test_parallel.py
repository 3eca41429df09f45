"""Several processes make the same table as one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from capture_kinds import made

from conformance.capture import write_capture
from conformance.cli import main
from conformance.inspection import parallel
from conformance.wire.secrets import KeyLog

KINDS = ("glare-lower", "registered-964", "lost-flight-4", "faa-busy", "replayed-session", "junk-radio", "register")
PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "inspect"]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Several cases in one file, their secrets in another, and damage in the middle."""
    log = KeyLog()
    for kind in KINDS:
        for pair in made(kind).secrets:
            log.add(*pair)
    (tmp_path / "keys").write_text(log.text())
    path = tmp_path / "many.pcapng"
    write_capture(path, [frame for kind in KINDS for frame in made(kind).frames])
    data = path.read_bytes()
    middle = data.index(b"\x06\0\0\0", len(data) // 2 // 4 * 4)
    path.write_bytes(data[:middle] + b"damage!!" + data[middle:])
    return path


@pytest.mark.parametrize("processes", [2, 3])
def test_the_table_is_the_same(
    many: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    call = ["inspect", str(many), "--decrypt", str(many.with_name("keys"))]
    assert main(call) == 0
    alone = capsys.readouterr()
    monkeypatch.setattr(parallel, "SMALLEST", 0)
    monkeypatch.setattr(parallel, "cores", lambda: processes)
    assert main(call) == 0
    together = capsys.readouterr()
    assert together == alone
    assert "glare: session" in alone.out and "----" in alone.out and "not DTLS" in alone.out


def test_shares_are_about_equal_and_keep_conversations_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for known in (parallel.MAX_CONVERSATIONS, 1):
        monkeypatch.setattr(parallel, "MAX_CONVERSATIONS", known)
        shares = parallel._Shares(2)
        frames = [replace(frame, sed=copy) for copy in range(20) for kind in KINDS for frame in made(kind).frames]
        given = [shares.of(frame) for frame in frames]
        assert 0.35 < sum(given) / len(given) < 0.65
        owners: dict[tuple[object, ...], set[int]] = {}
        for frame, share in zip(frames, given, strict=True):
            ends = frozenset((frame.frame[2:4], frame.frame[4:6]))
            owners.setdefault((ends, frame.sed, frame.link), set()).add(share)
        assert all(len(shares) == 1 for shares in owners.values())


def test_a_key_log_is_useless_only_if_it_is_to_all(
    many: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "SMALLEST", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    for name, ((random, master), *_) in (("one", made("register").secrets), ("none", [(bytes(32), bytes(48))])):
        many.with_name(name).write_text(f"CLIENT_RANDOM {random.hex()} {master.hex()}\n")
    main(["inspect", str(many), "--decrypt", str(many.with_name("one")), "--decrypt", str(many.with_name("none"))])
    err = capsys.readouterr().err
    assert f"the secret in {many.with_name('none')} belongs to no session" in err
    assert f"secret in {many.with_name('one')} " not in err


def test_no_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "SMALLEST", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    (tmp_path / "a").write_bytes(b"hello world")
    assert main(["inspect", str(tmp_path / "a")]) == 3
    told = capsys.readouterr()
    assert "neither pcap nor pcapng" in told.err and told.out == ""


def test_a_process_that_dies_is_told(
    many: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "SMALLEST", 0)
    monkeypatch.setattr(parallel, "cores", lambda: 2)
    monkeypatch.setattr(parallel, "_explain", lambda *_: os._exit(9))
    assert main(["inspect", str(many)]) == 3
    assert "has died" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "large.pcapng"
    frames = made("registered-16384").frames
    write_capture(path, frames * (parallel.SMALLEST // sum(len(frame.frame) for frame in frames) + 1))
    assert path.stat().st_size > parallel.SMALLEST
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run([*PROGRAM, path], stdout=gone, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, b"")
