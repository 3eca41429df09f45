"""What the firmware needs of flash and SRAM: the linker's figures, the peaks of stack and heap, and what stays unused.

The figures come from runs of purposes in QEMU with a build with -DSCEWL_REPORT_MEMORY, which says after each session
how much of stack and heap was ever used; otherwise it is the same program. It paints SRAM at reset, as every build
does, and the arena once more, which Mbed TLS clears when it takes it over.
At the end of each case QEMU's monitor reads all SRAM: a word counts as never touched if it is paint after every case.

    python benchmarks/memory.py [--all] [--if-newer-than FILE] [--output reports/memory.json]

The exit code is 1 if less than 8 KB of SRAM are never touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conformance.case import Outcome, run_case
from conformance.purpose import FOLDER, Purpose, load, load_purposes
from conformance.targets.base import Reaction
from conformance.targets.qemu import QemuTarget
from model.verdict import Verdict

ROOT = Path(__file__).resolve().parents[1]
WORST = ("registered-16384", "register-twice", "glare-lower", "lost-flight-5-thrice", "response-wrong-name", "faa-busy")
"""Purposes that together reach the peaks of all; --all runs all."""
FLASH, SRAM = 0x3F000, 0x10000
"""Bytes that there are: flash below the provisioning image, SRAM."""
SRAM_START = 0x2000_0000
PAINT = 0x5AFE57AC
"""Word of SRAM that nothing has used (`memory.c`)."""
REGIONS = ("stack", "data", "messages", "arena", "bss", "unused")
"""Of SRAM, as the linker script names them, but for the guard, which nothing can touch."""
GOAL = 8_192
"""Bytes of SRAM that no case may touch."""
PEAKS = re.compile(r"scewl: memory: stack_peak=(\d+) heap_peak=(\d+)")


def build() -> Path:
    """The reporting build's ELF. Raises SystemExit with what make said."""
    mbedtls = os.environ.get("MBEDTLS_DIR") or "../build/mbedtls"
    # Relative paths: make would split one with blanks.
    command = ["make", "-s", "-C", str(ROOT / "firmware"), "BUILD=../build/firmware-memory", f"MBEDTLS_DIR={mbedtls}"]
    made = subprocess.run([*command, "DEFINES=-DSCEWL_REPORT_MEMORY"], capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(f"the reporting build failed:\n{made.stderr}")
    return ROOT / "build/firmware-memory/controller.elf"


def sections(elf: Path) -> dict[str, tuple[int, int]]:
    """Address and size of each region that is in memory on the chip, by name without the dot."""
    told = subprocess.run(["arm-none-eabi-size", "-A", "-d", str(elf)], capture_output=True, text=True, check=True)
    fields = [line.split() for line in told.stdout.splitlines()]
    found = {f[0][1:]: (int(f[2]), int(f[1])) for f in fields if len(f) == 3 and f[1].isdigit() and f[0][0] == "."}
    return {n: place for n, place in found.items() if n in ("vectors", "text", "ARM.exidx") or place[0] >= SRAM_START}


class Watched(QemuTarget):
    """A firmware whose SRAM is looked at before it ends."""

    def __init__(self, elf: Path, untouched: set[int]) -> None:
        super().__init__(elf)
        self._untouched = untouched
        self._booted = False

    def boot(self, image: bytes) -> Reaction:
        """As any target; from now on there is something to look at."""
        reaction = super().boot(image)
        self._booted = True
        return reaction

    def close(self) -> None:
        """Note which words are still paint."""
        if self._booted:
            self._booted = False
            words = struct.iter_unpack("<I", self.memory(SRAM_START, SRAM))
            self._untouched &= {number for number, (word,) in enumerate(words) if word == PAINT}
        super().close()


def run(elf: Path, purposes: Sequence[Purpose]) -> tuple[dict[str, dict[str, Any]], set[int]]:
    """The largest peaks with the purpose that reached each; the numbers of SRAM's words that no case touched."""
    every = range(SRAM // 4)
    untouched = set(every)

    def run_one(purpose: Purpose) -> tuple[Outcome, set[int]]:
        seen = set(every)
        return run_case(purpose, lambda: Watched(elf, seen), profile="hardened", seed=0), seen

    found: dict[str, dict[str, Any]] = {k: {"bytes": 0, "purpose": ""} for k in ("stack", "heap")}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for outcome, seen in pool.map(run_one, purposes):
            if outcome.result.verdict is not Verdict.PASS:
                sys.exit(f"{outcome.result.case} does not pass: {outcome.result.reason}")
            if len(seen) == len(every):
                sys.exit(f"{outcome.result.case}: nobody has looked at SRAM")
            untouched &= seen
            for stack, heap in PEAKS.findall(outcome.trace):
                for kind, size in (("stack", int(stack)), ("heap", int(heap))):
                    if size > found[kind]["bytes"]:
                        found[kind] = {"bytes": size, "purpose": outcome.result.case}
    if not all(f["bytes"] for f in found.values()):
        sys.exit("the reporting build reported nothing")
    return found, untouched


def main() -> int:
    """Print the figures; write them if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--all", action="store_true", help="run all purposes, not only those that reach the peaks")
    parser.add_argument(
        "--if-newer-than", type=Path, metavar="FILE", help="do nothing if FILE is newer than the firmware"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures here as JSON")
    args = parser.parse_args()
    elf = ROOT / "build/firmware/controller.elf"
    if not elf.is_file():
        sys.exit(f"no firmware at {elf}: build it with `make firmware`")
    newer = args.if_newer_than
    if newer and newer.is_file() and newer.stat().st_mtime >= elf.stat().st_mtime:
        print(newer.read_text("utf-8"), end="")
        return 0
    size = {name: bytes_ for name, (_, bytes_) in sections(elf).items()}
    reporting = build()
    found, untouched = run(reporting, load_purposes() if args.all else [load(FOLDER / f"{w}.toml") for w in WORST])
    regions = {}
    for name in REGIONS:
        address, room = sections(reporting)[name]
        first = (address - SRAM_START) // 4
        regions[name] = {"bytes": room, "never_touched": 4 * len(untouched & set(range(first, first + room // 4)))}
    flash, sram = size["vectors"] + size["text"] + size["ARM.exidx"] + size["data"], SRAM - size["unused"]
    never = sum(region["never_touched"] for region in regions.values())
    table = (
        f"flash  {flash:>7,} of {FLASH:>7,} B\n"
        f"SRAM   {sram:>7,} of {SRAM:>7,} B, stack and heap included\n"
        f"stack  {found['stack']['bytes']:>7,} of {size['stack']:>7,} B at its peak, in {found['stack']['purpose']}\n"
        f"heap   {found['heap']['bytes']:>7,} of {size['arena']:>7,} B at its peak, in {found['heap']['purpose']}\n"
        f"unused {never:>7,} of {SRAM:>7,} B of SRAM never touched: "
        + ", ".join(f"{name} {r['never_touched']:,}" for name, r in regions.items() if r["never_touched"])
        + "\n"
    )
    print(table, end="")
    if newer:
        newer.write_text(table, "utf-8")
    if args.output:
        data = {"sections": size, "flash": flash, "sram": sram, "peaks": found}
        data |= {"regions": regions, "never_touched": never, "all_purposes": args.all}
        args.output.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    if never < GOAL:
        print(f"less than {GOAL:,} B of SRAM are never touched", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
