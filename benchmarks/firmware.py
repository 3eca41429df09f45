"""The firmware in figures: one page, and the same as CSV, from what the other benchmarks measured of this very ELF.

    python benchmarks/firmware.py      # reports/firmware.md and reports/firmware.csv

`make firmware-report` measures all, then does this. Figures of another ELF are refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from instructions import RECORD, RECORDS
from settings import IN_USE
from unicast import DEFAULT_FIRMWARE

REPORTS = Path(__file__).resolve().parents[1] / "reports"
FLASH_BUDGET, FLASH, SRAM, STACK, ARENA = 96 * 1024, 0x3F000, 0x10000, 4_096, 16_384
"""Bytes: what the firmware may take and what there is of flash; SRAM, and how the firmware divides it."""
HISTORIC_FLASH, HISTORIC_HEAP = 101_020, 40_000
"""Bytes that the 2021 controller took of flash, and for its heap."""
EARLIER = {"registration": 0.082, "unicast 16 B": 0.107, "unicast 16,384 B": 0.233}
"""Seconds (medians, quiet machine) of this firmware before AES was masked and memory protected."""
CLOCK_HZ = 50_000_000
SRAM_START = 0x2000_0000
SAME = 1.03
"""Two numbers of instructions whose ratio is less are as good as each other: memory decides then."""
NAMED_OBJECT = 512
"""Variables from this many bytes on are listed."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the CSV."""

    metric: str
    value: float
    unit: str
    purpose: str
    """What it was measured in: a purpose of the suite, all of them, an operation; or `linked`."""


def output(*command: str) -> str:
    """What a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def loaded(name: str) -> Any:
    """A report. Raises SystemExit if it is not there."""
    path = REPORTS / name
    if not path.is_file():
        sys.exit(f"firmware: no reports/{name}; make firmware-report measures all")
    return json.loads(path.read_text("utf-8"))


def sections(elf: Path) -> list[tuple[str, int, int]]:
    """Name, size and address of what is in memory on the chip, the lowest first."""
    fields = [line.split() for line in output("arm-none-eabi-size", "-A", "-d", str(elf)).splitlines()]
    found = [(f[0], int(f[1]), int(f[2])) for f in fields if len(f) == 3 and f[0].startswith(".")]
    return [(n, s, a) for n, s, a in found if s and not n.startswith((".debug", ".comment", ".ARM.attr"))]


def variables(elf: Path) -> list[tuple[str, int]]:
    """The large ones."""
    fields = [line.split() for line in output("arm-none-eabi-nm", "-S", "--size-sort", "-r", str(elf)).splitlines()]
    return [(f[3], int(f[1], 16)) for f in fields if f[2] in "bBdD" and int(f[1], 16) >= NAMED_OBJECT]


def memory(elf: Path) -> list[Figure]:
    """Flash, SRAM by region, the peaks, what no case touched. Raises SystemExit if they are another build's."""
    told = loaded("memory.json")
    text, data = map(int, output("arm-none-eabi-size", str(elf)).splitlines()[1].split()[:2])
    if told["flash"] != text + data:
        sys.exit("firmware: reports/memory.json is of another ELF; make firmware-report measures all")
    figures = [Figure("flash", text + data, "B", "linked")]
    regions = {n: size for n, size, at in sections(elf) if SRAM_START <= at < SRAM_START + SRAM}
    figures += (Figure(f"SRAM, {name}", size, "B", "linked") for name, size in regions.items())
    figures += (Figure(f"variable {name}", size, "B", "linked") for name, size in variables(elf))
    figures += (Figure(f"{name}, peak", peak["bytes"], "B", peak["purpose"]) for name, peak in told["peaks"].items())
    if "never_touched" in told:
        figures.append(Figure("SRAM never touched", told["never_touched"], "B", "all"))
    return figures


def instructions(digest: str) -> list[Figure]:
    """Of each operation. Raises SystemExit if they are another build's."""
    told = loaded("instructions.json")
    if told["firmware_sha256"] != digest:
        sys.exit("firmware: reports/instructions.json is of another ELF; make firmware-report measures all")
    return [Figure("instructions", count, "1", name) for name, count in told["operations"].items()]


def wall(digest: str) -> tuple[list[Figure], Any]:
    """Times, and the report that they are from. Raises SystemExit if they are another build's."""
    told = loaded("unicast.json")
    if told["firmware_sha256"] != digest:
        sys.exit("firmware: reports/unicast.json is of another ELF; make firmware-report measures all")
    return [Figure("wall time, median", round(row["median"], 4), "s", row["what"]) for row in told["rows"]], told


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown: the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def memory_page(figures: Sequence[Figure]) -> str:
    """Flash and SRAM."""
    flash = figures[0].value
    limits = {"stack, peak": STACK, "heap, peak": ARENA}
    rows = [(f.metric, f"{f.value:,}", f"{limits.get(f.metric, SRAM):,}", f.purpose) for f in figures[1:]]
    return f"""## Flash and SRAM

{flash:,} B of flash: {flash / FLASH_BUDGET:.0%} of the {FLASH_BUDGET:,} B that the build allows,
{flash / FLASH:.0%} of what there is, and {flash / HISTORIC_FLASH:.2f} times the 2021 controller's {HISTORIC_FLASH:,} B.
That one's heap was {HISTORIC_HEAP:,} B.

{table(("bytes of SRAM", "", "of", "measured in"), rows)}

Sections and variables: `arm-none-eabi-size -A` and `arm-none-eabi-nm -S`.
Peaks: `python benchmarks/memory.py --all`, over every purpose of the suite."""


