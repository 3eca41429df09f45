"""The QEMU target, with small firmwares of which each has one habit (`firmwares/*.c`). Real QEMU throughout."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_firmwares import FLAGS, SOURCES

from conformance.targets import qemu as qemu_module
from conformance.targets.base import HarnessError, IutFault, Reaction
from conformance.targets.elf import Elf
from conformance.targets.machine import Machine, ShimReport
from conformance.targets.qemu import QemuTarget
from model.alphabet import Link

Start = Callable[..., QemuTarget]


@pytest.fixture
def start(build: Callable[[str], Path]) -> Iterator[Start]:
    """Boots a firmware by name; ends it after the test."""
    targets: list[QemuTarget] = []

    def boot(name: str, image: bytes = b"A", **settings: Any) -> QemuTarget:
        target = QemuTarget(build(name), **settings)
        targets.append(target)
        target.boot(image)
        return target

    yield boot
    for target in targets:
        target.close()


def fault_of(call: Callable[[], Reaction], within_s: float = 20.0) -> IutFault:
    """The fault that a call raises, in bounded time."""
    started = time.monotonic()
    with pytest.raises(IutFault) as caught:
        call()
    assert time.monotonic() - started < within_s
    return caught.value


# ---- streams ----


def test_boot_reports_the_debug_line_and_the_image_is_in_flash(build: Callable[[str], Path]) -> None:
    target = QemuTarget(build("echo"))
    try:
        assert target.boot(b"Zebra") == Reaction(0, None, (), ("echo: ready: image=Z",))
        assert target.boot(b"Quagga") == Reaction(0, None, (), ("echo: ready: image=Q",))
    finally:
        target.close()


@pytest.mark.parametrize("link", list(Link))
def test_each_link_is_its_own_stream(start: Start, link: Link) -> None:
    target = start("echo")
    assert target.send(link, b"hello") == Reaction(0, None, ((link, b"hello"),))
    assert target.send(link, b"") == Reaction(0, None)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 4095, 4096, 4097, 16_392, 600_000])
def test_no_byte_is_lost_or_moved_at_any_size(start: Start, size: int) -> None:
    data = bytes(i * 7 % 251 for i in range(size))
    assert start("echo").send(Link.CPU, data).chunks == ((Link.CPU, data),)


def test_bytes_that_the_firmware_leaves_unread_wait_and_flow_later(start: Start) -> None:
    target = start("picky")
    data = bytes(range(256)) * 2000  # more than all buffers on the way
    assert target.send(Link.CPU, data).chunks == ((Link.CPU, data[:8]),)
    assert target.advance(1000) == Reaction(1000, None)
    assert target.send(Link.RADIO, b"g").chunks == ((Link.CPU, data[8:]),)


def test_a_queue_that_goes_out_little_by_little_is_one_step(start: Start) -> None:
    """Reports of quiescence come between the pieces; they do not end the step."""

    class Trickle:
        """A socket that takes 100 bytes, and 100 more whenever a report has come."""

        def __init__(self, machine: Machine, real: socket.socket) -> None:
            self.fileno = real.fileno
            self.machine, self.real = machine, real
            self.last: ShimReport | str = "before the first"

        def send(self, data: bytearray) -> int:
            report = self.machine.reports[-1] if self.machine.reports else "none yet"
            if report is self.last:
                raise BlockingIOError
            self.last = report
            return self.real.send(data[:100])

    target = start("echo")
    machine = target._running()
    uarts: dict[Link, Any] = machine._uarts
    uarts[Link.CPU] = Trickle(machine, uarts[Link.CPU])
    data = bytes(range(256)) * 50
    assert target.send(Link.CPU, data).chunks == ((Link.CPU, data),)


def test_input_comes_in_full_fifos(start: Start) -> None:
    """The point of holding back the wake-up: 16 bytes per interrupt, not one."""
    assert start("batches").send(Link.SSS, bytes(100)).chunks == ((Link.SSS, bytes([16] * 6 + [4])),)


def test_without_waiting_the_bytes_come_too(start: Start) -> None:
    target = start("echo")
    target.post(Link.RADIO, b"ping")
    got = b""
    while len(got) < 4:
        reaction = target.collect(5.0)
        assert reaction.chunks, "nothing came within 5 s"
        got += reaction.chunks[0][1]
    assert got == b"ping"
    assert target.filenos()


# ---- time ----


def test_a_timer_fires_exactly_at_its_deadline_and_the_deadline_is_reported(start: Start) -> None:
    target = start("timer")
    assert target.advance(0) == Reaction(0, 60_000)
    assert target.advance(59_999) == Reaction(59_999, 60_000)
    assert target.advance(1) == Reaction(60_000, None, ((Link.RADIO, b"T"),))
    assert target.send(Link.RADIO, b"x") == Reaction(60_000, 61_000)
    assert target.advance(400) == Reaction(60_400, 61_000)
    assert target.send(Link.RADIO, b"x") == Reaction(60_400, 61_400)
    assert target.advance(1_000) == Reaction(61_400, None, ((Link.RADIO, b"T"),))


def test_a_deadline_between_milliseconds_is_rounded_up_and_kept_exact_aside(start: Start) -> None:
    target = start("fraction")
    assert target.advance(0).deadline == 2
    assert target.deadline_ns == 1_500_000
    assert target.advance(1) == Reaction(1, 2)
    assert target.advance(1) == Reaction(2, None, ((Link.RADIO, b"T"),))


def test_a_reset_of_the_chip_is_no_fault(start: Start) -> None:
    assert start("reset").send(Link.RADIO, b"x").debug == ("reset: start",)


def test_firmware_that_polls_works_with_the_setting_for_it(start: Start) -> None:
    target = start("poller", busy_poll_ms=2)
    data = bytes(range(200))
    assert target.send(Link.RADIO, data) == Reaction(0, None, ((Link.RADIO, data),))
    assert target.advance(5000) == Reaction(5000, None)


# ---- faults ----


def test_polling_without_the_setting_is_never_quiescent(start: Start) -> None:
    fault = fault_of(lambda: start("poller", busy_limit_s=0.2).advance(0))
    assert fault.what.startswith("never quiescent: computed for")


def test_computing_for_ever_is_never_quiescent(start: Start) -> None:
    target = start("spinner", busy_limit_s=0.2)
    fault = fault_of(lambda: target.send(Link.RADIO, b"x"))
    assert fault.what.startswith("never quiescent: computed for")
    assert "debug: spinner: off I go" in fault.evidence


def test_the_wall_limit_holds_whatever_the_firmware_does(start: Start) -> None:
    target = start("spinner", busy_limit_s=1000, wall_limit_s=0.3)
    fault = fault_of(lambda: target.send(Link.RADIO, b"x"), within_s=10.0)
    assert fault.what == "never quiescent: did not settle within 0.3 s"


@pytest.mark.parametrize("link", [Link.RADIO, Link.CPU])
def test_a_flood_is_bounded(start: Start, link: Link) -> None:
    target = start("flooder", output_limit=100_000)
    fault = fault_of(lambda: target.send(link, b"x"))
    assert fault.what == "flood: more than 100,000 bytes of output in one step"


def test_a_lockup_shows_the_registers(start: Start) -> None:
    target = start("lockup")
    fault = fault_of(lambda: target.send(Link.RADIO, b"x"))
    assert fault.what.startswith("the firmware locked up")
    assert "debug: lockup: goodbye" in fault.evidence
    assert any("Lockup" in line for line in fault.evidence)
    assert any("R00=" in line for line in fault.evidence)
    assert any("R15=" in line for line in fault.evidence)


def test_a_guest_error_is_a_fault_with_its_line(start: Start) -> None:
    target = start("guest_error")
    fault = fault_of(lambda: target.send(Link.RADIO, b"x"))
    assert fault.what == "guest error: pl011_write: Bad offset 0x9c"
    assert "log: pl011_write: Bad offset 0x9c" in fault.evidence


def test_an_exit_is_a_fault_and_the_last_words_are_kept(start: Start) -> None:
    target = start("exits")
    fault = fault_of(lambda: target.send(Link.RADIO, b"x"))
    assert fault.what == "the firmware ended QEMU (exit status 7)"
    assert "debug: exits: bye" in fault.evidence


def test_an_interrupt_from_the_keyboard_does_not_reach_qemu(start: Start) -> None:
    """It goes to the terminal's process group; the case at hand would be a FAIL of the firmware's."""
    target = start("echo")
    assert os.getpgid(target.pid) != os.getpgid(0)


def test_qemu_killed_from_outside_is_seen(start: Start) -> None:
    target = start("echo")
    target._running().process.kill()
    assert fault_of(lambda: target.send(Link.RADIO, b"x")).what == "the firmware ended QEMU (SIGKILL)"
    with pytest.raises(HarnessError, match="call boot"):
        target.advance(0)


def test_qemu_ends_when_the_harness_goes(start: Start) -> None:
    target = start("spinner")
    machine = target._running()
    machine.command(0)
    machine._control.close()
    machine._files.remove(machine._control)
    assert machine.process.wait(20) == 0


@pytest.mark.parametrize(
    ("name", "what"),
    [("guest_error", "guest error"), ("exits", "the firmware ended QEMU"), ("lockup", "the firmware locked")],
)
def test_faults_show_without_waiting_too(start: Start, name: str, what: str) -> None:
    target = start(name)
    target.post(Link.RADIO, b"x")

    def until_it_breaks() -> Reaction:
        while True:
            target.collect(1.0)

    assert fault_of(until_it_breaks).what.startswith(what)


# ---- our own mistakes ----


def test_a_missing_elf_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="make firmware"):
        QemuTarget(tmp_path / "absent.elf")


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b":020000040000FA\n" * 10])
def test_a_file_that_is_no_elf_is_our_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(content)
    with pytest.raises(HarnessError, match="not an ELF"):
        QemuTarget(path)


@pytest.mark.parametrize("kind", ["64 bits", "big endian", "x86"])
def test_an_elf_for_another_machine_is_our_error(build: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    header = bytearray(build("echo").read_bytes()[:52])
    header[{"64 bits": 4, "big endian": 5, "x86": 18}[kind]] = {"64 bits": 2, "big endian": 2, "x86": 3}[kind]
    path = tmp_path / "other.elf"
    path.write_bytes(header)
    with pytest.raises(HarnessError, match="not for 32-bit little-endian ARM"):
        QemuTarget(path)


def test_an_image_too_large_for_flash_is_our_error(build: Callable[[str], Path]) -> None:
    target = QemuTarget(build("echo"))
    with pytest.raises(HarnessError, match="4097 bytes"):
        target.boot(bytes(4097))


def test_no_qemu_is_our_error(build: Callable[[str], Path]) -> None:
    with pytest.raises(HarnessError, match="apt install qemu-system-arm"):
        QemuTarget(build("echo"), qemu="qemu-system-nowhere").boot(b"")


def test_a_qemu_that_refuses_is_our_error(build: Callable[[str], Path], tmp_path: Path) -> None:
    fake = tmp_path / "qemu"
    fake.write_text("#!/bin/sh\necho 'machine not supported' >&2\nexit 1\n")
    fake.chmod(0o700)
    with pytest.raises(HarnessError, match="machine not supported"):
        QemuTarget(build("echo"), qemu=str(fake)).boot(b"")


def test_use_before_boot_and_after_close(build: Callable[[str], Path]) -> None:
    target = QemuTarget(build("echo"))
    target.close()
    with pytest.raises(HarnessError, match="call boot"):
        target.send(Link.CPU, b"x")
    target.boot(b"")
    target.close()
    target.close()
    with pytest.raises(HarnessError, match="call boot"):
        target.advance(1)


def test_time_does_not_go_back(start: Start) -> None:
    with pytest.raises(HarnessError, match="back"):
        start("echo").advance(-1)


# ---- repeatability ----


def a_run(target: QemuTarget) -> list[Reaction]:
    """A mixed script: every link, sizes around the FIFO's and the blocks', timers between."""
    reactions = [target.boot(b"A")]
    for n in range(60):
        link = list(Link)[n % 3]
        reactions.append(target.send(link, bytes(range(n * 4 % 256)) * (n % 5 + 1)))
        reactions.append(target.advance(n * 131 % 900))
    return reactions


@pytest.mark.parametrize("name", ["echo", "timer", "batches"])
def test_the_same_inputs_give_the_same_run_even_under_load(build: Callable[[str], Path], name: str) -> None:
    target = QemuTarget(build(name))
    try:
        quiet = a_run(target)
        assert a_run(target) == quiet
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            assert a_run(target) == quiet
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
    finally:
        target.close()


def test_everything_is_freed(start: Start) -> None:
    target = start("echo")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        target.boot(b"A")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_image_never_reaches_a_disk(start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    start("echo", image=b"secret")
    assert not list(tmp_path.iterdir())


def test_the_tools_are_there() -> None:
    assert shutil.which("qemu-system-arm"), "apt install qemu-system-arm"
    assert qemu_module.build_shim().exists()


def test_what_qemus_loader_does_is_no_fault_of_the_firmware(tmp_path: Path) -> None:
    """Newer linkers put `.bss` behind `.data` in one segment that is loaded into flash, where QEMU then clears it."""
    script = tmp_path / "one_segment.ld"
    script.write_text(
        "MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 252K  RAM (rw) : ORIGIN = 0x20000000, LENGTH = 64K }\n"
        "PHDRS { code PT_LOAD; ram PT_LOAD; }\n"
        "SECTIONS {\n"
        "  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH :code\n"
        "  .data : { *(.data*) LONG(1) } > RAM AT > FLASH :ram\n"
        "  .bss (NOLOAD) : { *(.bss*) . += 64; } > RAM AT > FLASH :ram\n"
        "}\n"
        "stack_top = ORIGIN(RAM) + LENGTH(RAM);\n"
    )
    elf = tmp_path / "echo.elf"
    sources = [str(SOURCES / "start.c"), str(SOURCES / "echo.c")]
    subprocess.run(["arm-none-eabi-gcc", *FLAGS, "-T", str(script), "-o", str(elf), *sources], check=True)
    target = QemuTarget(elf)
    try:
        assert target.boot(b"A").debug == ("echo: ready: image=A",)
        assert target._running().guest_errors, "this linker makes QEMU say nothing: the test shows nothing"
    finally:
        target.close()
    assert not Elf(elf).is_cleared_by_the_loader("Invalid write at addr 0x40004000, size 4")
    assert not Elf(elf).is_cleared_by_the_loader("something else")


def test_an_elf_that_is_cut_off_is_refused(build: Callable[[str], Path], tmp_path: Path) -> None:
    elf = tmp_path / "cut.elf"
    elf.write_bytes(build("echo").read_bytes()[:60])
    with pytest.raises(HarnessError, match="cut off"):
        QemuTarget(elf)
