"""Captures as Wireshark sees them: a real session, decrypted with the secrets in the file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.capture import CapturedFrame, write_capture
from conformance.case import Outcome, run_case
from conformance.purpose import Peer, Purpose, Step
from conformance.targets.reference import ReferenceTarget
from model.alphabet import Link
from model.verdict import Verdict

SCRIPT = Path(__file__).parents[2] / "conformance" / "wireshark" / "scewl.lua"
SIZE = 1_000
"""Bytes of the message: more than one record holds."""

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def fields(path: Path, *names: str) -> list[list[str]]:
    """The fields of each record, in order."""
    words = [word for name in names for word in ("-e", name)]
    command = ["tshark", "-X", f"lua_script:{SCRIPT}", "-n", "-r", path, "-T", "fields", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Lua" not in done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    steps = (Step("register", {}), Step("register", {"by": 11}), Step("send", {"to": 11, "size": SIZE}))
    expected = (Step("expect", {"what": "answer"}), Step("expect", {"what": "answer", "at": 11}))
    expected += (Step("expect", {"what": "message", "at": 11}),)
    purpose = Purpose("capture", "A capture", (), "", (*steps, *expected), peers=(Peer(11),))
    outcome = run_case(purpose, ReferenceTarget, profile="hardened", seed=0)
    assert outcome.result.verdict is Verdict.PASS, outcome.result.reason
    return outcome


def test_a_session_is_decrypted(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, outcome.frames, outcome.secrets)
    rows = fields(path, "scewl.link", "scewl.source", "scewl.target", "data.data", "scewl.payload", "_ws.col.Info")
    assert len(rows) == len(outcome.frames)
    (message,) = (row[4] for row in rows if row[:3] == ["2", "10", "11"])
    assert len(message) == 2 * SIZE
    opened = [row[3] for row in rows if row[:3] == ["0", "10", "11"] and row[3]]
    assert "".join(opened) == message and len(opened) == 2
    requests = [row[3] for row in rows if row[:3] == ["1", "10", "1"] and row[3]]
    assert requests == ["0a000000"]
    closes = [row for row in rows if "Description: Close Notify" in row[5]]
    assert len(closes) >= 3  # whose description is sealed, too


def test_without_secrets_nothing_is_decrypted(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, outcome.frames)
    rows = fields(path, "data.data", "_ws.col.Info")
    assert not [row for row in rows if row[0]]
    assert any("Encrypted Alert" in row[1] for row in rows)


def test_what_is_no_frame_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    whole = b"SC\x0a\x00\x02\x00\x03\x00abc"
    broken = [b"", b"SC", b"XC" + whole[2:], whole[:-1], whole + b"d"]
    frames = [CapturedFrame(n, Link.RADIO, True, 10, data) for n, data in enumerate([whole, *broken])]
    write_capture(path, frames)
    rows = fields(path, "scewl.malformed", "scewl.payload", "_ws.col.Info")
    assert rows[0][1:] == ["616263", "radio: FAA to SED 10, 3 bytes"]
    assert [bool(row[0]) for row in rows] == [False, True, True, True, True, True]
    assert rows[3][2] == "radio: not a whole frame, 11 bytes"
