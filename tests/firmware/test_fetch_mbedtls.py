"""firmware/fetch-mbedtls.sh, without a network: apt is replaced by a script that yields what the test gives it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "firmware" / "fetch-mbedtls.sh"
PINNED = "8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a"
APT = """#!/bin/sh
echo "$@" >>"$CALLS"
case " $* " in
*" showsrc "*) printf 'Package: mbedtls\\nVersion: %s\\n' "$OFFERED" ;;
*" source "*) cp "$GIVEN" . ;;
esac
"""


class Machine:
    """A machine whose apt is ours. `script` is the script under test, with the hash of our tarball pinned in it."""

    def __init__(self, folder: Path) -> None:
        self.dest = folder / "a b" / "mbedtls"
        self.calls = folder / "calls"
        self.calls.touch()
        tools = folder / "bin"
        tools.mkdir()
        for name in ("apt-get", "apt-cache"):
            (tools / name).write_text(APT)
            (tools / name).chmod(0o755)
        tarball = folder / "mbedtls_3.6.6.orig.tar.bz2"
        header = folder / "build_info.h"
        header.write_text('#define MBEDTLS_VERSION_STRING         "3.6.6"\n')
        with tarfile.open(tarball, "w:bz2") as archive:
            archive.add(header, "mbedtls-3.6.6/include/mbedtls/build_info.h")
        keyring = folder / "keyring.gpg"
        keyring.touch()
        text = SCRIPT.read_text()
        assert PINNED in text
        text = text.replace(PINNED, hashlib.sha256(tarball.read_bytes()).hexdigest())
        self.script = folder / "fetch.sh"
        self.script.write_text(text.replace("/usr/share/keyrings/debian-archive-keyring.gpg", str(keyring)))
        self.tarball = tarball
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "CALLS": str(self.calls),
            "GIVEN": str(tarball),
            "OFFERED": "3.6.6-0.1~deb13u2",
            "DEBIAN_MIRROR": "http://mirror.invalid/debian",
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(self.script), *(arguments or (str(self.dest),))]
        return subprocess.run(command, env=self.environment | environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_second_run_asks_nobody(machine: Machine) -> None:
    done = machine.run()
    assert done.returncode == 0, done.stderr
    assert (machine.dest / "include/mbedtls/build_info.h").is_file()
    assert "mbedtls=3.6.6-0.1~deb13u2" in machine.calls.read_text()
    machine.calls.write_text("")
    assert machine.run().returncode == 0
    assert machine.calls.read_text() == ""


def test_a_tarball_with_another_hash_is_refused(machine: Machine) -> None:
    machine.tarball.write_bytes(machine.tarball.read_bytes() + b"\0")
    done = machine.run()
    assert done.returncode == 1
    assert "pinned SHA-256" in done.stderr
    assert list(machine.dest.parent.iterdir()) == []


def test_what_an_interrupted_run_left_is_replaced(machine: Machine) -> None:
    part = machine.dest.with_name("mbedtls.part.1")
    part.mkdir(parents=True)
    assert machine.run().returncode == 0
    assert list(machine.dest.parent.iterdir()) == [machine.dest]


def test_a_folder_of_somebody_else_is_left_alone(machine: Machine) -> None:
    machine.dest.mkdir(parents=True)
    (machine.dest / "mine").touch()
    done = machine.run()
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert [path.name for path in machine.dest.iterdir()] == ["mine"]


def test_a_mirror_without_this_version(machine: Machine) -> None:
    done = machine.run(OFFERED="3.6.9-1")
    assert done.returncode == 1
    assert "has no mbedtls 3.6.6" in done.stderr
    assert "MBEDTLS_DIR" in done.stderr
    assert not machine.dest.exists()


@pytest.mark.parametrize(("version", "status"), [("3.6.2", 0), ("2.28.3", 1), ("4.0.0", 1)])
def test_a_given_tree_must_be_3_6(machine: Machine, tmp_path: Path, version: str, status: int) -> None:
    header = tmp_path / "tree/include/mbedtls/build_info.h"
    header.parent.mkdir(parents=True)
    header.write_text(f'#define MBEDTLS_VERSION_STRING         "{version}"\n')
    done = machine.run(MBEDTLS_DIR=str(tmp_path / "tree"))
    assert done.returncode == status
    assert version in done.stderr
    assert machine.calls.read_text() == ""


def test_a_given_folder_without_mbedtls(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(MBEDTLS_DIR=str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "holds no Mbed TLS" in done.stderr


def test_usage(machine: Machine) -> None:
    done = machine.run("a", "b")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")