def instructions_page(figures: Sequence[Figure]) -> str:
    """What each operation costs."""
    rows = [(f.purpose, f"{f.value:,}", f"{f.value / CLOCK_HZ:.3f} s") for f in figures]
    return f"""## Instructions

{table(("operation", "instructions", "at 50 MHz, if each took one cycle"), rows)}

`python benchmarks/instructions.py`: a plugin counts inside QEMU, which has no model of a Cortex-M3's cycles. On the
chip it is longer by what multiplications, loads, branches and the flash's wait states take. A session counts from the
CPU's frame until both controllers are idle. A record is the mean of {RECORDS} of {RECORD} B; it costs the sender more,
as the radio brings it back."""


def wall_page(told: Any) -> str:
    """Times, beside the historic ones and earlier ones."""
    rows = []
    for row in told["rows"]:
        built, bare = row["historic"]["as_built"], row["historic"]["without_delay"]
        earlier, beside = EARLIER[row["what"]], told["beside"].get(row["what"])
        rows.append(
            (
                row["what"],
                f"{row['median']:.3f} s",
                f"{built[0]:g} to {built[1]:g} s",
                f"{row['ratio']:.1f}",
                f"{bare[0]:g} to {bare[1]:g} s",
                f"{row['ratio_without_delay']:.1f}",
                f"{earlier:.3f} s",
                f"{beside:.3f} s, {beside / row['median']:.2f}" if beside else "",
            )
        )
    head = ("", "median", "2021 as built", "times", "without its delay loop", "times", "earlier", "beside, times")
    return f"""## Wall time

Between two firmwares in QEMU, CPU to CPU, on {told["cores"]} cores (load before: {told["load_before"]:.1f}). "Times" is
how many times as fast as the best of the figures to its left. "Earlier" is this firmware before AES was masked and
memory protected, while the machine was quiet; "beside" is that firmware in turn with this one.

{table(head, rows)}

`python benchmarks/unicast.py --beside EARLIER_ELF`. Its goal for 16,384 B, ten times, is 0.96 s."""


def label(row: Any) -> str:
    """A setting, as the table names it."""
    s = row["setting"]
    return f"{s['window']}, {'fixed' if s['fixed_table'] else 'none'}, {s['level']}"


def settings_page(rows: Sequence[Any]) -> str:
    """The choice of the curve's settings. Raises SystemExit where another setting is better than the one in use."""
    in_use = next(r for r in rows if r["setting"] == asdict(IN_USE))
    fastest = min(r["client"] for r in rows if r["flash"] <= FLASH_BUDGET)
    if in_use["client"] > fastest * SAME:
        sys.exit("firmware: the curve's settings in use are not the fastest within the budget of flash")
    body = []
    for r in rows:
        counts = [f"{r[key] / 1e6:.1f}" for key in ("registration", "client", "server", "message")]
        name = f"**{label(r)}**" if r is in_use else label(r)
        body.append((name, f"{r['flash']:,}", f"{r['arena_peak']:,}", *counts))
    head = ("window, generator's table, level", "flash", "arena", "registration", "client", "server", "16,384 B")
    return f"""## Settings of the curve and the compiler

{table(head, body)}

Bytes of flash and of the arena at its peak; millions of instructions for a registration, a session with an empty
message as client and as server, and sending 16,384 B. Within {FLASH_BUDGET:,} B of flash none is faster than the one
in use by more than {SAME - 1:.0%}, and those that are take more of the arena. A window above 4 changes nothing for
P-256: Mbed TLS takes no larger one for points that it does not know, and has a fixed table for the generator.

`python benchmarks/settings.py`, which builds each."""


def main() -> int:
    """Write both files."""
    elf = DEFAULT_FIRMWARE
    if not elf.is_file():
        sys.exit(f"firmware: no {elf}; build it with `make firmware`")
    digest = hashlib.sha256(elf.read_bytes()).hexdigest()
    of_memory, of_work, (of_time, times) = memory(elf), instructions(digest), wall(digest)
    parts = [
        "# The firmware in figures",
        f"Written by `make firmware-report`, not by hand, of the firmware with SHA-256 `{digest[:16]}…`.",
        memory_page(of_memory),
        instructions_page(of_work),
        wall_page(times),
        settings_page(loaded("settings.json")),
    ]
    (REPORTS / "firmware.md").write_text("\n\n".join(parts) + "\n", "utf-8")
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("metric", "value", "unit", "purpose"))
    rows.writerows((f.metric, f.value, f.unit, f.purpose) for f in [*of_memory, *of_work, *of_time])
    (REPORTS / "firmware.csv").write_text(text.getvalue(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
