"""The transmitter under a FIFO that is as slow as the wire: QEMU's is never full."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from bench import FIRMWARE

MODEL = Path(__file__).parent / "uart"
LENGTH, FIFO = 16_384, 16


def transmit(folder: Path, was: str = "", becomes: str = "") -> subprocess.CompletedProcess[str]:
    """Compile the port's uart.c, changed if asked to, with the model in place of board.h; run it."""
    source = (FIRMWARE / "port/lm3s6965/uart.c").read_text()
    assert was in source
    (folder / "uart.c").write_text(source.replace(was, becomes) if was else source)
    for name in ("board.h", "transmit.c"):
        shutil.copy(MODEL / name, folder)
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-int-to-pointer-cast", f"-I{FIRMWARE / 'src'}"]
    command = ["gcc", *flags, "-fsanitize=address,undefined", "uart.c", "transmit.c", "-o", "transmit"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return subprocess.run([folder / "transmit"], capture_output=True, text=True, check=False, timeout=10)


def test_it_sleeps_while_the_fifo_is_full(tmp_path: Path) -> None:
    """As rarely as can be: once for each half of a FIFO after the first whole one. No loop looks at the flags."""
    sleeps = (LENGTH - FIFO) // (FIFO // 2)
    done = transmit(tmp_path)
    # A look for each byte. At each sleep: one that finds it full, one more with interrupts off, and the interrupt's.
    assert done.stdout == f"sent={LENGTH} sleeps={sleeps} looks={LENGTH + 3 * sleeps}\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("was", "becomes", "found"),
    [
        ("UART_IM(base) |= IM_TX;", "", "asleep, and nothing would end it"),
        ("UART_IM(base) &= ~IM_TX;", "", "the transmit interrupt would fire for ever"),
        ("    interrupts_off();", "", "asleep with interrupts on: one that came just before would be lost"),
        ("(base) & FR_TXFF) != 0u", "(base) & FR_TXFF) > FR_TXFF", "a byte was written into a full FIFO"),
    ],
)
def test_the_model_notices(tmp_path: Path, was: str, becomes: str, found: str) -> None:
    done = transmit(tmp_path, was, becomes)
    assert (done.returncode, done.stdout.strip()) == (1, found), done.stderr
