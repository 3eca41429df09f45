"""What a run has finished so far, one line a case, so that another run can go on from there.

The journal lies beside the traces while the run goes on, and is gone when there is nothing left to resume.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import conformance
import model
import reference
from conformance.purpose import Purpose
from conformance.results import CaseResult
from conformance.targets.base import HarnessError
from model.verdict import Verdict

NAME: Final = "finished.ndjson"
"""The journal's file, beside the report."""
_VERSION = 1
_SOURCES = (".py", ".c")


def suite_version() -> str:
    """A digest of all that decides what a case does, but for the firmware and the purposes: our own sources."""
    total = hashlib.sha256()
    for package in (conformance, model, reference):
        root = Path(str(package.__file__)).parent
        for path in sorted(p for p in root.rglob("*") if p.suffix in _SOURCES):
            total.update(f"{root.name}/{path.relative_to(root)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def qemu_version() -> str:
    """The first line of `qemu-system-arm --version`; empty if there is none."""
    try:
        told = subprocess.run(["qemu-system-arm", "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return told.stdout.partition("\n")[0]


class Journal:
    """The journal of one output folder."""

    def __init__(self, out: Path, run: Mapping[str, object]) -> None:
        """`run` says what the cases of this run have in common: each may be reused only where all of it is the same."""
        self._out = out
        self._path = out / NAME
        self._run = {name: str(value) for name, value in run.items()}

    def begin(self) -> None:
        """Forget what an earlier run has finished."""
        self._path.write_text(json.dumps({"journal": _VERSION, "run": self._run}) + "\n", "utf-8")

    def resume(self, purposes: Mapping[str, Purpose]) -> list[CaseResult]:
        """What an earlier run has finished of these purposes, and what is still right; further cases are added to it.

        A case is run again if its purpose has changed, if a file of it is missing, or if its verdict was ERROR. Without
        a journal nothing is reused. Raises HarnessError if it is of another kind of run.
        """
        again = "leave out --resume to run all cases anew"
        if not self._path.exists():
            self.begin()
            return []
        try:
            header, *lines = self._path.read_bytes().splitlines(keepends=True)
            begun = json.loads(header)
            if begun["journal"] != _VERSION or not isinstance(begun["run"], dict):
                raise ValueError("another version")
        except (ValueError, KeyError, TypeError) as error:
            raise HarnessError(f"{self._path}: not the journal of a run ({error}); {again}") from error
        differ = [name for name in self._run | begun["run"] if self._run.get(name) != begun["run"].get(name)]
        if differ:
            found = [f"{name}: was {begun['run'].get(name)}, is {self._run.get(name)}" for name in differ]
            raise HarnessError(f"cannot resume {self._out}, its cases are of another run; {again}", found)
        whole = [line for line in lines if line.endswith(b"\n")]
        with self._path.open("r+b") as file:  # a line may be cut off where the run was ended
            file.truncate(len(header) + sum(map(len, whole)))
        found_cases = {case.case: case for case in (self._case(line, purposes) for line in whole) if case is not None}
        return list(found_cases.values())

    def _case(self, line: bytes, purposes: Mapping[str, Purpose]) -> CaseResult | None:
        """The case of a line, if it can be reused."""
        try:
            entry = json.loads(line)
            case = CaseResult.from_data(entry["case"])
            purpose = purposes.get(case.case)
            same = purpose is not None and entry["purpose"] == _digest(purpose)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HarnessError(f"{self._path}: a line of it is damaged ({error}); leave out --resume") from error
        there = all((self._out / name).is_file() for name in (case.trace, case.capture) if name)
        return case if same and there and case.verdict is not Verdict.ERROR else None

    def add(self, purpose: Purpose, case: CaseResult) -> None:
        """Note a case that has ended, and whose files are written."""
        entry: dict[str, Any] = {"purpose": _digest(purpose), "case": case.to_data()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def end(self) -> None:
        """The run is complete."""
        self._path.unlink(missing_ok=True)


def _digest(purpose: Purpose) -> str:
    return hashlib.sha256(json.dumps(purpose.document(), sort_keys=True).encode()).hexdigest()[:16]
