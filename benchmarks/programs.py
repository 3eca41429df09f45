"""What the benchmarks of programs share: `scewl` as a process, what that computes, and a siege from another process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SCEWL = (sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())")
"""The beginning of a command line of `scewl`."""


def processor_time(process: int) -> float:
    """Seconds of processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def besieged(benchmark: str, path: str, count: int) -> Iterator[None]:
    """So many hostile clients of the socket at `path` from another process, all of which have begun.

    The process is the file `benchmark` with `--siege`, which prints a line as soon as they have.
    """
    if not count:
        yield
        return
    command = [sys.executable, benchmark, "--siege", path, "--hostile", str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    if not process.stdout.readline():
        sys.exit(f"the siege ended with exit code {process.wait()} before it began")
    try:
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
