"""Small firmwares of which each has one habit (`../firmwares/*.c`)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "firmwares"
FLAGS = ["-mcpu=cortex-m3", "-mthumb", "-O1", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib"]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compiles a firmware by name."""
    folder = tmp_path_factory.mktemp("firmwares")

    def compile_one(name: str) -> Path:
        elf = folder / f"{name}.elf"
        if not elf.exists():
            sources = [str(SOURCES / "start.c"), str(SOURCES / f"{name}.c")]
            command = ["arm-none-eabi-gcc", *FLAGS, "-T", str(SOURCES / "link.ld"), "-o", str(elf), *sources]
            subprocess.run(command, check=True)
        return elf

    return compile_one
