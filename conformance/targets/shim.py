"""Builds the virtual-time shim that goes in front of QEMU, once per version of its source."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from conformance.targets.base import HarnessError

SOURCE = Path(__file__).with_name("timeshim.c")
_ROOT = Path(__file__).resolve().parents[2]


def _cache() -> Path:
    if (_ROOT / "pyproject.toml").exists():
        return _ROOT / "build" / "shim"
    home = os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or tempfile.gettempdir()) / ".cache"
    return Path(home) / "scewl" / "shim"


CACHE = _cache()
"""In the checkout; for an installed package, in the user's cache."""
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


def build_shim(source: Path = SOURCE, cache: Path = CACHE, compiler: str = "gcc") -> Path:
    """Compile `source` into `cache` unless that very text was compiled before; return the shared library.

    Two processes may do this at the same time. Raises HarnessError if there is no compiler or it refuses the source.
    """
    digest = hashlib.sha256(" ".join(_FLAGS).encode() + source.read_bytes()).hexdigest()[:16]
    library = cache / f"{source.stem}-{digest}.so"
    if library.exists():
        return library
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=cache, suffix=".so.part")
    except OSError as error:
        raise HarnessError(f"cannot write to {cache}: {error.strerror}; make it writable") from error
    os.close(handle)
    try:
        command = [compiler, *_FLAGS, "-o", scratch, str(source), "-ldl", "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise HarnessError(f"{compiler} cannot compile {source.name}", done.stderr.splitlines()[:20])
        Path(scratch).replace(library)
    except FileNotFoundError as error:
        raise HarnessError(f"no C compiler `{compiler}` on PATH; install gcc (Debian: apt install gcc)") from error
    finally:
        Path(scratch).unlink(missing_ok=True)
    return library
