"""The firmware in QEMU on the air: its third serial port is an antenna of `scewl radio`, beside a Python SED."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

from conformance.capture import CapturedFrame, read_capture
from conformance.onlooker import Standing, judge_capture
from conformance.wire.secrets import KeyLog
from reference.deployment import Deployment
from reference.sed import Sed

ROOT = Path(__file__).parents[2]
ELF = ROOT / "build/firmware/controller.elf"
SCEWL = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())"]
FIRMWARE, PYTHON = 10, 11


def frame(target: int, source: int, payload: bytes) -> bytes:
    return b"SC" + struct.pack("<HHH", target, source, len(payload)) + payload


def hear(cpu: socket.socket) -> tuple[int, int, bytes]:
    """The next frame for the firmware's CPU: target, source, payload."""
    with cpu.makefile("rb") as stream:
        head = stream.read(8)
        assert head[:2] == b"SC", head
        target, source, length = struct.unpack("<HHH", head[2:])
        return target, source, stream.read(length)


def test_the_firmware_and_a_python_sed_talk_through_the_radio(tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    deployment = Deployment.create([FIRMWARE, PYTHON], seed=b"tests/firmware/sed-and-radio")
    deployment.save(folder)
    (folder / "10.bin").write_bytes(deployment.image(FIRMWARE))
    places = {"radio": f"unix:{tmp_path}/radio", "sss": f"unix:{tmp_path}/sss"}
    keys, capture = tmp_path / "keys", tmp_path / "air.pcapng"
    programs = [
        ["radio", "--listen", places["radio"], "--capture", str(capture), "--keylog", str(keys)],
        ["sss", "--deployment", str(folder), "--listen", places["sss"]],
    ]
    running: list[subprocess.Popen[str]] = []
    try:
        for words in programs:
            running.append(subprocess.Popen([*SCEWL, *words], stderr=subprocess.PIPE, text=True))
            stderr = running[-1].stderr
            assert stderr is not None and "started" in stderr.readline()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "cpu"))
            listener.listen(1)
            listener.settimeout(60)
            machine = ["qemu-system-arm", "-M", "lm3s6965evb", "-display", "none", "-monitor", "none"]
            image = f"loader,file={folder}/10.bin,addr=0x3f000,force-raw=on"
            wires = [word for name in ("cpu", "sss", "radio") for word in ("-serial", f"unix:{tmp_path}/{name}")]
            command = [*machine, "-kernel", str(ELF), "-device", image, *wires]
            running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True))
            cpu, _ = listener.accept()
        cpu.settimeout(120)
        with cpu, Sed(folder, PYTHON, **places, keylog=keys, patience=60) as sed:
            cpu.sendall(frame(1, FIRMWARE, struct.pack("<Hh", FIRMWARE, 0)))
            assert hear(cpu) == (FIRMWARE, 1, struct.pack("<Hh", FIRMWARE, 0))
            sed.register(timeout=60)
            cpu.sendall(frame(PYTHON, FIRMWARE, b"from C to Python" * 500))
            message = sed.wait(timeout=60)
            assert (message.source, message.payload) == (FIRMWARE, b"from C to Python" * 500)
            sed.send(FIRMWARE, b"from Python to C" * 500, timeout=60)
            assert hear(cpu) == (FIRMWARE, PYTHON, b"from Python to C" * 500)
            sed.send(2, b"for the FAA")
        running[0].send_signal(signal.SIGTERM)
        assert running[0].wait(60) == 0
    finally:
        for process in running:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()
    frames = [entry for entry in read_capture(capture) if isinstance(entry, CapturedFrame)]
    taps = Counter((entry.sed, entry.towards) for entry in frames)
    assert taps[FIRMWARE, False] == taps[PYTHON, True] > 10, taps
    assert taps[PYTHON, False] - taps[FIRMWARE, True] in (0, 1), f"one was for the FAA: {taps}"
    assert taps[FIRMWARE, True] > 10
    # Three seconds of tolerance, not half a one: what is asked is what they say, not how fast this machine is.
    verdicts = judge_capture(frames, KeyLog(keys.read_text()), tolerance_us=3_000_000)
    assert {verdict.sed: verdict.standing for verdict in verdicts if verdict.sed in (FIRMWARE, PYTHON)} == {
        FIRMWARE: Standing.ALLOWED,
        PYTHON: Standing.ALLOWED,
    }, verdicts
