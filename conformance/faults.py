"""What a link does to DTLS datagrams on purpose: an exact schedule, never a rate."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.wire.handshake import (
    ClientHello,
    Fragment,
    HandshakeType,
    Message,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import ContentType, Record, parse_datagram

_MOST_PAIRS = 100_000
"""Pairs of ids of which it is remembered who is whose client."""
FLIGHT_OF = {
    HandshakeType.HELLO_VERIFY_REQUEST: 2,
    HandshakeType.SERVER_HELLO: 4,
    HandshakeType.SERVER_KEY_EXCHANGE: 4,
    HandshakeType.CERTIFICATE_REQUEST: 4,
    HandshakeType.SERVER_HELLO_DONE: 4,
    HandshakeType.CLIENT_KEY_EXCHANGE: 5,
    HandshakeType.CERTIFICATE_VERIFY: 5,
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a datagram is, as far as its plaintext tells: `flight` 1 to 6 (0: none), or a `record` kind; `first` if it
    begins a transmission of its flight."""

    flight: int = 0
    record: str = ""
    first: bool = True


class Traffic:
    """Tells flights apart on one medium; remembers who is whose client."""

    def __init__(self) -> None:
        self._clients: dict[tuple[int, int], bool] = {}

    def content(self, source: int, target: int, datagram: bytes) -> Content:
        """What one datagram is."""
        record = next(iter(parse_datagram(datagram)), None)
        if not isinstance(record, Record):
            return Content()
        client = self._clients.get((source, target), False)
        match record.content_type:
            case ContentType.APPLICATION_DATA:
                return Content(record="data")
            case ContentType.ALERT:
                return Content(record="close" if record.epoch else "alert")
            case ContentType.CHANGE_CIPHER_SPEC:
                return Content(flight=5, first=False) if client else Content(flight=6)
            case ContentType.HANDSHAKE:
                if record.epoch:
                    return Content(flight=5 if client else 6, first=False)
                return self._handshake(source, target, record, client)
        raise AssertionError(record.content_type)

    def _handshake(self, source: int, target: int, record: Record, client: bool) -> Content:
        fragment = next(iter(parse_fragments(record.fragment)), None)
        if not isinstance(fragment, Fragment):
            return Content()
        if fragment.type is HandshakeType.CLIENT_HELLO:
            hello = parse_message(Message(fragment.type, fragment.message_seq, fragment.body))
            self._clients[source, target], self._clients[target, source] = True, False
            if len(self._clients) > _MOST_PAIRS:  # whoever lies about ids is forgotten first
                del self._clients[next(iter(self._clients))]
                del self._clients[next(iter(self._clients))]
            return Content(flight=3 if isinstance(hello, ClientHello) and hello.cookie else 1)
        if fragment.type is HandshakeType.CERTIFICATE:
            return Content(flight=5, first=fragment.offset == 0) if client else Content(flight=4, first=False)
        flight = FLIGHT_OF.get(fragment.type, 0)
        first = fragment.offset == 0 and fragment.type in (
            HandshakeType.SERVER_HELLO,
            HandshakeType.HELLO_VERIFY_REQUEST,
        )
        return Content(flight=flight, first=first)


@dataclass
class Fault:
    """One entry of the schedule. The `nth` transmission of a flight, or the `nth` record, since the entry was made, and
    `times - 1` after it; of sender `by`, or of any (0), for `to`, or for any (0). What an earlier entry strikes is not
    counted."""

    action: str
    """`lose`, `duplicate`, `delay`, `swap`, or `cut`: the second half of each of its datagrams is missing."""
    flight: int = 0
    record: str = ""
    nth: int = 1
    by: int = 0
    ms: int = 0
    times: int = 1
    to: int = 0
    _count: int = field(default=0, repr=False)

    def strikes(self, source: int, content: Content, target: int = 0) -> bool:
        """Whether it applies to this datagram; counts it."""
        if self.by not in (0, source) or self.to not in (0, target):
            return False
        if (content.flight, content.record) != (self.flight, self.record):
            return False
        if content.first:
            self._count += 1
        return self.nth <= self._count < self.nth + self.times
