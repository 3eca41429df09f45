"""Captures, read back by tools that others wrote."""

from __future__ import annotations

import shutil
import stat
import struct
import subprocess
from pathlib import Path

import pytest
from scapy.utils import RawPcapNgReader

from conformance.capture import LINKTYPE_USER0, CapturedFrame, KeyLogText, Problem, read_capture, write_capture
from conformance.wire.secrets import KeyLog
from model.alphabet import Link

RANDOM, OTHER, MASTER = bytes(range(32)), bytes(32), bytes(range(48))
FRAMES = [
    CapturedFrame(0, Link.CPU, True, 10, b"SC\x0b\x00\x0a\x00\x03\x00abc", "message for 11"),
    CapturedFrame(7_000_000, Link.RADIO, False, 10, b"SC\x0b\x00\x0a\x00\x00\x00"),
    CapturedFrame(5_000_000_123_000, Link.SSS, True, 0xFFFE, b"SC", "Grüße → SSS"),
]

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """Type and body of each block; checks lengths and padding."""
    found = []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, length - 4) == (length,)
        found.append((kind, data[8 : length - 4]))
        data = data[length:]
    return found


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    done = subprocess.run(["tshark", "-n", "-r", path, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_scapy_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, FRAMES)
    with RawPcapNgReader(str(path)) as reader:
        records = list(reader)
    for frame, (data, meta) in zip(FRAMES, records, strict=True):
        assert data == struct.pack("<BBH", frame.link, frame.towards, frame.sed) + frame.frame
        assert meta.linktype == LINKTYPE_USER0
        assert (meta.tshigh << 32) + meta.tslow == frame.time_us
        assert meta.tsresol == 1_000_000
        assert meta.ifname == {Link.CPU: b"cpu", Link.RADIO: b"radio", Link.SSS: b"sss"}[frame.link]
        assert meta.comments == ([frame.comment.encode()] if frame.comment else None)
        assert meta.direction == (1 if frame.towards else 2)


@needs_tshark
def test_tshark_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, FRAMES)
    fields = ("frame.time_epoch", "frame.comment", "frame.interface_name", "frame.encap_type", "frame.len")
    rows = tshark(path, "-T", "fields", *(word for field in fields for word in ("-e", field)))
    user0 = "45"  # Wireshark's own number for the link type 147
    assert rows == [
        ["0.000000000", "message for 11", "cpu", user0, "15"],
        ["7.000000000", "", "radio", user0, "12"],
        ["5000000.123000000", "Grüße → SSS", "sss", user0, "6"],
    ]


def test_secrets_stand_before_the_frames_and_once(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, FRAMES, [(RANDOM, MASTER), (OTHER, MASTER), (RANDOM, MASTER)])
    kinds = [kind for kind, _ in blocks(path.read_bytes())]
    assert kinds == [0x0A0D0D0A, 1, 1, 1, 10, 6, 6, 6]
    body = dict(blocks(path.read_bytes()))[10]
    kind, length = struct.unpack_from("<II", body)
    assert kind == int.from_bytes(b"TLSK", "big")
    lines = body[8 : 8 + length].decode().splitlines()
    assert lines == [f"CLIENT_RANDOM {random.hex()} {MASTER.hex()}" for random in (RANDOM, OTHER)]


def test_without_secrets_there_is_no_secrets_block(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, [])
    assert [kind for kind, _ in blocks(path.read_bytes())] == [0x0A0D0D0A, 1, 1, 1]


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.pcapng", "b.pcapng")]
    for path in paths:
        write_capture(path, iter(FRAMES), iter([(RANDOM, MASTER)]))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    path.touch(0o644)
    write_capture(path, FRAMES, [(RANDOM, MASTER)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_long_comment_is_cut_between_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, [CapturedFrame(0, Link.CPU, True, 10, b"SC", "ü" * 40_000)])
    with RawPcapNgReader(str(path)) as reader:
        ((_, meta),) = list(reader)
    assert meta.comments[0].decode() == "ü" * 32_767  # 65,534 bytes, for 65,535 would end inside a character


@pytest.mark.parametrize(
    ("frame", "secret"),
    [
        (CapturedFrame(-1, Link.CPU, True, 10, b""), (RANDOM, MASTER)),
        (CapturedFrame(2**64, Link.CPU, True, 10, b""), (RANDOM, MASTER)),
        (CapturedFrame(0, Link.CPU, True, 65_536, b""), (RANDOM, MASTER)),
        (FRAMES[0], (RANDOM[1:], MASTER)),
        (FRAMES[0], (RANDOM, MASTER[1:])),
    ],
)
def test_what_does_not_fit_is_refused_and_no_secret_shown(
    tmp_path: Path, frame: CapturedFrame, secret: tuple[bytes, bytes]
) -> None:
    path = tmp_path / "a.pcapng"
    with pytest.raises(ValueError) as caught:
        write_capture(path, [frame], [secret])
    assert MASTER.hex()[:20] not in str(caught.value)
    assert not path.exists()


def test_many_secrets_are_all_read_back(tmp_path: Path) -> None:
    secrets = [(n.to_bytes(32), n.to_bytes(48)) for n in range(6_500)]
    write_capture(tmp_path / "a.pcapng", FRAMES, secrets)
    entries = list(read_capture(tmp_path / "a.pcapng"))
    log = KeyLog("".join(entry.text for entry in entries if isinstance(entry, KeyLogText)))
    assert len(log) == 6_500 and not [entry for entry in entries if isinstance(entry, Problem)]
