"""Datagrams as trees of vectors: lengths follow what is changed inside, unless one is told to lie."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

RECORD_HEADER, HANDSHAKE_HEADER = 13, 12
HANDSHAKE = 22

Seal = Callable[[bytes, bytes], bytes]
"""From a record's header (11 bytes, without the length) and its plaintext to its fragment."""

# A shape says how bytes are cut: a number is so many bytes, ("v", n, inner) a vector whose length takes n bytes, and a
# list of shapes inside a vector repeats to its end. What does not fit, and what is left, is one leaf.
Shape = int | tuple[str, int, list["Shape"]]
EXTENSIONS: Shape = ("v", 2, [2, ("v", 2, [("v", 2, [2])])])
HASHES: Shape = ("v", 2, [2])
SHAPES: dict[int, list[Shape]] = {
    1: [2, 32, ("v", 1, []), ("v", 1, []), ("v", 2, [2]), ("v", 1, [1]), EXTENSIONS],
    2: [2, 32, ("v", 1, []), 2, 1, EXTENSIONS],
    3: [2, ("v", 1, [])],
    4: [4, ("v", 2, [])],
    11: [("v", 3, [("v", 3, [])])],
    12: [1, 2, ("v", 1, []), 2, ("v", 2, [])],
    13: [("v", 1, [1]), HASHES, ("v", 2, [("v", 2, [])])],
    15: [2, ("v", 2, [])],
    16: [("v", 1, [])],
}
"""Bodies by handshake type, RFC 5246, section 7.4, and RFC 6347, section 4.2."""


@dataclass(eq=False)
class Node:
    """A head, a length of `width` bytes (none if 0), and parts. `lie` stands for the length."""

    head: bytes = b""
    width: int = 0
    parts: list[Node] = field(default_factory=list)
    lie: int | None = None

    def encode(self) -> bytes:
        body = b"".join(part.encode() for part in self.parts)
        if not self.width:
            return self.head + body
        return self.head + _number(len(body) if self.lie is None else self.lie, self.width) + body


@dataclass(eq=False)
class HandshakeNode(Node):
    """A fragment: head is type and message_seq (3 bytes); `lie` stands for the message's length."""

    offset: int = 0
    total: int | None = None
    """Bytes of the whole message's body if this is a part of it."""
    size_lie: int | None = None

    def encode(self) -> bytes:
        body = b"".join(part.encode() for part in self.parts)
        total = len(body) if self.total is None else self.total
        length = _number(total if self.lie is None else self.lie, 3)
        size = _number(len(body) if self.size_lie is None else self.size_lie, 3)
        return self.head[:1] + length + self.head[1:] + _number(self.offset, 3) + size + body


@dataclass(eq=False)
class RecordNode(Node):
    """A record: head is the first 11 bytes of its header. With `seal` its parts are the plaintext."""

    seal: Seal | None = None

    def encode(self) -> bytes:
        body = b"".join(part.encode() for part in self.parts)
        if self.seal is not None:
            body = self.seal(self.head, body)
        return self.head + _number(len(body) if self.lie is None else self.lie, 2) + body


def _number(value: int, width: int) -> bytes:
    return (value % (1 << 8 * width)).to_bytes(width, "big")


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for part in node.parts:
        yield from walk(part)


def datagram_tree(data: bytes, open_record: Callable[[bytes, bytes], tuple[bytes, Seal] | None]) -> Node:
    """The tree of a datagram; it encodes to the same bytes, but for what is sealed anew.

    `open_record` takes a sealed record's header (13 bytes) and fragment and gives the plaintext and what seals it.
    """
    root, at = Node(), 0
    while len(data) - at >= RECORD_HEADER:
        header = data[at : at + RECORD_HEADER]
        kind, epoch, length = header[0], int.from_bytes(header[3:5], "big"), int.from_bytes(header[11:], "big")
        fragment = data[at + RECORD_HEADER : at + RECORD_HEADER + length]
        if len(fragment) < length:
            break
        record = RecordNode(header[:11], 2)
        opened = open_record(header, fragment) if epoch else None
        if opened is not None:
            fragment, record.seal = opened
        known = not epoch or opened is not None
        record.parts = fragments(fragment) if kind == HANDSHAKE and known else [Node(fragment)]
        root.parts.append(record)
        at += RECORD_HEADER + length
    if at < len(data):
        root.parts.append(Node(data[at:]))
    return root


def fragments(data: bytes) -> list[Node]:
    """The handshake fragments in a plaintext."""
    found: list[Node] = []
    at = 0
    while len(data) - at >= HANDSHAKE_HEADER:
        total, message_seq, offset, size = (
            int.from_bytes(data[at + a : at + b], "big") for a, b in ((1, 4), (4, 6), (6, 9), (9, 12))
        )
        body = data[at + HANDSHAKE_HEADER : at + HANDSHAKE_HEADER + size]
        if len(body) < size:
            break
        node = HandshakeNode(data[at : at + 1] + struct.pack(">H", message_seq), offset=offset, total=total)
        if size == total:
            node.total, node.parts = None, shaped(body, SHAPES.get(data[at], []))
        else:
            node.parts = [Node(body)]
        found.append(node)
        at += HANDSHAKE_HEADER + size
    return [*found, Node(data[at:])] if at < len(data) else found


def shaped(data: bytes, shapes: list[Shape], *, repeat: bool = False) -> list[Node]:
    """Bytes cut by shapes."""
    found: list[Node] = []
    at, number = 0, 0
    while at < len(data) and number < len(shapes):
        shape = shapes[number]
        if isinstance(shape, int):
            found.append(Node(data[at : at + shape]))
            at += shape
        else:
            _, width, inner = shape
            size = int.from_bytes(data[at : at + width], "big")
            end = at + width + size
            if end > len(data):
                break
            found.append(Node(b"", width, shaped(data[at + width : end], inner, repeat=True)))
            at = end
        number += 1
        if repeat and number == len(shapes):
            number = 0
    return [*found, Node(data[at:])] if at < len(data) else found
