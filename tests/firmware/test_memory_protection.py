"""Faults: what is not allowed is caught by the processor and named once on the debug channel. Then there is silence."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from bench import ME, PEER, Bench, build, change

from conformance.case import run_case
from conformance.purpose import parse
from conformance.targets.qemu import QemuTarget
from model.alphabet import FAA_ID, Link
from model.verdict import Verdict
from reference.frame import Frame

MARK = "    own.target = target;\n"
"""Where a statement of ours runs: the CPU asks to send a message."""
REPORT = re.compile(
    r"scewl: fault: (?P<name>[a-z0-9-]+) pc=0x(?P<pc>[0-9a-f]{8}) lr=0x(?P<lr>[0-9a-f]{8})"
    r" cfsr=0x(?P<cfsr>[0-9a-f]{8}) address=0x(?P<address>[0-9a-f]{8})"
)
PERIPHERAL = "*(volatile uint32_t *)"


class Fault(NamedTuple):
    """A statement, the exception, a bit of CFSR (ARMv7-M, B3.2.15), and the address that the line names, if any."""

    statement: str
    name: str
    status: int
    address: int | None = None


WRITE = 0x82  # DACCVIOL, MMARVALID
FAULTS = {
    "stack overflow": Fault(
        'for (unsigned i = 0; i < 4; i++) { __asm volatile("sub sp, #1024\\n str r0, [sp]" ::: "memory"); }',
        "memory",
        0x02,
    ),
    "stack overflow by recursion": Fault(
        "if (length != 0xFFFFu) { volatile char room[200]; room[0] = 1; dtls_send_message(target, 1); room[1] = 2; }",
        "memory",
        0x02,
    ),
    "write under the stack": Fault("*(volatile uint32_t *)0x20000080 = 1;", "memory", WRITE, 0x2000_0080),
    "execute from SRAM": Fault(
        "static uint16_t code[] = {0x4770}; ((void (*)(void))((uintptr_t)code | 1u))();", "memory", 0x01
    ),
    "execute the provisioning image": Fault("((void (*)(void))0x3F001)();", "memory", 0x01),
    "write to flash": Fault("*(volatile uint32_t *)0x1000 = 1;", "memory", WRITE, 0x1000),
    "write to the provisioning image": Fault("*(volatile uint32_t *)0x3F010 = 1;", "memory", WRITE, 0x3F010),
    "null write": Fault("volatile uint32_t *volatile at = NULL; *at = 1;", "memory", WRITE, 0),
    "null read": Fault("uint32_t *volatile at = NULL; own.target = (uint16_t)at[1];", "memory", WRITE, 4),
    "the flash controller": Fault("*(volatile uint32_t *)0x400FD000 = 1;", "memory", WRITE, 0x400F_D000),
    "another peripheral": Fault(
        "*(volatile uint32_t *)0x40020000 = *(volatile uint32_t *)0x40008000 + *(volatile uint32_t *)0x40010000;",
        "memory",
        WRITE,
        0x4001_0000,
    ),
    "no memory at all": Fault("*(volatile uint32_t *)0x60000000 = 1;", "memory", WRITE, 0x6000_0000),
    "undefined instruction": Fault('__asm volatile("bl 1f\\n 1: udf #0" ::: "lr");', "usage", 0x1_0000),
    "division by zero": Fault(
        "volatile unsigned zero = 0; own.target = (uint16_t)(length / zero);", "usage", 0x200_0000
    ),
    "unaligned pair": Fault(
        '__asm volatile("ldrd r0, r1, [%0]" :: "r"(0x20003001u) : "r0", "r1");', "usage", 0x100_0000
    ),
    "supervisor call": Fault('__asm volatile("svc #0");', "svcall", 0),
    "an interrupt that nobody takes": Fault(
        "*(volatile uint32_t *)0xE000E100 = 1u << 3; *(volatile uint32_t *)0xE000E200 = 1u << 3;"
        '__asm volatile("dsb\\n isb" ::: "memory");',
        "interrupt-3",
        0,
    ),
    "the last interrupt of the table": Fault(
        "*(volatile uint32_t *)0xE000E104 = 1u << 15; *(volatile uint32_t *)0xE000E204 = 1u << 15;"
        '__asm volatile("dsb\\n isb" ::: "memory");',
        "interrupt-47",
        0,
    ),
    "PendSV": Fault(
        '*(volatile uint32_t *)0xE000ED04 = 1u << 28; __asm volatile("dsb\\n isb" ::: "memory");', "pendsv", 0
    ),
}


SECRET = 0x5EC2E7A1
"""An odd word, as part of a key may be."""
TELLTALES = {
    "lr holds data": f'__asm volatile("mov lr, %0\\n mov r12, %0\\n udf #0" :: "r"({SECRET:#x}u) : "lr", "r12");',
    "a jump to data": f'__asm volatile("bx %0" :: "r"({SECRET:#x}u));',
    "the stack pointer is wild": (
        f"for (unsigned i = 0; i < 64; i++) {{ ((volatile uint32_t *)outgoing)[i] = {SECRET:#x}u; }}"
        '__asm volatile("mov sp, %0\\n udf #0" :: "r"((uint32_t)outgoing + 128));'
    ),
}
STATEMENTS = {**{name: fault.statement for name, fault in FAULTS.items()}, **TELLTALES}


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A firmware that runs one of the statements when it is asked to send a message: the length says which."""
    cases = "".join(f"    case {number}: {{\n{text}\n}} break;\n" for number, text in enumerate(STATEMENTS.values(), 1))
    folder = tmp_path_factory.mktemp("faults")
    source = change(folder, "dtls.c", MARK, f"{MARK}    switch (length) {{\n{cases}    }}\n")
    return build(folder / "build", f"SRC={source}", "WARNINGS=-w")  # the compiler rightly warns


