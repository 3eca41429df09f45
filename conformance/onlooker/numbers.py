"""Record numbers as proof that a capture lost frames: a sender leaves none out (RFC 6347, section 4.1)."""

from __future__ import annotations

from conformance.wire.handshake import Fragment, HandshakeType, parse_fragments
from conformance.wire.records import ContentType, Record, parse_datagram

RANDOM = slice(2, 34)
"""Where the random stands in a ClientHello and in a ServerHello (RFC 5246, section 7.4.1)."""
MOST_PEERS = 4_096


class Numbers:
    """The records that one controller sent, by peer."""

    def __init__(self) -> None:
        self._next: dict[int, dict[int, int]] = {}
        """By peer and epoch, the number after the last one seen."""
        self._random: dict[int, bytes] = {}
        """By peer, the random of the hello that began the numbering."""

    def gaps(self, to: int, datagram: bytes) -> list[str]:
        """The gaps just before the records of this datagram, in words."""
        found = []
        for record in parse_datagram(datagram):
            if not isinstance(record, Record):
                break
            first = self._first(record)
            if first is not None and first.type is HandshakeType.HELLO_VERIFY_REQUEST:
                continue  # numbered as the ClientHello that it answers (RFC 6347, section 4.2.1)
            if first is not None and first.type in (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO):
                self._begin(to, record, first)
            numbers = self._next.get(to)
            if numbers is None:
                continue
            expected = numbers.get(record.epoch, 0)
            if record.seq > expected:
                numbers_text = f"{record.epoch}/{expected}"
                if record.seq > expected + 1:
                    numbers_text += f" to {record.epoch}/{record.seq - 1}"
                found.append(f"its records {numbers_text} to {to} are missing")
            numbers[record.epoch] = max(expected, record.seq + 1)
        return found

    def _first(self, record: Record) -> Fragment | None:
        if record.epoch or record.content_type is not ContentType.HANDSHAKE:
            return None
        fragment = parse_fragments(record.fragment)[0]
        return fragment if isinstance(fragment, Fragment) and fragment.offset == 0 else None

    def _begin(self, to: int, record: Record, hello: Fragment) -> None:
        """A hello that was never seen begins a session, and its numbering. A server begins at the client's number."""
        random = hello.body[RANDOM]
        if self._random.get(to) == random:
            return
        if len(self._random) >= MOST_PEERS:
            self._random.clear()
            self._next.clear()
        self._random[to] = random
        self._next[to] = {0: record.seq}
