"""The compiled search: made by gcc for one system, loaded, and removed again."""

from __future__ import annotations

import _ctypes
import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from model.explore.layout import Words

SOURCE = Path(__file__).with_name("explorer.c")
COMMAND = ("gcc", "-std=c11", "-O2", "-march=native", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra")
NONE = 2**32 - 1
"""No state."""


class EngineError(RuntimeError):
    """The search could not be made or could not run: no gcc, no memory, no thread."""


class Status(IntEnum):
    """How a slice of work ended, as `explorer.c` numbers it."""

    MORE = 0
    DONE = 1
    FULL = 2
    WRONG = 3
    FAILED = 4


class Engine:
    """What `explorer.c` exports, with Python's types. A context manager: its memory and library go at the end."""

    def __init__(self, constants: str, system: str, words: int, actions: int) -> None:
        self._words = words
        self._actions = actions
        with tempfile.TemporaryDirectory(prefix="explore-") as folder:
            self._library = ctypes.CDLL(str(_compile(Path(folder), constants, system)))
        self._library.explorer_least_memory.restype = ctypes.c_uint64
        for name in ("first", "unreached", "find", "successors"):
            getattr(self._library, f"explorer_{name}").restype = ctypes.c_uint32
        for name in ("wrong", "reaches"):
            getattr(self._library, f"explorer_{name}").restype = ctypes.c_bool
        self.least_memory: int = self._library.explorer_least_memory()
        """Bytes that do not suffice, whatever the number of states."""
        self._steps = (ctypes.c_uint64 * (words * max(1, actions)))()
        self._taken_by = (ctypes.c_uint32 * max(1, actions))()

    def close(self) -> None:
        """Give everything back."""
        self._library.explorer_close()
        _ctypes.dlclose(self._library._handle)

    def open(self, memory: int, jobs: int, initial: Words) -> None:
        """Begin at a state, with at most `memory` bytes."""
        if memory <= self.least_memory:
            raise EngineError(f"{memory} bytes of memory are too few: this system needs more than {self.least_memory}")
        self._good(self._library.explorer_open(ctypes.c_uint64(memory), jobs, self._packed(initial)))

    def search(self, seconds: float) -> Status:
        """Search on for so long."""
        return self._good(self._library.explorer_search(ctypes.c_double(seconds)))

    def sweep(self, seconds: float) -> Status:
        """Go on for so long with finding out which states reach the goals."""
        return self._good(self._library.explorer_sweep(ctypes.c_double(seconds)))

    def progress(self) -> tuple[int, int, int, int]:
        """States, states not yet expanded, complete levels, bytes."""
        out = (ctypes.c_uint64 * 4)()
        self._library.explorer_progress(out)
        return out[0], out[1], out[2], out[3]

    def taken(self) -> list[int]:
        """How often each action was taken."""
        out = (ctypes.c_uint64 * max(1, self._actions))()
        self._library.explorer_taken(out)
        return list(out)[: self._actions]

    def first(self, question: int) -> int | None:
        """The first state for which the answer to a question is yes."""
        return _some(self._library.explorer_first(question))

    def unreached(self, goal: int) -> int | None:
        """The first state that does not reach a goal."""
        return _some(self._library.explorer_unreached(goal))

    def reaches(self, index: int, goal: int) -> bool:
        """Whether a state reaches a goal."""
        return bool(self._library.explorer_reaches(ctypes.c_uint32(index), goal))

    def wrong(self) -> tuple[int, int, int, int] | None:
        """The first value out of its range since the last call: state, action, variable, value."""
        out = (ctypes.c_int64 * 4)()
        return (out[0], out[1], out[2], out[3]) if self._library.explorer_wrong(out) else None

    def successors(self, words: Words) -> list[tuple[int, Words]]:
        """All steps from a state, by their actions."""
        n = self._library.explorer_successors(self._packed(words), self._steps, self._taken_by)
        steps = self._steps[: n * self._words]
        pairs = [(self._taken_by[i], tuple(steps[i * self._words : (i + 1) * self._words])) for i in range(n)]
        return sorted(pairs)

    def find(self, words: Words) -> int | None:
        """The index of a state that was reached."""
        return _some(self._library.explorer_find(self._packed(words)))

    def state(self, index: int) -> tuple[Words, int | None]:
        """A state's words, and the state from which it was found first."""
        out, parent = (ctypes.c_uint64 * self._words)(), ctypes.c_uint32()
        self._library.explorer_state(ctypes.c_uint32(index), out, ctypes.byref(parent))
        return tuple(out), _some(parent.value)

    def _packed(self, words: Sequence[int]) -> ctypes.Array[ctypes.c_uint64]:
        return (ctypes.c_uint64 * self._words)(*words)

    @staticmethod
    def _good(status: int) -> Status:
        if status == Status.FAILED:
            raise EngineError("the search got no memory or no thread from the operating system")
        return Status(status)


def _some(index: int) -> int | None:
    return None if index == NONE else index


def _compile(folder: Path, constants: str, system: str) -> Path:
    (folder / "constants.h").write_text(constants)
    (folder / "system.h").write_text(system)
    library = folder / "explorer.so"
    try:
        done = subprocess.run(
            [*COMMAND, f"-I{folder}", str(SOURCE), "-o", str(library)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise EngineError("exploring needs gcc, which is not installed (Debian: apt install gcc)") from None
    if done.returncode:
        raise EngineError(f"gcc did not compile the search:\n{done.stderr[:4000]}")
    return library
