"""SPIN's verifier, `pan`: generate it, compile it, run it, read what it prints."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

NAME = "system.pml"
MIB = 2**20
PROGRESS = re.compile(r"Depth=\s*(\d+) States=\s*([\d.e+]+)")
OPTION = re.compile(r"\[id\s+(\d+) tp\s+\d+\] .*=> D_STEP")
CUT_SHORT = ("Search not completed", "max search depth too small")


class SpinError(RuntimeError):
    """SPIN is missing, does not take the model, or does not say what it should."""


@dataclass(frozen=True, slots=True)
class Run:
    """What pan said: transitions without the reports, the time by its own clock, and memory in bytes."""

    states: int
    transitions: int
    depth: int
    reports: int
    seconds: float
    memory: int
    whole: bool
    """Whether every reachable state was looked at."""


def compiled(folder: Path, text: str, options: Sequence[str]) -> Path:
    """Make pan from a model's text, with compiler options. Raises SpinError."""
    for program, package in (("spin", "spin"), ("gcc", "gcc")):
        if not shutil.which(program):
            raise SpinError(f"{program} is not installed (Debian: apt install {package})")
    (folder / NAME).write_text(text)
    # Without -o1 and -o2, variables that nobody reads are no part of SPIN's states, and it counts fewer than there are.
    _output(folder, "spin", "-a", "-o1", "-o2", NAME)
    # Eight digits, as SPIN prints them, are too few for counts of large systems.
    source = folder / "pan.c"
    source.write_text(source.read_text().replace("%9.8g", "%9.0f"))
    # What it prints on success are warnings about generated code.
    _output(folder, "gcc", "-w", *options, "-o", "pan", "pan.c")
    return folder / "pan"


def options_of(pan: Path) -> list[int]:
    """The numbers of the transitions, which trails name, in the order of the options of the model's loop."""
    return [int(number) for number in OPTION.findall(_output(pan.parent, str(pan), "-d"))]


def run(pan: Path, arguments: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Run:
    """Run to the end; `progress` is told the number of states and the depth now and then. Raises SpinError."""
    lines = []
    process = subprocess.Popen(
        [str(pan), "-n", *arguments], cwd=pan.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                if progress and (told := PROGRESS.match(line)):
                    progress(int(float(told[2])), int(told[1]))
        except BaseException:
            process.kill()
            raise
    text = "".join(lines)

    def figure(pattern: str) -> float:
        found = re.search(pattern, text, re.MULTILINE)
        if not found:
            raise SpinError(f"pan did not finish its report (exit status {process.returncode}):\n{text[-4000:]}")
        return float(found[1])

    reports = int(figure(r"errors: (\d+)"))
    return Run(
        states=int(figure(r"^\s*(\d+) states, stored")),
        # The first state counts as one of pan's transitions, and so does every report.
        transitions=int(figure(r"^\s*(\d+) transitions")) - 1 - reports,
        depth=int(figure(r"depth reached (\d+)")),
        reports=reports,
        seconds=figure(r"elapsed time ([\d.e+]+) seconds"),
        memory=int(figure(r"([\d.]+)\s+total actual memory usage") * MIB),
        whole=not any(sign in text for sign in CUT_SHORT),
    )


def trails(pan: Path, reports: int) -> list[list[int]]:
    """The reports' paths in order, as numbers of transitions, each with that of its report at the end.

    Raises SpinError if one is missing.
    """
    found = []
    for number in range(1, reports + 1):
        trail = pan.parent / f"{NAME}{number}.trail"
        try:
            steps = [line.split(":") for line in trail.read_text().split()]
        except OSError as error:
            raise SpinError(f"pan reported {reports} findings and wrote no path for number {number}") from error
        found.append([int(transition) for depth, _, transition in steps if int(depth) > 0])
    return found


def _output(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpinError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout
