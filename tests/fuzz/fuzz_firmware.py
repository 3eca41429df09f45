"""Fuzz the firmware's C, coverage-guided, under ASan and UBSan: `make fuzz-firmware`, or this file with `--help`.

What an input is, and what must hold afterwards, stands in firmware/fuzz/. A run starts from the committed corpus, and
leaves findings (an input, and what was said) in a folder; `fuzz FINDING` there does the same again. Exit codes:
0 nothing found, 1 findings, 2 usage, 3 the fuzzer could not be built.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUZZER = ROOT / "firmware" / "fuzz"
CORPUS = FUZZER / "corpus.txt"
"""Inputs, one a line, hexadecimal: those that together reach the most."""
LONGEST = 1_024
"""Bytes of an input."""
SECONDS_OF_ONE = 20
"""For one input, above which it counts as a hang; most take milliseconds."""


class NotBuilt(Exception):
    """The fuzzer could not be built; the text is what make said."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One process's end. `finding` is the line that says what was found, `artifact` the input that shows it."""

    frames: int
    finding: str
    artifact: Path | None
    text: str


def clang() -> str:
    """The name of a clang on this machine. Raises NotBuilt."""
    for name in ("clang", *(f"clang-{version}" for version in range(22, 13, -1))):
        if shutil.which(name):
            return name
    raise NotBuilt("no clang on PATH; install it (Debian: apt install clang)")


def build(what: str = "all", folder: Path | None = None, *, src: Path | None = None) -> Path:
    """Build the fuzzer, or with `coverage` the same for llvm-cov; `src` is a changed copy of firmware/src."""
    folder = folder or ROOT / "build/firmware-fuzz"
    mbedtls = Path(os.environ.get("MBEDTLS_DIR") or ROOT / "build/mbedtls")
    paths = {"BUILD": folder, "MBEDTLS_DIR": mbedtls, "PYTHON": Path(sys.executable)} | ({"SRC": src} if src else {})
    # Relative to the makefile: make does without blanks, and the checkout's own path may hold some.
    settings = [f"{name}={os.path.relpath(path, FUZZER)}" for name, path in paths.items()]
    command = ["make", "-s", "-C", str(FUZZER), what, f"CLANG={clang()}", *settings]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise NotBuilt(made.stdout + made.stderr)
    return folder / ("coverage" if what == "coverage" else "fuzz")


@dataclass(frozen=True, slots=True)
class Running:
    """A fuzzer's process, and the file that it talks into."""

    process: subprocess.Popen[bytes]
    said: Path


