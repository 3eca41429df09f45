"""The same C on this machine, under the address and undefined-behaviour sanitizers: judged like the firmware, and
byte for byte the same as the firmware in QEMU."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench import DEPLOYMENT, FIRMWARE, ME, PEER, make

from conformance.case import run_case
from conformance.purpose import FOLDER, load
from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from conformance.targets.native import NativeTarget
from conformance.targets.qemu import QemuTarget
from model.alphabet import Link
from model.state import Mode
from model.verdict import Verdict
from reference.frame import Frame

ELF = FIRMWARE.parent / "build/firmware/controller.elf"
SAMPLE = ("registered-16", "glare-lower", "lost-flight-4", "record-lost-2", "faa-busy", "yield-bounded")
"""Purposes that between them take every role, lose flights, put a message aside and run into timers."""


@pytest.fixture(scope="module")
def program() -> Path:
    done = make("-j2", "host")
    assert done.returncode == 0, done.stdout + done.stderr
    return FIRMWARE.parent / "build/host/controller"


@pytest.fixture
def native(program: Path) -> Iterator[NativeTarget]:
    with contextlib.closing(NativeTarget(program)) as target:
        target.boot(DEPLOYMENT.image(ME))
        yield target


def frame(target: int, payload: bytes) -> bytes:
    return Frame(target, ME, payload).encode()


class Recorder(Target):
    """Notes all that passes between a harness and a target."""

    def __init__(self, target: Target) -> None:
        self.name, self._target = target.name, target
        self.steps: list[tuple[object, Reaction]] = []

    def boot(self, image: bytes) -> Reaction:
        return self._note("boot", self._target.boot(image))

    def send(self, link: Link, data: bytes) -> Reaction:
        return self._note((link, data), self._target.send(link, data))

    def advance(self, ms: int) -> Reaction:
        return self._note(ms, self._target.advance(ms))

    def close(self) -> None:
        self._target.close()

    def _note(self, stimulus: object, reaction: Reaction) -> Reaction:
        self.steps.append((stimulus, reaction))
        return reaction


def steps(case: str, make_target: Callable[[], Target]) -> list[tuple[object, Reaction]]:
    (path,) = FOLDER.rglob(f"{case}.toml")
    recorder = Recorder(make_target())
    with contextlib.closing(recorder):
        result = run_case(load(path), lambda: recorder, profile="hardened", seed=0).result
    assert result.verdict is Verdict.PASS, (case, result.reason, result.evidence)
    return recorder.steps


@pytest.mark.parametrize("case", SAMPLE)
def test_it_does_what_the_firmware_in_qemu_does_byte_for_byte(case: str, program: Path) -> None:
    """The same seed and the same times: the same bytes on every link, and the same deadlines."""
    here, there = steps(case, lambda: NativeTarget(program)), steps(case, lambda: QemuTarget(ELF))
    assert here == there
    assert sum(len(data) for _, reaction in here for _, data in reaction.chunks) > 500


def test_another_seed_gives_other_bytes(program: Path) -> None:
    """Or the comparison above would show nothing."""
    said = []
    for seed in (bytes(48), bytes(47) + b"\1"):
        with contextlib.closing(NativeTarget(program)) as target:
            target.boot(DEPLOYMENT.image(ME, seed))
            said.append(target.send(Link.CPU, frame(PEER, b"m")).chunks)
    assert said[0] != said[1]


def test_a_copy_is_the_whole_controller(native: NativeTarget) -> None:
    """From a copy it goes the same way again: variables, clock, timer, and bytes that it has not taken."""
    native.send(Link.CPU, frame(PEER, b"first") + frame(PEER, b"second"))
    native.advance(500)
    native.keep(0)
    once = [native.advance(7_000), native.advance(165_000), native.advance(7_000)]
    assert native.state == Mode.SENDING_MESSAGE
    native.back(0)
    assert [native.advance(7_000), native.advance(165_000), native.advance(7_000)] == once
    assert once[1].chunks[0][1].count(b"SC\x0b\0\x0a\0") == 5, "four flights of the first message, one of the second"
    with pytest.raises(IutFault, match="cannot be obeyed"):
        native.back(1)


def test_every_variable_that_is_written_is_copied(program: Path) -> None:
    """Nothing of src/ or of Mbed TLS lies in a section that port.c does not know."""
    listing = subprocess.run(
        ["objdump", "-t", program.with_name("firmware.o")], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"^[0-9a-f]+ .{7} (\S+)\t[0-9a-f]+ +(\S+)$", listing, re.MULTILINE)
    objects = {(section, name) for section, name in found if not name.startswith(("*", ".L")) and section != "*UND*"}
    variables = {name for section, name in objects if section in ("firmware_data", "firmware_bss")}
    assert {"session", "own", "arena", "outgoing", "incoming", "readers", "ssl", "drbg", "state"} <= variables
    elsewhere = {(section, name) for section, name in objects if section.startswith((".data", ".bss", "COMMON"))}
    assert not {name for _, name in elsewhere if not re.match(r"\.?_?_?(L|odr_asan)|\.data|\.bss", name)}


def test_a_start_without_memory_ends_in_idle(native: NativeTarget) -> None:
    """SES-11, which no input brings about."""
    native.keep(0)
    native.exhaust()
    reaction = native.send(Link.CPU, frame(PEER, b"lost"))
    assert (reaction.chunks, reaction.deadline, native.state) == ((), None, Mode.IDLE)
    native.back(0)
    assert native.send(Link.CPU, frame(PEER, b"sent")).deadline == 7_000
    assert native.state == Mode.SENDING_MESSAGE


def test_a_bad_image_stops_it(program: Path) -> None:
    with contextlib.closing(NativeTarget(program)) as target:
        assert target.boot(b"").debug == ("scewl: fatal: provisioning-magic",)
        assert target.state == Mode.FATAL_ERROR
        assert target.send(Link.CPU, frame(2, b"FAA")) == Reaction(0, None)


def patched(folder: Path, file: str, old: str, new: str) -> Path:
    source = folder / "src"
    shutil.copytree(FIRMWARE / "src", source)
    text = (source / file).read_text("utf-8")
    assert text.count(old) == 1
    (source / file).write_text(text.replace(old, new), "utf-8")
    done = make("-j2", "host", f"SRC={source}", f"HOST_BUILD={folder / 'host'}")
    assert done.returncode == 0, done.stderr
    return folder / "host/controller"


def test_the_sanitizers_are_on_and_what_they_say_is_the_evidence(tmp_path: Path) -> None:
    """A parser that looks one byte behind a datagram of full size."""
    program = patched(
        tmp_path,
        "hello.c",
        "    const uint8_t *rest = datagram;",
        "    const uint8_t *rest = datagram + datagram[1000];",
    )
    target = NativeTarget(program)
    target.boot(DEPLOYMENT.image(ME))
    with pytest.raises(IutFault, match="global-buffer-overflow") as fault:
        target.send(Link.RADIO, Frame(ME, PEER, bytes(1_000)).encode())
    assert any("hello_parse" in line for line in fault.value.evidence)
    with pytest.raises(HarnessError, match="does not run"):
        target.advance(1)


def test_one_that_never_rests_is_stopped(tmp_path: Path) -> None:
    program = patched(
        tmp_path, "controller.c", "    bool worked = false;", "    bool worked = dtls_state() != DTLS_IDLE;"
    )
    target = NativeTarget(program)
    target.boot(DEPLOYMENT.image(ME))
    with pytest.raises(IutFault, match="never quiescent"):
        target.send(Link.CPU, frame(PEER, b"m"))


def test_protocol_code_knows_no_board() -> None:
    """src/ includes itself, Mbed TLS and the freestanding headers, and names no register, interrupt or instruction."""
    for path in sorted((FIRMWARE / "src").glob("*.[ch]")):
        text = path.read_text("utf-8")
        for header in re.findall(r'#include ["<](.+?)[">]', text):
            own = (FIRMWARE / "src" / header).is_file()
            known = ("stdbool.h", "stddef.h", "stdint.h", "string.h")
            assert own or header.startswith("mbedtls/") or header in known, (path.name, header)
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        code = re.sub(r'__asm\(""', "", code)  # no instruction, a wall for the compiler
        assert not re.search(r"\basm\b|\bvolatile\b|__asm|0x[4eE][0-9a-fA-F]{7}\b|REGISTER\(|interrupt", code), (
            path.name
        )
