"""A warm boot is a cold one: the same state of the whole machine, the same bytes, whatever the machine did before."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from machine_state import read_state

from conformance.campaign import DEFAULT_FIRMWARE, Job, load_purposes
from conformance.cast import Cast
from conformance.targets import scrub
from conformance.targets.base import IutFault, Reaction
from conformance.targets.qemu import QemuTarget
from conformance.targets.spare import Spare
from model.alphabet import Link
from model.verdict import Verdict

PURPOSES = {purpose.id: purpose for purpose in load_purposes()}
DIFFERS = {
    "timer#0.cpu_ticks_offset",  # the host's own clock, which tells two new machines apart as well
    "cmsdk-apb-watchdog#0.timer.limit",  # see `scrub`
    "cmsdk-apb-watchdog#0.timer.delta",
    "armv7m_systick#0.ptimer.next_event",  # of a timer that is off; starting it sets this
}
PAGES = [0x40000000, 0x40004000, 0x40008000, 0x4000C000, 0x4000E000, 0x40020000, 0x40030000, 0x40033000, 0x40038000]
PAGES += [0x40048000, 0x400FE000, 0xE000E000, 0x20000000]
"""Watchdog, GPIO, SSI, two UARTs, I2C, two timers, ADC, Ethernet, system control, the processor's own, SRAM."""

Boot = Callable[..., QemuTarget]


@pytest.fixture
def spare() -> Iterator[Spare]:
    room = Spare()
    yield room
    room.close()


@pytest.fixture
def boot(build: Callable[[str], Path], spare: Spare) -> Iterator[Boot]:
    """A target that keeps its machine when it is closed, booted."""
    targets: list[QemuTarget] = []

    def start(name: str, image: bytes = b"A", *, cold: bool = False) -> QemuTarget:
        elf = build(name) if name != "controller" else DEFAULT_FIRMWARE
        targets.append(QemuTarget(elf, spare=None if cold else spare))
        targets[-1].boot(image)
        return targets[-1]

    yield start
    for target in targets:
        target.close()


def image(case: str) -> bytes:
    return Cast(PURPOSES[case], 0).image()


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    assert one.keys() == other.keys()
    assert len(one) > 60_000, "the state is not taken apart into its fields"
    return {name for name in one if one[name] != other[name]}


class TestState:
    def test_after_a_session_of_another_device(self, spare: Spare, tmp_path: Path) -> None:
        cold = QemuTarget(DEFAULT_FIRMWARE)
        try:
            first = cold.boot(image("register"))
            expected = read_state(cold._running(), tmp_path)
        finally:
            cold.close()
        job = Job(PURPOSES["glare-higher"], "qemu", None, "hardened", 7, tmp_path)
        assert job.run(spare).verdict is Verdict.PASS
        warm = QemuTarget(DEFAULT_FIRMWARE, spare=spare)
        used = spare._machine
        assert warm.boot(image("register")) == first
        assert used is not None and warm._running() is used, "not a warm boot"
        assert differences(expected, read_state(used, tmp_path)) <= DIFFERS
        warm.close()

    def test_two_new_machines_are_the_same(self, boot: Boot, tmp_path: Path) -> None:
        """Else the comparison would show nothing."""
        one, other = (read_state(boot("echo", cold=True)._running(), tmp_path) for _ in range(2))
        assert differences(one, other) <= {"timer#0.cpu_ticks_offset"}

    @pytest.mark.parametrize("page", PAGES, ids=hex)
    def test_whatever_is_written_to_a_device_is_put_back_or_the_machine_is_given_up(
        self, boot: Boot, tmp_path: Path, page: int
    ) -> None:
        target = boot("echo")
        machine = target._running()
        cold = read_state(machine, tmp_path)
        rng = random.Random(page)
        machine._monitor.ask("stop", 10)
        for _ in range(10):
            values = [rng.getrandbits(rng.choice((1, 4, 8, 16, 32))) for _ in range(40)]
            offsets = [4 * rng.randrange(rng.choice((0x10, 0x40, 0x400))) for _ in values]
            written = [f"writel {page + at:#x} {value:#x}" for at, value in zip(offsets, values, strict=True)]
            machine.qtest.run(written, 10)
            machine.pump(0)  # or the log of guest errors fills up, and QEMU waits
        assert differences(cold, read_state(machine, tmp_path, goes_on=False)), "nothing was changed"
        if machine.restart(b"A", 10):
            target._now_ns = 0
            assert target.advance(0) == Reaction(0, None, (), ("echo: ready: image=A",))
            assert differences(cold, read_state(machine, tmp_path)) <= DIFFERS


