"""What an onlooker makes of a capture, frame by frame. These are the types; `conformance.sessions.track` fills them.

Nothing here is ever changed once it is made. What comes once or more in a frame is not frozen all the same: a frozen
dataclass takes five times as long to make, which was a fifth of a tracker's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from conformance.capture.frame import CapturedFrame
from conformance.wire.frames import Frame
from conformance.wire.handshake import HandshakeType, Message
from conformance.wire.records import ContentType, Malformed


class Protection(Enum):
    """What is known of a record's protection."""

    PLAIN = "plain"
    """Epoch 0."""
    OPENED = "opened"
    """Decrypted, and it authenticates."""
    SEALED = "sealed"
    """No secret of its session is known."""
    REFUSED = "refused"
    """The session's keys are known and it authenticates under none of them: forged or damaged."""


@dataclass(slots=True, unsafe_hash=True)
class SeenFragment:
    """A fragment of a handshake message in a record; its body is in the record's plaintext."""

    type: HandshakeType
    length: int
    """Bytes of the whole message's body."""
    message_seq: int
    offset: int
    size: int
    """Bytes of the body in this fragment; the message is whole in it if this is `length`."""
    completes: tuple[Message, ...]
    """The messages that are whole, and in order, with this fragment: mostly none or one."""
    retransmission_of: int
    """Number of the frame that first had all of these bytes; 0 if they are new."""
    contradicts: int
    """Number of the frame that had other bytes for the same place of the same message; 0 if none had."""
    frames: tuple[int, ...] = ()
    """Where it completes its own message and is not the whole of it: the numbers of the frames with the pieces, in the
    order of their offsets."""


@dataclass(slots=True, unsafe_hash=True)
class SeenRecord:
    """One DTLS record."""

    content_type: ContentType
    version: int
    epoch: int
    seq: int
    offset: int
    """Where its header begins in the datagram, bytes."""
    length: int
    """Bytes of the fragment on the wire."""
    protection: Protection
    plaintext: bytes
    """Empty if SEALED or REFUSED."""
    fragments: tuple[SeenFragment | Malformed, ...]
    """Of a handshake record whose plaintext is known."""
    replay_of: int
    """Number of the frame in which this sender's record of this epoch and sequence number came first; 0 if it is new.
    Another record under an old number counts too: `same` tells them apart."""
    same: bool
    """With `replay_of`: whether the bytes are the same."""


@dataclass(frozen=True, slots=True)
class SeenSession:
    """One handshake and what follows it. Two ClientHellos with one random, as the cookie exchange has them, are one."""

    number: int
    """From 1 on, in the order of their beginning in the capture."""
    client: int
    """SCEWL ids; the client is 0 if the capture began too late to tell."""
    server: int
    client_random: bytes
    """Empty if the capture began too late."""
    server_random: bytes
    suite: int
    """Number of the cipher suite; 0 while unknown."""
    decrypted: bool
    """Whether its secret is known."""


@dataclass(slots=True, unsafe_hash=True)
class SeenFrame:
    """One record of a capture, explained."""

    captured: CapturedFrame
    frame: Frame | None
    """The SCEWL frame; None if the bytes are not exactly one frame."""
    problem: str
    """Why not, else empty."""
    records: tuple[SeenRecord | Malformed, ...]
    """Of a DTLS datagram: a radio or SSS-wire frame neither from nor to the FAA. Else empty."""
    session: SeenSession | None
    """As it stood after this frame. None if it belongs to none."""
    from_client: bool | None
    """Whether the session's client sent it; None if that cannot be told."""
    flight: int
    """1 to 6 as the protocol page numbers flights; 0 if no record is of a flight, or it cannot be told."""
    retransmission_of: int
    """Number of the frame of which this is a retransmission: all of its handshake content came before. Else 0."""
    notes: tuple[str, ...]
    """What is worth saying, in the field's terms: `retransmission of frame 12`, `record 1/7 replays frame 9`."""
