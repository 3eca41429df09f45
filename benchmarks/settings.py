"""What settings of the curve and of the compiler cost and bring: instructions, flash, the arena's peak.

Each setting is built from a copy of firmware/ with a changed configuration, once as it is, for flash and instructions,
and once reporting its memory. MBEDTLS_ECP_WINDOW_SIZE above 4 changes nothing for P-256: Mbed TLS takes 4 for points
that it does not know and, with its fixed table, 5 for the generator.

    python benchmarks/settings.py [--output reports/settings.json]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from instructions import operations

from conformance.case import run_case
from conformance.purpose import FOLDER, load
from conformance.targets.base import HarnessError, IutFault
from conformance.targets.qemu import QemuTarget

ROOT = Path(__file__).resolve().parents[1]
PEAK_AT = ("registered-16384", "register-twice", "glare-lower", "deviations/client-records-reversed")
"""Purposes that between them reach the arena's peak."""
PEAK = re.compile(r"heap_peak=(\d+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """The window of the point multiplication, whether the generator's table is fixed, and the compiler's level."""

    window: int
    fixed_table: int
    level: str


IN_USE = Setting(3, 1, "-O2")
SETTINGS = (
    *(Setting(window, fixed, "-O2") for fixed in (0, 1) for window in (2, 3, 4, 5, 6)),
    Setting(3, 1, "-Os"),
    Setting(3, 1, "-O3"),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a setting was measured at: bytes, and instructions."""

    setting: Setting
    flash: int
    arena_peak: int
    registration: int
    client: int
    server: int
    message: int
    """Sending 16,384 B, handshake included."""


def copy(folder: Path, setting: Setting) -> None:
    """firmware/ with this setting, beside the same Mbed TLS. Raises ValueError where it no longer says what it did."""
    shutil.copytree(ROOT / "firmware", folder / "firmware")
    (folder / "build").mkdir()
    (folder / "build" / "mbedtls").symlink_to(ROOT / "build" / "mbedtls")
    changed = {
        "mbedtls_config.h": {
            # The table is fixed unless the configuration says otherwise.
            r"(#define MBEDTLS_ECP_)WINDOW_SIZE \d+": rf"\1FIXED_POINT_OPTIM {setting.fixed_table}\n\1WINDOW_SIZE "
            + str(setting.window),
        },
        "Makefile": {r"(-std=c11) -O\w+": rf"\1 {setting.level}"},
    }
    for name, places in changed.items():
        path = folder / "firmware" / name
        text = path.read_text("utf-8")
        for pattern, value in places.items():
            text, found = re.subn(pattern, value, text)
            if found != 1:
                raise ValueError(f"{name}: {found} places look like {pattern}")
        path.write_text(text, "utf-8")
    # Some settings are measured although they exceed the budget of flash.
    script = folder / "firmware/port/lm3s6965/lm3s6965.ld"
    script.write_text(script.read_text("utf-8").replace("<= 98304,", "<= 258048,"), "utf-8")


def build(folder: Path, *options: str) -> Path:
    """The ELF. Raises SystemExit with what make said."""
    command = ["make", "-s", *options]
    made = subprocess.run(command, cwd=folder / "firmware", capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(f"the build failed:\n{made.stderr}")
    return folder / "build" / "firmware" / "controller.elf"


def flash(elf: Path) -> int:
    """Bytes of flash."""
    told = subprocess.run(["arm-none-eabi-size", str(elf)], capture_output=True, text=True, check=True).stdout
    text, data = map(int, told.splitlines()[1].split()[:2])
    return text + data


def arena_peak(elf: Path) -> int:
    """The most of the arena that was in use at once, in bytes."""
    traces = (
        run_case(load(FOLDER / f"{name}.toml"), lambda: QemuTarget(elf), profile="hardened", seed=0).trace
        for name in PEAK_AT
    )
    return max(int(peak) for trace in traces for peak in PEAK.findall(trace))


def measure(setting: Setting) -> Figures:
    """The figures of one setting. Raises IutFault, HarnessError."""
    with tempfile.TemporaryDirectory(prefix="settings-") as name:
        folder = Path(name)
        copy(folder, setting)
        elf = build(folder)
        size, counts = flash(elf), operations(elf)
        peak = arena_peak(build(folder, "DEFINES=-DSCEWL_REPORT_MEMORY"))
    return Figures(
        setting,
        size,
        peak,
        counts["registration"],
        counts["session as client, empty message"],
        counts["session as server, empty message"],
        counts["message of 16,384 B, sending"],
    )


def main() -> int:
    """Exit codes: 0 measured, 1 the firmware broke, 3 our side broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the figures here, as JSON")
    options = parser.parse_args()
    rows = []
    try:
        for setting in SETTINGS:
            rows.append(measure(setting))
            print(rows[-1], flush=True)
    except (IutFault, HarnessError) as error:
        print(f"settings: {error}", *error.evidence, sep="\n  ", file=sys.stderr)
        return 1 if isinstance(error, IutFault) else 3
    if options.output:
        options.output.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
