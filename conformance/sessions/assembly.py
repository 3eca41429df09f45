"""Reassembly of one sender's handshake messages in one session, as an onlooker does it (RFC 6347, section 4.2.3).

Unlike a receiver's assembler it remembers which frame brought which bytes, so that retransmissions and contradictions
can be named, whole messages included.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from conformance.wire.handshake import Fragment, HandshakeType, Message

MAX_BYTES: Final = 1 << 16
"""Bytes of bodies that a flow holds, messages that came out included."""
MAX_MESSAGES: Final = 32
"""Messages that a flow holds; a full handshake has at most 9 from one side."""
MAX_PIECES: Final = 512
"""Pieces, from different frames, that a flow holds."""
MAX_AHEAD: Final = 16
"""Messages beyond the next one that a flow holds."""
_HELLOS: Final = frozenset({HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO})
_VERIFY: Final = HandshakeType.HELLO_VERIFY_REQUEST


class Standing(Enum):
    """How a fragment stands to a flow."""

    KNOWN = "all of its bytes came before"
    NEW = "some of its bytes did not"
    FOREIGN = "other bytes came before in its place"


_KNOWN_, _NEW_, _FOREIGN_ = Standing.KNOWN, Standing.NEW, Standing.FOREIGN


@dataclass(slots=True)
class Placed:
    """What became of a fragment; the fields are those of SeenFragment."""

    completes: tuple[Message, ...] = ()
    retransmission_of: int = 0
    contradicts: int = 0
    frames: tuple[int, ...] = ()
    refused: str = ""
    """Why it was not held, else empty."""


_NEW: Final = Placed()


class _Gathering:
    """A message: its bytes so far, and in which frame each piece came first. Pieces are in order and do not overlap."""

    __slots__ = ("body", "first", "missing", "out", "pieces", "type")

    def __init__(self, fragment: Fragment, number: int) -> None:
        self.type = fragment.type
        self.first = number
        self.out = False
        """Whether it came out."""
        if len(fragment.body) == fragment.length:
            self.body: bytes | bytearray = fragment.body
            self.pieces = [(0, fragment.length, number)]
            self.missing = 0
        else:
            self.body = bytearray(fragment.length)
            self.pieces = []
            self.missing = fragment.length

    def frames(self, fragment: Fragment) -> tuple[int, ...]:
        """Where its pieces are; empty if this fragment is the whole of it."""
        return () if len(fragment.body) == fragment.length else tuple(number for _, _, number in self.pieces)

    def standing(self, fragment: Fragment) -> Standing:
        """How a fragment of this type and length stands to it."""
        begin, end = fragment.offset, fragment.offset + len(fragment.body)
        covered = 0
        for start, stop, _ in self.pieces:
            low, high = max(start, begin), min(stop, end)
            if low < high:
                if self.body[low:high] != fragment.body[low - begin : high - begin]:
                    return _FOREIGN_
                covered += high - low
        return _KNOWN_ if covered == end - begin else _NEW_

    def add(self, fragment: Fragment, number: int) -> Placed:
        """Take a fragment of this type and length."""
        begin, end = fragment.offset, fragment.offset + len(fragment.body)
        covered, latest, gaps, at = 0, 0, [], begin
        for start, stop, where in self.pieces:
            low, high = max(start, begin), min(stop, end)
            if low >= high:
                continue
            if self.body[low:high] != fragment.body[low - begin : high - begin]:
                return Placed(contradicts=where)
            if at < low:
                gaps.append((at, low, number))
            at = high
            covered += high - low
            latest = max(latest, where)
        if covered == end - begin:
            return Placed(retransmission_of=latest or self.first)
        if at < end:
            gaps.append((at, end, number))
        assert isinstance(self.body, bytearray)
        self.body[begin:end] = fragment.body
        self.missing -= end - begin - covered
        self.pieces = sorted(self.pieces + gaps)
        if not self.missing:
            self.body = bytes(self.body)
        return _NEW


class Flow:
    """One sender's handshake messages in one session."""

    __slots__ = ("_begun", "_bytes", "_held", "_pieces", "_verify", "lost", "messages", "next_seq")

    def __init__(self) -> None:
        self.next_seq: int | None = None
        """The `message_seq` of the next message to come out; None before the first fragment."""
        self.messages: list[Message] = []
        """What came out so far, without HelloVerifyRequests."""
        self.lost = False
        """Whether a message was not seen whole, though the other side went on."""
        self._held: dict[int, _Gathering] = {}
        self._verify: dict[bytes, int] = {}
        self._begun = False
        """Whether a message other than a hello came out."""
        self._bytes = self._pieces = 0

    @property
    def held(self) -> int:
        """Bytes and pieces that are held."""
        return sum(map(len, self._verify)) + sum(len(held.body) + len(held.pieces) for held in self._held.values())

    def standing(self, fragment: Fragment) -> Standing:
        """How a fragment stands to what is held, without taking it."""
        held = self._held.get(fragment.message_seq)
        if fragment.type is _VERIFY:
            return _KNOWN_ if fragment.body in self._verify else _NEW_
        if held is None:
            return _NEW_
        if held.type != fragment.type or len(held.body) != fragment.length:
            return _FOREIGN_
        return held.standing(fragment)

    def feed(self, fragment: Fragment, number: int) -> Placed:
        """Take a fragment from frame `number`."""
        if fragment.type is _VERIFY:
            return self._feed_verify(fragment, number)
        seq = fragment.message_seq
        if self.next_seq is None:
            self.next_seq = seq
        held = self._held.get(seq)
        if held is not None:
            if held.type != fragment.type or len(held.body) != fragment.length:
                return Placed(contradicts=held.first)
            if held.missing and self._pieces + 2 > MAX_PIECES:
                return Placed(refused=f"its flow came in more than {MAX_PIECES} pieces")
            before = len(held.pieces)
            placed = held.add(fragment, number)
            self._pieces += len(held.pieces) - before
            if placed is not _NEW:
                return placed
        else:
            if why := self._no_room(fragment):
                return Placed(refused=why)
            held = self._held[seq] = _Gathering(fragment, number)
            self._bytes += fragment.length
            if held.missing:
                held.add(fragment, number)
            self._pieces += len(held.pieces)
        if held.missing:
            return _NEW
        if seq != self.next_seq and (seq < self.next_seq or (fragment.type in _HELLOS and not self._begun)):
            self.next_seq = max(seq, self.next_seq)
            if seq < self.next_seq:  # a hello that others overtook
                return Placed((self._out(seq, held),), frames=held.frames(fragment))
        return Placed(self._whole(), frames=held.frames(fragment))

    def adopt(self, message: Message, other: Flow) -> None:
        """Take over a hello that came out of another session's flow."""
        held = other._held.get(message.message_seq)
        if held is None or message.message_seq in self._held:
            return
        self._held[message.message_seq] = held
        self._bytes += len(message.body)
        self._pieces += len(held.pieces)
        self.messages.append(message)
        self.next_seq = message.message_seq + 1

    def settle(self, reached: int = 0) -> tuple[Message, ...]:
        """The other side has answered: what is missing was lost on the way to the onlooker, or never will be whole.

        Messages do not wait for it any more. Return those that waited. `reached` is the least that is next now.
        """
        if self.next_seq is None:
            return ()
        whole = [(seq, held) for seq, held in sorted(self._held.items()) if seq >= self.next_seq and not held.missing]
        end = max(reached, self.next_seq, whole[-1][0] + 1 if whole else 0)
        self.lost |= len(whole) != end - self.next_seq
        self.next_seq = end
        return tuple(self._out(seq, held) for seq, held in whole if not held.out)

    def _whole(self) -> tuple[Message, ...]:
        """The messages that are next and whole; they come out."""
        out: list[Message] = []
        assert self.next_seq is not None
        while (held := self._held.get(self.next_seq)) is not None and not held.missing:
            if not held.out:
                out.append(self._out(self.next_seq, held))
            self.next_seq += 1
        return tuple(out)

    def _out(self, seq: int, held: _Gathering) -> Message:
        held.out = True
        self._begun |= held.type not in _HELLOS
        assert isinstance(held.body, bytes)
        message = Message(held.type, seq, held.body)
        self.messages.append(message)
        return message

    def _no_room(self, fragment: Fragment) -> str:
        """Why a new message cannot be held, else empty."""
        assert self.next_seq is not None
        if self._bytes + fragment.length > MAX_BYTES:
            return f"its flow has more than {MAX_BYTES} bytes"
        if len(self._held) >= MAX_MESSAGES:
            return f"its flow has more than {MAX_MESSAGES} messages"
        if fragment.message_seq > self.next_seq + MAX_AHEAD:
            return f"message {fragment.message_seq} is too far ahead of {self.next_seq}"
        return ""

    def _feed_verify(self, fragment: Fragment, number: int) -> Placed:
        """HelloVerifyRequests are stateless: any number may come under one `message_seq`, each a message of its own."""
        if not fragment.whole:
            return _NEW
        earlier = self._verify.get(fragment.body)
        if earlier is not None:
            return Placed(retransmission_of=earlier)
        if len(self._verify) < MAX_MESSAGES and self._bytes + fragment.length <= MAX_BYTES:
            self._verify[fragment.body] = number
            self._bytes += fragment.length
        return Placed((Message(fragment.type, fragment.message_seq, fragment.body),))
