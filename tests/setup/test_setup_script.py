""".ci/setup.sh where packages are missing: apt is replaced by a script, and next to nothing else is on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = [
    "bash",
    "cat",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "head",
    "mkdir",
    "tee",
    "rm",
    "sha256sum",
    "tail",
    "tr",
]
APT = """#!/bin/sh
echo "$@" >>"$CALLS"
exit 100
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the set-up alone, and a folder `bin` with the few tools that every machine has."""
    folder = tmp_path / "check out"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/setup.sh", folder / ".ci")
    tools = folder / "bin"
    tools.mkdir()
    for name in TOOLS:
        path = shutil.which(name)
        assert path is not None
        (tools / name).symlink_to(path)
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    (tools / "apt-get").write_text(APT)
    (tools / "apt-get").chmod(0o755)
    return folder


def run(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": str(checkout / "bin"), "CALLS": str(checkout / "calls"), "HOME": "/nonexistent"} | environment
    command = [str(checkout / "bin/bash"), str(checkout / ".ci/setup.sh"), *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)


def test_missing_packages_are_named(checkout: Path) -> None:
    done = run(checkout, "run", MBEDTLS_DIR="somewhere")
    assert done.returncode == 1
    wanted = "qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi gcc libc6-dev make"
    last = done.stderr.splitlines()[-1]
    assert last.endswith(wanted), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may call apt without sudo")
def test_the_package_lists_are_fetched_and_the_installation_is_tried_again(checkout: Path) -> None:
    done = run(checkout, "test", MBEDTLS_DIR="somewhere")
    assert done.returncode == 1
    calls = (checkout / "calls").read_text().split()
    assert [word for word in calls if word in ("install", "update")] == ["install", "update", "install"]
    assert {"clang-format", "cppcheck", "tshark"} <= set(calls)


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no right to install")
def test_without_the_right_to_install_the_packages_are_named(checkout: Path) -> None:
    done = run(checkout, "run", MBEDTLS_DIR="somewhere")
    assert done.returncode == 1
    assert not (checkout / "calls").exists()
    assert "run as root: apt-get install qemu-system-arm" in done.stderr


def test_usage(checkout: Path) -> None:
    done = run(checkout, "everything")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
