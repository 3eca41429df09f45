"""Session secrets of a firmware, out of its memory: between two firmwares nobody else has them.

A controller that has just sent its Finished holds the master secret somewhere in SRAM. Each place where it can be is
tried on that Finished, which opens under the right one only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from conformance.wire.frames import Frame
from conformance.wire.handshake import ClientHello, Fragment, Message, ServerHello, parse_fragments, parse_message
from conformance.wire.records import ContentType, Record, parse_datagram
from conformance.wire.secrets import MASTER_SIZE, RSA_SUITES, SUITES, SessionKeys

SRAM: Final = 0x2000_0000
SRAM_SIZE: Final = 0x10000
_ALIGNED: Final = 4
_FEW: Final = 4
_DISTINCT: Final = 24
"""Different bytes that 48 random ones have at the very least: fewer come once in 10^9 secrets."""


class NotThere(LookupError):
    """A firmware has sent a Finished, and its memory does not show the secret behind it."""


class Handshakes:
    """Follows the handshakes between firmwares on the radio, and finds their secrets.

    What was sent last is not always what the other one has answered: frames are late, come twice, and devices lose
    power. So the last few hellos of each pair count.
    """

    def __init__(self) -> None:
        self._hellos: dict[tuple[int, int], deque[bytes]] = {}
        """Client randoms, by client and server."""
        self._answers: dict[tuple[int, int], deque[tuple[bytes, int]]] = {}
        """Server randoms and cipher suites, by client and server."""
        self._keys: dict[tuple[int, int], deque[SessionKeys]] = {}
        """Of sessions whose secret is known, by client and server."""
        self._places: dict[int, None] = {}
        """Where secrets lay: mostly, the next one lies there, too, also in another device with the same firmware."""

    def see(self, frame: Frame, memory: Callable[[], bytes]) -> tuple[bytes, bytes] | None:
        """Take a frame that a firmware has just sent; client random and master secret, if it ends a client's flight 5
        and they are new. `memory` gives the sender's SRAM. Raises NotThere."""
        pair, back = (frame.source, frame.target), (frame.target, frame.source)
        for record in parse_datagram(frame.payload):
            if not isinstance(record, Record) or record.content_type is not ContentType.HANDSHAKE:
                continue
            if record.epoch:
                return self._finished(pair, record, memory)
            for fragment in parse_fragments(record.fragment):
                if not isinstance(fragment, Fragment) or not fragment.whole:
                    continue
                body = parse_message(Message(fragment.type, fragment.message_seq, fragment.body))
                if isinstance(body, ClientHello):
                    _note(self._hellos, pair, body.random)
                elif isinstance(body, ServerHello):
                    _note(self._answers, back, (body.random, body.suite))
        return None

    def _finished(
        self, pair: tuple[int, int], finished: Record, memory: Callable[[], bytes]
    ) -> tuple[bytes, bytes] | None:
        as_server = self._keys.get((pair[1], pair[0]), ())
        if any(keys.open(finished, from_client=False) is not None for keys in as_server):
            return None  # flight 6
        if any(keys.open(finished, from_client=True) is not None for keys in self._keys.get(pair, ())):
            return None  # flight 5 again
        if pair not in self._hellos or pair not in self._answers:
            return None  # the peer is no firmware, and says its secret itself
        held = memory()
        for place in _places(held, self._places):
            master = held[place : place + MASTER_SIZE]
            if len(set(master)) < _DISTINCT:
                continue
            for client_random in self._hellos[pair]:
                for server_random, number in self._answers[pair]:
                    suite = SUITES.get(number) or RSA_SUITES.get(number)
                    if suite is None:
                        continue
                    keys = SessionKeys.derive(suite, master, client_random, server_random)
                    if keys.open(finished, from_client=True) is not None:
                        self._places[place] = None
                        _note(self._keys, pair, keys)
                        return client_random, master
        raise NotThere


T = TypeVar("T")


def _note(lists: dict[tuple[int, int], deque[T]], pair: tuple[int, int], value: T) -> None:
    """Put a value before the others of its pair, and forget the oldest."""
    known = lists.setdefault(pair, deque(maxlen=_FEW))
    if value not in known:
        known.appendleft(value)


def _places(memory: bytes, known: Iterable[int]) -> Iterator[int]:
    yield from tuple(known)
    yield from range(0, len(memory) - MASTER_SIZE + 1, _ALIGNED)
