"""The firmware in QEMU registers with a running `scewl sss`: its second serial port is a connection of the service."""

from __future__ import annotations

import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from reference.deployment import Deployment

ROOT = Path(__file__).parents[2]
ELF = ROOT / "build/firmware/controller.elf"
SCEWL = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())"]


def ask(cpu: socket.socket, op: int) -> int:
    """The CPU's request and the op of its answer."""
    cpu.sendall(b"SC" + struct.pack("<HHHHh", 1, 10, 4, 10, op))
    answer = b""
    while len(answer) < 12:
        piece = cpu.recv(12 - len(answer))
        assert piece, "QEMU has ended"
        answer += piece
    magic, target, source, length, device, answered = struct.unpack("<2sHHHHh", answer)
    assert (magic, target, source, length, device) == (b"SC", 10, 1, 4, 10)
    return int(answered)


def test_the_firmware_registers_with_the_service(tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    deployment = Deployment.create([10], seed=b"tests/firmware/sss")
    deployment.save(folder)
    (folder / "10.bin").write_bytes(deployment.image(10))
    command = [*SCEWL, "sss", "--deployment", str(folder), "--listen", f"unix:{folder}/wires"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    qemu = None
    try:
        assert service.stderr is not None
        assert select.select([service.stderr], [], [], 60)[0] and "started" in service.stderr.readline()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "cpu"))
            listener.listen(1)
            listener.settimeout(60)
            machine = ["qemu-system-arm", "-M", "lm3s6965evb", "-display", "none", "-monitor", "none"]
            image = f"loader,file={folder}/10.bin,addr=0x3f000,force-raw=on"
            wires = ["-serial", f"unix:{folder}/cpu", "-serial", f"unix:{folder}/wires", "-serial", "null"]
            command = [*machine, "-kernel", str(ELF), "-device", image, *wires]
            qemu = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            cpu, _ = listener.accept()
        with cpu:
            cpu.settimeout(120)
            assert [ask(cpu, op) for op in (0, 0, 1, 1)] == [0, 0, 1, -1]
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
    finally:
        for process in (qemu, service):
            if process:
                process.kill()
                process.wait()
        if service.stderr:
            service.stderr.close()
