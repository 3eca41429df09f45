"""What the mutator begins with: captures of many kinds, and the secrets of their sessions."""

from __future__ import annotations

from dataclasses import dataclass

import capture_kinds
from fuzz_reseal import HASHES, Secrets

from conformance.capture import CapturedFrame
from conformance.wire.frames import HEADER as FRAME_HEADER
from conformance.wire.handshake import ClientHello, Fragment, HandshakeType, Message, ServerHello, parse_fragments
from conformance.wire.handshake import parse_message as parse
from conformance.wire.records import ContentType, Record, parse_datagram
from model.alphabet import Link

NAMES = ("register", "unregistered-0", "registered-964", "broadcast", "foreign-client", "glare-lower", "close-lost",
         "replayed-session", "lost-flight-4-thrice", "aes-128", "aes-256", "fragmented", "fragments-twice", "rsa",
         "rsa-ems", "rsa-etm", "rsa-ems-etm", "rsa-fragmented", "rare", "rare")  # fmt: skip
"""Of `capture_kinds.KINDS`."""
ENCRYPT_THEN_MAC = 22


@dataclass(frozen=True)
class Seed:
    """A capture to damage."""

    name: str
    frames: tuple[CapturedFrame, ...]
    secrets: tuple[tuple[bytes, bytes], ...]
    sealed: frozenset[bytes]
    """Those of its frames that have a record above epoch 0."""
    sessions: tuple[Secrets, ...]
    context: str
    """What the capture says of itself; empty for nothing."""
    client: int
    """SCEWL id of the client of its first session."""
    server_key: bytes


def corpus() -> list[Seed]:
    """All seeds; the same in every run."""
    return [_seed(name) for name in NAMES]


def _seed(name: str) -> Seed:
    made = capture_kinds.made(name)
    masters = dict(made.secrets)
    sessions: dict[bytes, Secrets] = {}
    hellos: dict[frozenset[int], bytes] = {}
    client = 0
    for frame in made.frames:
        _, target, source, _ = FRAME_HEADER.unpack_from(frame.frame.ljust(FRAME_HEADER.size, b"\0"))
        for hello in _hellos(frame.frame[FRAME_HEADER.size :]):
            pair = frozenset((target, source))
            if isinstance(hello, ClientHello):
                hellos[pair] = hello.random
                client = client or source
            elif pair in hellos and hellos[pair] in masters and hello.suite in HASHES:
                random = hellos[pair]
                etm = ENCRYPT_THEN_MAC in hello.extensions
                sessions[random] = Secrets(hello.suite, masters[random], random, hello.random, etm)
    sealed = frozenset(frame.frame for frame in made.frames if _is_sealed(frame))
    context = made.context.text() if made.context else ""
    return Seed(name, made.frames, made.secrets, sealed, tuple(sessions.values()), context, client, made.server_key)


def _is_sealed(frame: CapturedFrame) -> bool:
    records = [] if frame.link is Link.CPU else parse_datagram(frame.frame[FRAME_HEADER.size :])
    return any(isinstance(record, Record) and record.epoch for record in records)


def _hellos(datagram: bytes) -> list[ClientHello | ServerHello]:
    found: list[ClientHello | ServerHello] = []
    for record in parse_datagram(datagram):
        if not isinstance(record, Record) or record.epoch or record.content_type is not ContentType.HANDSHAKE:
            continue
        for fragment in parse_fragments(record.fragment):
            if isinstance(fragment, Fragment) and fragment.whole and fragment.type in _HELLO_TYPES:
                hello = parse(Message(fragment.type, fragment.message_seq, fragment.body))
                if isinstance(hello, ClientHello | ServerHello):
                    found.append(hello)
    return found


_HELLO_TYPES = (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)
