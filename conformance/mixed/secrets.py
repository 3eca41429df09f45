"""Session secrets of a firmware, out of its memory: between two firmwares nobody else has them.

A controller that has just sent its Finished holds the master secret somewhere in SRAM. Each place where it can be is
tried on that Finished, which opens under the right one only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from conformance.wire.frames import Frame
from conformance.wire.handshake import ClientHello, Fragment, Message, ServerHello, parse_fragments, parse_message
from conformance.wire.records import ContentType, Record, parse_datagram
from conformance.wire.secrets import MASTER_SIZE, RSA_SUITES, SUITES, SessionKeys

SRAM: Final = 0x2000_0000
SRAM_SIZE: Final = 0x10000
_ALIGNED: Final = 4
_DISTINCT: Final = 24
"""Different bytes that 48 random ones have at the very least: fewer come once in 10^9 secrets."""


class Handshakes:
    """Follows the handshakes between controllers on the radio, as far as their secrets need it."""

    def __init__(self) -> None:
        self._hellos: dict[tuple[int, int], bytes] = {}
        self._answers: dict[tuple[int, int], tuple[bytes, int]] = {}
        self._places: dict[int, None] = {}
        """Where secrets lay: mostly, the next one lies there, too, also in another device with the same firmware."""

    def see(self, frame: Frame) -> Record | None:
        """Take a frame that went out; its record if that is the Finished of a client."""
        pair, back = (frame.source, frame.target), (frame.target, frame.source)
        for record in parse_datagram(frame.payload):
            if not isinstance(record, Record) or record.content_type is not ContentType.HANDSHAKE:
                continue
            if record.epoch:
                return record if pair in self._hellos and back in self._answers else None
            for fragment in parse_fragments(record.fragment):
                if not isinstance(fragment, Fragment) or not fragment.whole:
                    continue
                body = parse_message(Message(fragment.type, fragment.message_seq, fragment.body))
                if isinstance(body, ClientHello):
                    self._hellos[pair] = body.random
                    self._hellos.pop(back, None)
                elif isinstance(body, ServerHello):
                    self._answers[pair] = (body.random, body.suite)
        return None

    def secret(self, frame: Frame, finished: Record, memory: Callable[[], bytes]) -> tuple[bytes, bytes] | None:
        """Client random and master secret of the session whose client has just sent this Finished; None if `memory`,
        the client's SRAM, does not hold it."""
        client_random = self._hellos[frame.source, frame.target]
        server_random, number = self._answers[frame.target, frame.source]
        suite = SUITES.get(number) or RSA_SUITES.get(number)
        if suite is None:
            return None
        held = memory()
        for place in _places(held, self._places):
            master = held[place : place + MASTER_SIZE]
            if len(set(master)) < _DISTINCT:
                continue
            keys = SessionKeys.derive(suite, master, client_random, server_random)
            if keys.open(finished, from_client=True) is not None:
                self._places[place] = None
                return client_random, master
        return None


def _places(memory: bytes, known: Iterable[int]) -> Iterator[int]:
    yield from tuple(known)
    yield from range(0, len(memory) - MASTER_SIZE + 1, _ALIGNED)
