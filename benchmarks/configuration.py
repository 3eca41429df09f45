"""What each line of the Mbed TLS configuration is needed for: the firmware is built once without each.

    python benchmarks/configuration.py [--output reports/configuration.json] [NAME...]

A line is needed if without it something does not compile or link, or if the program is another one; the figures say by
how many bytes of flash. A line without which the program is the same, byte for byte, is not needed: the exit code is 1.
Without a value Mbed TLS's own default counts. Lines of measuring builds are not tried. Only what a line changes is
compiled again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"
LINE = re.compile(r"^#define (MBEDTLS_\w+)(?:[^\\\n]*\\\n)*[^\n]*\n", re.MULTILINE)


class Builder:
    """Builds firmwares that differ in their configuration, with the makefile's own commands."""

    def __init__(self, folder: Path) -> None:
        """`folder` is where objects are kept, by the text that they were compiled from."""
        self._folder = folder
        mbedtls = os.environ.get("MBEDTLS_DIR") or "../build/mbedtls"
        told = subprocess.run(
            [
                "make",
                "-n",
                "-B",
                "-C",
                str(FIRMWARE),
                f"BUILD={folder}/b",
                f"LIBRARIES={folder}/l",
                f"MBEDTLS_DIR={mbedtls}",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = told.stdout.splitlines()
        joined = "\n".join(lines).replace("\\\n", " ").splitlines()
        self._compile = [line for line in joined if " -c " in line and line.lstrip().startswith("arm-")]
        (self._link,) = (line for line in joined if "controller.map" in line)

    def build(self, configuration: str, name: str) -> tuple[str, int, str]:
        """The ELF's digest and bytes of flash, and `""`; or what failed, `compile` or `link`, and the first error."""
        where = self._folder / name
        where.mkdir()
        (where / "mbedtls_config.h").write_text(configuration, "utf-8")
        objects = []
        for command in self._compile:
            command = command.replace(" -I. ", f" -I{where} -I. ")
            source, _ = re.search(r" -c (\S+) -o (\S+)", command).groups()  # type: ignore[union-attr]
            plain = re.sub(r" -M\S+| -fcallgraph-info=su", "", command)
            plain += " -Werror=implicit-function-declaration"
            text = self._run(re.sub(r" -c (\S+) -o \S+", r" -E -P \1", plain))
            if text.returncode:
                return "compile", 0, _first_error(text.stderr)
            # Lines are no part of it: a comment changes nothing.
            made = self._folder / (hashlib.sha256(source.encode() + text.stdout.encode()).hexdigest() + ".o")
            if not made.exists():
                done = self._run(re.sub(r" -o \S+", f" -g0 -o {made}", plain))
                if done.returncode:
                    return "compile", 0, _first_error(done.stderr)
            objects.append(str(made))
        elf = where / "controller.elf"
        head = self._link.split("-Wl,-Map")[0]
        done = self._run(f"{head} {' '.join(objects)} -o {elf}")
        if done.returncode:
            return "link", 0, _first_error(done.stderr)
        image = where / "image"
        self._run(f"arm-none-eabi-objcopy -O binary {elf} {image}")
        data = image.read_bytes()
        return hashlib.sha256(data).hexdigest(), len(data), ""

    @staticmethod
    def _run(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, shell=True, cwd=FIRMWARE, capture_output=True, text=True, check=False)


def _first_error(text: str) -> str:
    found = re.search(r"(?:error:|undefined reference) (.*)", text)
    return found[0][:120] if found else text[:120]


def main() -> int:
    """Try each line; print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures here as JSON")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these lines")
    args = parser.parse_args()
    text = (FIRMWARE / "mbedtls_config.h").read_text("utf-8")
    release = re.sub(r"#if defined\(SCEWL_REPORT_MEMORY\)\n.*?#endif\n", "", text, flags=re.DOTALL)
    lines = {m[1]: m[0] for m in LINE.finditer(release)}
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(Path(folder))
        whole, size, error = builder.build(text, "whole")
        if error:
            sys.exit(f"the configuration itself does not build: {error}")

        def without(name: str) -> tuple[str, dict[str, object]]:
            outcome, flash, said = builder.build(text.replace(lines[name], "\n"), name)
            if said:
                return name, {"needed": True, "without": f"does not {outcome}", "error": said}
            return name, {"needed": outcome != whole, "without": "another program", "flash": flash - size}

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = dict(pool.map(without, args.names or lines))
    for name, row in found.items():
        what = row.get("error") or f"flash {row['flash']:+,} B"
        print(f"{'' if row['needed'] else 'NOT NEEDED '}{name}: {row['without']}, {what}")
    if args.output:
        args.output.write_text(json.dumps({"flash": size, "lines": found}, indent=1) + "\n", "utf-8")
    return 0 if all(row["needed"] for row in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
