"""What the firmware needs of flash, SRAM, stack and heap: the linker's figures, and the peaks of purposes in QEMU.

The peaks come from a build with -DSCEWL_REPORT_MEMORY, which paints its stack and says after each session how much of
stack and heap was ever used; otherwise it is the same program.

    python benchmarks/memory.py [--all] [--if-newer-than FILE] [--output reports/memory.json]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from conformance.case import Outcome, run_case
from conformance.purpose import FOLDER, Purpose, load, load_purposes
from conformance.targets.qemu import QemuTarget
from model.verdict import Verdict

ROOT = Path(__file__).resolve().parents[1]
WORST = ("registered-16384", "register-twice", "glare-lower", "lost-flight-5-thrice", "response-wrong-name", "faa-busy")
"""Purposes that together reach the peaks of all; --all runs all."""
FLASH, SRAM, STACK, HEAP = 0x3F000, 0x10000, 4_096, 16_384
"""Bytes that there are: flash below the provisioning image, SRAM, stack and heap as the firmware divides it."""
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


def sizes(elf: Path) -> dict[str, int]:
    """`arm-none-eabi-size`: bytes of text, data and bss (which here holds stack and heap)."""
    told = subprocess.run(["arm-none-eabi-size", str(elf)], capture_output=True, text=True, check=True).stdout
    text, data, bss = map(int, told.splitlines()[1].split()[:3])
    return {"text": text, "data": data, "bss": bss}


def peaks(elf: Path, purposes: Sequence[Purpose]) -> dict[str, dict[str, Any]]:
    """The largest peaks, and the purpose that reached each."""

    def run(purpose: Purpose) -> Outcome:
        return run_case(purpose, lambda: QemuTarget(elf), profile="hardened", seed=0)

    found: dict[str, dict[str, Any]] = {k: {"bytes": 0, "purpose": ""} for k in ("stack", "heap")}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for outcome in pool.map(run, purposes):
            if outcome.result.verdict is not Verdict.PASS:
                sys.exit(f"{outcome.result.case} does not pass: {outcome.result.reason}")
            for stack, heap in PEAKS.findall(outcome.trace):
                for kind, size in (("stack", int(stack)), ("heap", int(heap))):
                    if size > found[kind]["bytes"]:
                        found[kind] = {"bytes": size, "purpose": outcome.result.case}
    if not all(f["bytes"] for f in found.values()):
        sys.exit("the reporting build reported nothing")
    return found


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
    size = sizes(elf)
    found = peaks(build(), load_purposes() if args.all else [load(FOLDER / f"{w}.toml") for w in WORST])
    flash, sram = size["text"] + size["data"], size["data"] + size["bss"]
    table = (
        f"flash  {flash:>7,} of {FLASH:>7,} B\n"
        f"SRAM   {sram:>7,} of {SRAM:>7,} B, stack and heap included\n"
        f"stack  {found['stack']['bytes']:>7,} of {STACK:>7,} B at its peak, in {found['stack']['purpose']}\n"
        f"heap   {found['heap']['bytes']:>7,} of {HEAP:>7,} B at its peak, in {found['heap']['purpose']}\n"
    )
    print(table, end="")
    if newer:
        newer.write_text(table, "utf-8")
    if args.output:
        data = {**size, "flash": flash, "sram": sram, "peaks": found, "all_purposes": args.all}
        args.output.write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
