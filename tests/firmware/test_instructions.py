"""The counter of instructions, on a firmware of which one part is known exactly."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench import DEPLOYMENT, FIRMWARE, ME, build

from conformance.targets.qemu import QemuTarget
from conformance.targets.shim import build_shim

BENCHMARKS = FIRMWARE.parent / "benchmarks"
sys.path.append(str(BENCHMARKS))
from instructions import Counter  # noqa: E402  a program's module, not a package's

MORE = 1_000


def boot_count(elf: Path) -> int:
    """Instructions from reset to the first sleep."""
    counter = Counter(build_shim(BENCHMARKS / "instructions.c"))
    target = QemuTarget(elf, options=counter.options)
    try:
        target.boot(DEPLOYMENT.image(ME))
        return counter.read()
    finally:
        target.close()
        counter.close()


def test_instructions_are_counted_exactly(tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE / "src", tmp_path / "src")
    controller = tmp_path / "src/controller.c"
    begin = "    port_init();\n"
    assert begin in controller.read_text()
    more = f'    __asm volatile(".rept {MORE}\\n nop\\n .endr");\n'
    controller.write_text(controller.read_text().replace(begin, begin + more))
    plain = boot_count(build(tmp_path / "plain"))
    assert plain == boot_count(build(tmp_path / "plain"))
    assert boot_count(build(tmp_path / "more", f"SRC={tmp_path / 'src'}")) == plain + MORE