class TestBytes:
    CASES = ("glare-lower", "lost-flight-2", "power-cycle", "registered-964")

    def test_traces_and_captures_are_those_of_new_machines(self, spare: Spare, tmp_path: Path) -> None:
        cases = self.CASES
        folders = [tmp_path / name for name in ("cold", "warm", "backwards")]
        for folder in folders:
            folder.mkdir()
        job = Job(PURPOSES["register"], "qemu", None, "hardened", 0, tmp_path)
        for case in cases:
            replace(job, purpose=PURPOSES[case], out=folders[0]).run()
        for case in cases:
            replace(job, purpose=PURPOSES[case], out=folders[1]).run(spare)
        for case in reversed(cases):
            replace(job, purpose=PURPOSES[case], out=folders[2]).run(spare)
        written = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
        assert len(written[0]) == 2 * len(cases)
        assert written[0] == written[1] == written[2]

    @pytest.mark.parametrize("size", [20, 5_000, 512_000])
    def test_bytes_that_nobody_read_are_gone(self, boot: Boot, size: int) -> None:
        """In the FIFO; in the shim; in all buffers on the way."""
        target = boot("picky")
        pid = target.pid
        target.send(Link.CPU, bytes(range(250)) * (size // 250 + 1))
        assert target.boot(b"A") == Reaction(0, None)
        assert target.pid == pid, "not a warm boot"
        assert target.send(Link.RADIO, b"g") == Reaction(0, None), "nothing is left of what came before"
        assert target.send(Link.CPU, b"new").chunks == ((Link.CPU, b"new"),)

    def test_timers_are_gone_and_time_begins_at_0(self, boot: Boot) -> None:
        target = boot("timer")
        assert target.advance(59_000) == Reaction(59_000, 60_000)
        assert target.boot(b"A") == Reaction(0, 60_000)
        assert target.deadline_ns == 60_000_000_000
        assert target.advance(60_000) == Reaction(60_000, None, ((Link.RADIO, b"T"),))

    def test_the_image_is_replaced_whole(self, boot: Boot) -> None:
        target = boot("echo", b"Zebra" * 800)
        assert target.boot(b"Q").debug == ("echo: ready: image=Q",)
        assert target.memory(0x3F000, 0x1000) == b"Q".ljust(0x1000, b"\0")


class TestSpare:
    def test_the_same_process_serves_one_target_after_the_other(self, boot: Boot) -> None:
        first = boot("echo")
        pid = first.pid
        first.close()
        assert boot("echo").pid == pid

    def test_a_firmware_that_broke_is_not_used_again(self, boot: Boot, spare: Spare) -> None:
        target = boot("guest_error")
        pid = target.pid
        with pytest.raises(IutFault):
            target.send(Link.RADIO, b"x")
        target.close()
        assert spare._machine is None
        assert boot("guest_error").pid != pid

    def test_nor_one_that_is_not_known_to_sleep(self, boot: Boot, spare: Spare) -> None:
        target = boot("echo")
        target.post(Link.RADIO, b"x")
        target.close()
        assert spare._machine is None

    def test_nor_one_whose_qemu_has_died(self, boot: Boot, spare: Spare) -> None:
        target = boot("echo")
        target.close()
        assert spare._machine is not None
        spare._machine.process.kill()
        spare._machine.process.wait()
        assert boot("echo").send(Link.RADIO, b"x").chunks == ((Link.RADIO, b"x"),)

    def test_nor_one_that_used_a_device_which_cannot_be_put_back(self, boot: Boot) -> None:
        target = boot("echo")
        pid = target.pid
        address = next(iter(scrub.UNTOUCHED))
        target._running().qtest.run([f"writel {address:#x} 0x4"], 10)
        target.boot(b"A")
        assert target.pid != pid

    def test_another_firmware_ends_the_one_that_was_kept(self, boot: Boot, spare: Spare) -> None:
        boot("echo").close()
        kept = spare._machine
        assert kept is not None
        boot("timer").close()
        assert kept.process.poll() is not None
        assert spare._machine is not None and spare._machine is not kept

    def test_a_new_build_under_the_same_name_is_another_firmware(
        self, build: Callable[[str], Path], spare: Spare, tmp_path: Path
    ) -> None:
        elf = tmp_path / "my.elf"
        for name in ("echo", "timer"):
            elf.write_bytes(build(name).read_bytes())
            target = QemuTarget(elf, spare=spare)
            target.boot(b"A")
            deadline = target.advance(0).deadline
            target.close()
        assert deadline == 60_000
