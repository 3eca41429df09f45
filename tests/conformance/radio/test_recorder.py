"""The capture of a running radio: who sent and heard what, with the secrets of the SEDs."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
from air import DEPLOYMENT, air, run
from hostile import frame
from wires import running

from conformance.capture import CapturedFrame, KeyLogText, read_capture
from conformance.cli import main
from conformance.faults import Fault
from conformance.onlooker import Standing, judge_capture
from conformance.radio import Middle
from conformance.radio.recorder import Recorder
from conformance.wire.frames import Frame
from conformance.wire.secrets import KeyLog
from model.alphabet import REGISTER, Link

SECRET = f"CLIENT_RANDOM {'ab' * 32} {'cd' * 48}\n"


def frames(path: Path) -> list[tuple[int, bool, str]]:
    """Of each frame: whose tap, whether it was heard, the comment."""
    entries = [entry for entry in read_capture(path) if isinstance(entry, CapturedFrame)]
    assert all(entry.link is Link.RADIO for entry in entries)
    assert [entry.time_us for entry in entries] == sorted(entry.time_us for entry in entries)
    return [(entry.sed, entry.towards, entry.comment) for entry in entries]


def test_a_talk_is_judged_and_decrypted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each SED has a key log of its own, as if they were of two people; a close_notify comes twice, a flight late."""
    path, logs = tmp_path / "air.pcapng", [tmp_path / "ten", tmp_path / "eleven"]
    faults = (Fault("delay", flight=4, ms=20), Fault("duplicate", record="close", by=10))

    async def test() -> None:
        recorder = Recorder(path, logs)
        async with running(tmp_path, deployment=DEPLOYMENT) as sss, air(tmp_path, *faults, recorder=recorder) as now:
            ten, eleven = [
                await now.sed(number, sss.path, keylog=log) for number, log in zip((10, 11), logs, strict=True)
            ]
            await ten.request(REGISTER)
            await eleven.request(REGISTER)
            await ten.send(11, b"a message that can be read in the capture")
            assert (await eleven.wait()).source == 10
            await ten.send(11, b"another")
            await eleven.wait()
        assert recorder.lost == 0 and recorder.secrets == 6

    run(test)
    assert all(log.stat().st_mode & 0o777 == 0o600 for log in (path, *logs))
    assert main(["inspect", str(path)]) == 0
    assert "4 sessions, 4 decrypted" in capsys.readouterr().out
    entries, secrets = list(read_capture(path)), "".join(log.read_text() for log in logs)
    captured = [entry for entry in entries if isinstance(entry, CapturedFrame)]
    # Tolerant, for what is asked is what they say, and not how fast this machine is.
    verdicts = judge_capture(captured, KeyLog(secrets), tolerance_us=3_000_000)
    assert {verdict.sed: verdict.standing for verdict in verdicts} == {10: Standing.ALLOWED, 11: Standing.ALLOWED}
    assert [entry[:2] for entry in frames(path) if entry[2] == "duplicate"] == [(10, False), (11, True), (11, True)]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_opens_it(tmp_path: Path) -> None:
    """The secrets stand before the first frame, although the server of a session wrote its own down later."""
    path, log = tmp_path / "air.pcapng", tmp_path / "keys"

    async def test() -> None:
        async with air(tmp_path, recorder=Recorder(path, [log])) as now:
            ten, eleven = await now.sed(10), await now.sed(11, keylog=log)
            await ten.send(11, b"read by tshark")
            await eleven.wait()

    run(test)
    kinds = [type(entry) for entry in read_capture(path)]
    assert kinds.index(KeyLogText) < kinds.index(CapturedFrame)
    script = Path(__file__).parents[3] / "conformance/wireshark/scewl.lua"
    command = ["tshark", "-X", f"lua_script:{script}", "-n", "-r", str(path), "-T", "fields", "-e", "data.data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert b"read by tshark".hex() in done.stdout, done.stderr


def test_what_becomes_of_a_frame_is_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "air.pcapng"

    def middle() -> None:
        with Middle(f"unix:{tmp_path}/control", timeout=30) as man:
            man.inject(Frame(11, 2, b"injected"))
            man.drop(man.next())
            caught = man.next()
            man.change(caught, Frame(11, 10, b"altered"))

    async def test() -> None:
        import asyncio

        async with air(tmp_path, recorder=Recorder(path, [])) as now:
            (_, ten), (eleven, says), (twelve, _) = [await now.antenna() for _ in range(3)]
            says.write(frame(0, 11, b"here is eleven"))
            await twelve.readexactly(22)
            working = asyncio.create_task(asyncio.to_thread(middle))
            assert (await eleven.readexactly(16))[8:] == b"injected"
            await now.until(lambda: bool(now.control.shown()["man_in_the_middle"]))
            ten.write(frame(11, 10, b"dropped") + frame(11, 10, b"changed"))
            assert (await eleven.readexactly(15))[8:] == b"altered"
            await working
            ten.write(frame(11, 12, b"in another name"))
            assert (await eleven.readexactly(23))[8:] == b"in another name"

    run(test)
    assert frames(path) == [
        (11, False, ""),
        (11, True, "injected"),
        (10, False, "lost"),
        (10, False, "altered"),
        (11, True, ""),
        (11, True, "sent by the antenna of 10"),
    ]


def test_a_key_log_that_comes_late_and_in_pieces(tmp_path: Path) -> None:
    path, log = tmp_path / "air.pcapng", tmp_path / "keys"
    recorder = Recorder(path, [log])
    some = CapturedFrame(1, Link.RADIO, False, 10, frame(11, 10, b""))
    recorder.record(some)
    with log.open("w") as file:
        file.write("# a comment\n" + SECRET[:50])
        file.flush()
        recorder.record(some)
        assert recorder.secrets == 0
        file.write(SECRET[50:] + "CLIENT_RANDOM 00 00\n")
        file.flush()
        recorder.record(some)
    assert recorder.secrets == 1
    recorder.close()
    kinds = [type(entry) for entry in read_capture(path)]
    assert kinds.count(CapturedFrame) == 3 and kinds.count(KeyLogText) == 1
    assert kinds.index(KeyLogText) < kinds.index(CapturedFrame)
    assert {p.name for p in tmp_path.iterdir()} == {"air.pcapng", "keys"}, "no draft is left"


def test_a_capture_can_be_read_while_it_grows(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "air.pcapng", [])
    recorder.record(CapturedFrame(1, Link.RADIO, False, 10, frame(11, 10, b"")))
    assert frames(tmp_path / "air.pcapng") == [(10, False, "")]
    recorder.close()


def test_a_full_disk_costs_frames_and_not_the_radio(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "air.pcapng", [])
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, recorder._file.fileno())
    os.close(full)
    recorder.record(CapturedFrame(1, Link.RADIO, False, 10, frame(11, 10, b"")))
    assert (recorder.frames, recorder.lost) == (0, 1)
    recorder.close()


def test_what_does_not_fit_leaves_no_half_block(tmp_path: Path) -> None:
    """The disk takes the beginning of a frame and no more: what is written later can be read all the same."""
    path = tmp_path / "air.pcapng"
    recorder = Recorder(path, [])
    some = CapturedFrame(1, Link.RADIO, False, 10, frame(11, 10, bytes(1_000)))
    recorder.record(some)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 500, hard))
    try:
        recorder.record(some)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.record(some)
    recorder.close()
    assert (recorder.frames, recorder.lost) == (2, 1)
    entries = list(read_capture(path))
    assert [type(entry) for entry in entries] == [CapturedFrame] * 2, entries


def test_an_end_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path, log = tmp_path / "air.pcapng", tmp_path / "keys"
    recorder = Recorder(path, [log])
    recorder.record(CapturedFrame(1, Link.RADIO, False, 10, frame(11, 10, b"")))
    log.write_text(SECRET)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder._offer()
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "air.pcapng.new").exists()
    assert frames(path) == [(10, False, "")]