def start(program: Path, folder: Path, arguments: Sequence[str], job: int = 0, **environment: str) -> Running:
    """Start the fuzzer; its findings go to `folder`, and what it says to a file there (a pipe would fill up)."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / f"said-{job}.txt"
    options = [f"-artifact_prefix={folder}/", f"-max_len={LONGEST}", f"-timeout={SECONDS_OF_ONE}", "-rss_limit_mb=2048"]
    with said.open("wb") as file:
        process = subprocess.Popen(
            [str(program), *options, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=file,
            env={**os.environ, **environment},
        )
    return Running(process, said)


def finish(running: Running) -> Outcome:
    """Wait for its end and read what it said."""
    status = running.process.wait()
    text = running.said.read_text("utf-8", "replace")
    frames = re.search(r"scewl fuzz: (\d+) frames", text)
    artifact = re.search(r"Test unit written to (\S+)", text)
    finding = ""
    if status:
        told = re.search(r"^(finding: .*|host: .*|SUMMARY: .*|.*runtime error: .*)$", text, re.M)
        finding = told.group(1) if told else f"ended with status {status}"
    return Outcome(int(frames.group(1)) if frames else 0, finding, Path(artifact.group(1)) if artifact else None, text)


def fuzz(program: Path, folder: Path, corpus: Path, frames: int, seed: int, jobs: int = 1) -> list[Outcome]:
    """Give the firmware at least so many frames, shared out among processes. New inputs go into `corpus`."""
    each = str(-(-frames // jobs))
    running = [
        start(program, folder, [f"-seed={seed + job}", str(corpus)], job, SCEWL_FUZZ_FRAMES=each)
        for job in range(1, jobs + 1)
    ]
    return [finish(process) for process in running]


def replay(program: Path, folder: Path, inputs: Sequence[Path]) -> Outcome:
    """Give it these inputs, each followed by an honest session."""
    return finish(start(program, folder, ["-runs=1", *map(str, inputs)], SCEWL_FUZZ_SERVE="1"))


def seeds() -> list[bytes]:
    """Inputs that damage each byte of a peer's good datagram in turn (hellos, flights 4 to 6, a sealed record), and
    authentic records of every type, alerts of both levels among them.

    Steps as in firmware/fuzz/program.h; the numbers of places and kinds of step are those of program.c.
    """
    high, low, sss = 0, 1, 3
    carry, seal, start, sweep = 0, 1, 10, 12

    def step(op: int, peer: int, how: int = 0, x: int = 0, own: bytes = b"") -> bytes:
        return bytes((op, peer, how, 0, x & 0xFF, x >> 8, len(own), 0)) + own

    inputs = []
    for place, lead, peer, length in (
        (0, step(start, high), high, 100),
        (0, step(start, high) + step(carry, high), high, 128),
        (2, b"", high, 900),
        (3, b"", high, 900),
        (7, b"", sss, 900),
        (12, b"", low, 100),
    ):
        stride = 1 if length < 200 else 3
        for at in range(0, length, 64 * stride):
            inputs.append(bytes((place,)) + lead + step(sweep, peer, (stride - 1) << 3, at))
    for place, peer in ((4, high), (5, high), (8, sss), (10, low)):
        inputs.append(bytes((place,)) + step(sweep, peer, 64))
        inputs += [bytes((place,)) + step(seal, peer, kind, 2, own) for kind in range(6) for own in (b"\2\50", b"\1\0")]
    return inputs


def unpack(folder: Path, corpus: Path = CORPUS) -> Path:
    """The committed inputs as files, and the seeds."""
    folder.mkdir(parents=True)
    inputs = [bytes.fromhex(line) for line in corpus.read_text("ascii").split()]
    for number, content in enumerate(inputs + seeds()):
        (folder / f"{number:04}").write_bytes(content)
    return folder


def pack(folder: Path, corpus: Path = CORPUS) -> None:
    """Files as the committed inputs: sorted, so that the same inputs are the same text."""
    lines = sorted({path.read_bytes().hex() for path in folder.iterdir()}, key=lambda line: (len(line), line))
    corpus.write_text("".join(f"{line}\n" for line in lines if line), "ascii")


def coverage(program: Path, folder: Path, corpus: Path) -> str:
    """The lines of firmware/src that a corpus reaches, as a table. Needs llvm-profdata and llvm-cov."""
    suffix = clang().removeprefix("clang")
    raw, profile = folder / "coverage.raw", folder / "coverage.profile"
    finish(start(program, folder, ["-runs=0", str(corpus)], LLVM_PROFILE_FILE=str(raw)))
    subprocess.run([f"llvm-profdata{suffix}", "merge", "-o", profile, raw], check=True)
    told = subprocess.run(
        [f"llvm-cov{suffix}", "report", program, f"-instr-profile={profile}"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows, total, missed = ["file               lines  reached"], 0, 0
    for line in told.stdout.splitlines():
        # name, regions, missed, %, functions, missed, %, lines, missed, %, branches, missed, %
        cells = line.split()
        if re.fullmatch(r"(?:.*/)?src/\w+\.c", cells[0] if cells else ""):
            lines, unreached = int(cells[7]), int(cells[8])
            total, missed = total + lines, missed + unreached
            rows.append(f"{Path(cells[0]).name:<18} {lines:>5}  {(lines - unreached) / lines:>6.1%}")
    rows.append(f"{'all':<18} {total:>5}  {(total - missed) / total:>6.1%}")
    return "\n".join(rows)


def main() -> int:
    """Run, and say what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=1_000_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--out", type=Path, default=ROOT / "reports/out/fuzz-firmware", metavar="DIR")
    parser.add_argument("--coverage", action="store_true", help="say which lines of firmware/src the inputs reach")
    parser.add_argument("--keep", action="store_true", help="make the committed corpus anew from what was reached")
    args = parser.parse_args()
    if args.frames < 1 or args.jobs < 1:
        parser.error("at least one frame and one job")
    try:
        program = build()
        shutil.rmtree(args.out, ignore_errors=True)
        corpus = unpack(args.out / "corpus")
        outcomes = fuzz(program, args.out, corpus, args.frames, args.seed, args.jobs)
        told = coverage(build("coverage"), args.out, corpus) if args.coverage else ""
    except NotBuilt as error:
        print(f"fuzz-firmware: {error}", file=sys.stderr)
        return 3
    findings = [o for o in outcomes if o.finding]
    for outcome in findings:
        print(f"{outcome.finding}\n  again: SCEWL_FUZZ_SERVE=1 {program} {outcome.artifact}")
    print(f"{sum(o.frames for o in outcomes):,} frames, {len(findings)} findings")
    if told:
        print(told)
    if args.keep and not findings:
        small = args.out / "small"
        small.mkdir()
        finish(start(program, args.out, ["-merge=1", str(small), str(corpus)]))
        pack(small)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