@pytest.fixture
def bench(elf: Path) -> Iterator[Bench]:
    made = Bench(QemuTarget(elf)).boot()
    yield made
    made.target.close()


def report_of(bench: Bench, name: str) -> re.Match[str]:
    """Let the firmware run a statement; its report, the only one."""
    bench.cpu(PEER, bytes(1 + list(STATEMENTS).index(name)))
    assert len(bench.debug) == 2, bench.debug
    report = REPORT.fullmatch(bench.debug[1])
    assert report is not None, bench.debug
    return report


def test_without_a_fault_it_sends(bench: Bench) -> None:
    """The statements before and behind the chosen one do nothing."""
    bench.cpu(PEER, bytes(1 + len(STATEMENTS)))
    assert len(bench.debug) == 1
    assert len(bench.radio) == 1


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_once_and_stops_everything(bench: Bench, name: str) -> None:
    fault = FAULTS[name]
    report = report_of(bench, name)
    status = int(report["cfsr"], 16)
    assert report["name"] == fault.name
    assert status & fault.status == fault.status, report[0]
    assert (status == 0) == (fault.status == 0), report[0]
    if fault.address is not None:
        assert int(report["address"], 16) == fault.address
    if "overflow" in name:
        assert int(report["pc"], 16) == 0, "there is no frame on the stack that could say where"
    bench.give(Link.CPU, Frame(FAA_ID, ME, b"x").encode())
    assert (bench.radio, bench.deadline) == ([], None)
    assert len(bench.debug) == 2, "once"


def symbol_of(elf: Path, address: int) -> str:
    told = subprocess.run(
        ["arm-none-eabi-addr2line", "-f", "-e", elf, hex(address)], capture_output=True, text=True, check=True
    )
    return told.stdout.splitlines()[0]


def test_the_report_names_the_place(elf: Path, bench: Bench) -> None:
    report = report_of(bench, "undefined instruction")
    pc, lr = int(report["pc"], 16), int(report["lr"], 16)
    assert symbol_of(elf, pc) == "dtls_send_message"
    assert lr == pc | 1, "the instruction behind the call is the one that faults"


@pytest.mark.parametrize("name", TELLTALES)
def test_the_report_holds_no_secret(bench: Bench, name: str) -> None:
    assert f"{SECRET:08x}"[:6] not in report_of(bench, name)[0]


def test_the_suite_says_that_the_firmware_faulted(elf: Path) -> None:
    """Also where the rules ask for a frame that now does not come: the fault is what one must know."""
    number = 1 + list(STATEMENTS).index("null write")
    data = {"title": "t", "requirements": ["SES-2"], "about": "a", "peers": [{"id": 11}]}
    purpose = parse("faults", data | {"steps": [{"do": "send", "to": 11, "size": number}]})
    result = run_case(purpose, lambda: QemuTarget(elf), profile="hardened", seed=0).result
    assert result.verdict is Verdict.FAIL
    assert result.divergence is not None, result.reason
    assert "scewl: fault: memory pc=0x" in result.divergence.explanation
    assert "SES-12" in result.divergence.requirements
