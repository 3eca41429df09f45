"""Key pairs for devices, made before they are asked for, in a thread of its own, from the system's randomness."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable

from reference.authority import PrivateKey, new_key


class KeyPool:
    """At most so many keys in advance. When they run out, a key is made on the spot."""

    def __init__(self, size: int, make: Callable[[bytes], PrivateKey] = new_key) -> None:
        """Start to make keys; `size` is at least 1. `make` turns 32 random bytes into one."""
        self._make = make
        self.made_on_the_spot = 0
        self._ready: queue.Queue[PrivateKey] = queue.Queue(size)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="keys", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """How many are ready."""
        return self._ready.qsize()

    def take(self) -> PrivateKey:
        """A key that nobody else gets. Never waits for the thread."""
        try:
            return self._ready.get_nowait()
        except queue.Empty:
            self.made_on_the_spot += 1
            return self._one()

    def close(self) -> None:
        """Make no more; those that are ready are dropped."""
        self._closing.set()
        while self._thread.is_alive():
            while not self._ready.empty():
                self._ready.get_nowait()  # the thread may be waiting for room
            self._thread.join(0.05)

    def _fill(self) -> None:
        while not self._closing.is_set():
            self._ready.put(self._one())

    def _one(self) -> PrivateKey:
        return self._make(secrets.token_bytes(32))
