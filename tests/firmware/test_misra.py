"""Deviations from MISRA C:2012: the page, the list of `make check` and the code name the same ones."""

from __future__ import annotations

import re
import subprocess

from bench import FIRMWARE

PAGE = FIRMWARE.parent / "docs/misra.md"
NUMBER = re.compile(r"D-\d+")


def on_the_page() -> dict[str, set[str]]:
    """The rules of each deviation."""
    rows = re.findall(r"^\| (D-\d+) \| ([\d., ]+) \|", PAGE.read_text("utf-8"), re.M)
    return {number: set(rules.split(", ")) for number, rules in rows}


def in_the_list() -> dict[str, set[str]]:
    """The same, of the suppressions."""
    found: dict[str, set[str]] = {}
    number = ""
    for line in (FIRMWARE / "misra.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            number = line[2:]
        else:
            found.setdefault(number, set()).add(line.removeprefix("misra-c2012-").partition(":")[0])
    return found


def in_the_code() -> dict[str, set[str]]:
    """The same, of the comments that let a place pass."""
    found: dict[str, set[str]] = {}
    for path in [*FIRMWARE.glob("src/*.[ch]"), *FIRMWARE.glob("port/lm3s6965/*.[ch]")]:
        for rule, number in re.findall(r"cppcheck-suppress misra-c2012-([\d.]+) ; (D-\d+)", path.read_text("utf-8")):
            found.setdefault(number, set()).add(rule)
    return found


def test_page_list_and_code_name_the_same_deviations() -> None:
    everywhere: dict[str, set[str]] = {}
    for source in (in_the_list(), in_the_code()):
        for number, rules in source.items():
            everywhere.setdefault(number, set()).update(rules)
    assert on_the_page() == everywhere
    assert list(everywhere) and list(on_the_page()) == [f"D-{n}" for n in range(1, len(everywhere) + 1)]


def test_only_memcpy_and_memset_have_unused_results() -> None:
    """D-6."""
    command = [
        "cppcheck",
        "--quiet",
        "--std=c11",
        "--addon=misra",
        "-Isrc",
        "-Iport/lm3s6965",
        "--template={id} {code}",
    ]
    done = subprocess.run([*command, "src", "port/lm3s6965"], cwd=FIRMWARE, capture_output=True, text=True, check=True)
    places = re.findall(r"^misra-c2012-17\.7 +(.*)$", done.stderr, re.M)
    assert places and all(place.startswith(("memcpy(", "memset(")) for place in places), places
