"""Mutants as programs: only the changed file is compiled, everything else is shared with the right firmware's build."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.mutation.catalogue import Mutant
from conformance.targets.base import HarnessError

SANITIZED = "-g0 -fsanitize=address,undefined -fno-sanitize-recover=all"
"""Compiler options under which memory faults and undefined behaviour end a program of this machine."""
_LENIENT = "WARNINGS=-Werror=implicit-function-declaration"
"""A mutant may leave a variable unused: that is no reason to refuse it. What would not link does not compile."""
PLAIN = "-g0"
"""Without them it does what the chip's program does."""


@dataclass
class NotBuilt(Exception):
    """The compiler or the linker refuses the mutant."""

    said: str

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where mutants are built: `firmware` is the folder with the Makefile, `folder` one for what is made."""

    firmware: Path
    mbedtls: Path
    folder: Path

    @property
    def sources(self) -> Path:
        """The right firmware's own files."""
        return self.firmware / "src"

    def prepare(self, flags: str) -> Path:
        """The right firmware for this machine; mutants link its objects. Raises HarnessError if it cannot be built."""
        return self._original(
            "host", "controller", [f"HOST_BUILD={self._seen(self._host(flags))}", f"HOST_FLAGS={flags}"]
        )

    def prepare_elf(self) -> Path:
        """The right firmware for the chip. Raises HarnessError if it cannot be built."""
        return self._original("all", "controller.elf", [f"BUILD={self._seen(self._chip())}"])

    def _original(self, goal: str, name: str, settings: Sequence[str]) -> Path:
        done = self._make([goal], settings)
        if done.returncode != 0:
            raise HarnessError("the firmware itself does not build", done.stderr.strip().splitlines()[-20:])
        return (self._host(settings[1][len("HOST_FLAGS=") :]) if goal == "host" else self._chip()) / name

    def program(self, mutant: Mutant, flags: str) -> Path:
        """The mutant for this machine, after `prepare(flags)`. Raises NotBuilt."""
        folder = self._fresh(mutant, self._host(flags))
        done = self._make(["host"], [*_mutated(self._seen(folder), "HOST_BUILD"), f"HOST_FLAGS={flags}"])
        if done.returncode != 0:
            raise NotBuilt(done.stderr)
        return folder / "out/controller"

    def elf(self, mutant: Mutant) -> Path:
        """The mutant for the chip, after `prepare_elf`. Raises NotBuilt."""
        folder = self._fresh(mutant, self._chip())
        done = self._make(["all"], _mutated(self._seen(folder), "BUILD"))
        if done.returncode != 0:
            raise NotBuilt(done.stderr)
        return folder / "out/controller.elf"

    def discard(self, mutant: Mutant) -> None:
        """Remove what was built of it."""
        shutil.rmtree(self.folder / mutant.id, ignore_errors=True)

    def codes(self, mutants: Iterable[Mutant], jobs: int) -> dict[str, str]:
        """The chip's object code of each mutated file, as a hash by the mutant's id; none for what does not compile.

        The right files are there under their names, such as `dtls.c`. Two files with the same code are the same to
        every test (trivial compiler equivalence).
        """
        folder = self.folder / "codes"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.sources, folder / "src")
        names = [path.name for path in sorted(self.sources.glob("*.c"))]
        ids = [path.removesuffix(".c") for path in names]
        for mutant in mutants:
            # the compiler sees the same file name for each: it may be in the code
            (folder / "src" / f"{mutant.id}.c").write_text(f'#line 1 "{mutant.file}"\n{mutant.text}', "utf-8")
            ids.append(mutant.id)
        for name in names:
            path = folder / "src" / name
            path.write_text(f'#line 1 "{name}"\n{path.read_text("utf-8")}', "utf-8")
        seen = self._seen(folder)
        settings = [f"SRC={seen}/src", f"BUILD={seen}/out", "DEFINES=-g0", _LENIENT]
        self._make(["-k", f"-j{jobs}", *(f"{seen}/out/{name}.o" for name in ids)], settings)
        found = {}
        for name in ids:
            made = folder / "out" / f"{name}.o"
            if made.is_file():
                found[name] = _code(made)
        shutil.rmtree(folder)
        return {name if name + ".c" not in names else name + ".c": code for name, code in found.items()}

    def _host(self, flags: str) -> Path:
        return self.folder / f"right-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"

    def _chip(self) -> Path:
        return self.folder / "right-chip"

    def _fresh(self, mutant: Mutant, right: Path) -> Path:
        """A folder with the mutant's sources, and the objects of the right firmware that still are up to date."""
        folder = self.folder / mutant.id
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.sources, folder / "src")  # with their times: what is older than its object stays
        shutil.copytree(right, folder / "out", ignore=shutil.ignore_patterns("controller*[!o]", "firmware.o", "*.d"))
        (folder / "src" / mutant.file).write_text(mutant.text, "utf-8")
        (folder / "out" / f"{Path(mutant.file).stem}.o").unlink()
        return folder

    def _make(self, goals: Sequence[str], settings: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Paths are relative to the firmware's folder: make would split one with a blank."""
        command = ["make", "--no-print-directory", "-C", str(self.firmware), *goals, *settings]
        command.append(f"MBEDTLS_DIR={self._seen(self.mbedtls)}")
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    def _seen(self, path: Path) -> str:
        """A path as make sees it, from the firmware's folder."""
        return os.path.relpath(path, self.firmware)


def _mutated(seen: str, build: str) -> list[str]:
    return [f"SRC={seen}/src", f"{build}={seen}/out", _LENIENT]


def _code(made: Path) -> str:
    """A hash of an object file without debug information and without the name of its source."""
    command = ["arm-none-eabi-objcopy", f"--strip-symbol={made.stem}.c", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HarnessError("arm-none-eabi-objcopy failed", done.stderr.strip().splitlines()[-5:])
    return hashlib.sha256(made.read_bytes()).hexdigest()
