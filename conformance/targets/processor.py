"""One processor for a harness and its QEMU, which work in turn.

A message of 16 KB is handed over a thousand times, between QEMU's threads and from there to here. To wake a thread on
another processor, which sleeps, takes longer than most of what it then has to do: two firmwares exchange such a message
in 0.17 s of one processor, and in 0.29 s if the kernel may spread them over two. Programs that keep all processors busy
need none of this.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_libc = ctypes.CDLL(None)


@contextmanager
def one_processor() -> Iterator[None]:
    """Keep this thread, and the QEMUs that it starts meanwhile, on the processor that it is on.

    Where the system does not say which that is, or does not allow it, everything stays as it is, only slower.
    """
    before = os.sched_getaffinity(0)
    with suppress(OSError, ValueError):
        os.sched_setaffinity(0, {_libc.sched_getcpu()})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
