"""Damage captures: the file, its blocks, frames, records, handshake headers, fragments, extensions, plaintexts, order.

Deterministic: case number n of a seed is the same bytes always. The layers of a mutation: messages (as trees, with
right lengths around what is changed), datagrams and frames, their order, the file.
"""

from __future__ import annotations

import gzip
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from fuzz_corpus import Seed
from fuzz_reseal import right_padding
from fuzz_tree import HandshakeNode, Node, RecordNode, Seal, datagram_tree, walk

from conformance.capture import LINKTYPE_USER0, CapturedFrame
from conformance.capture.frame import PSEUDO_HEADER
from conformance.wire.frames import HEADER as FRAME_HEADER
from conformance.wire.frames import MAGIC
from model.alphabet import Link

MOST_FRAMES = 10
"""Frames of a case's capture before its order is damaged."""
CONTENT_TYPES = (0, 20, 21, 22, 23, 24, 25, 26, 63, 255)
HANDSHAKE_TYPES = (*range(26), 254, 255)
EXTENSION_TYPES = (0, 1, 5, 10, 11, 13, 15, 16, 18, 21, 22, 23, 28, 35, 41, 43, 45, 50, 51, 54, 0x2A2A, 0xFF01, 0xFFFF)
VERSIONS = (0, 0x0100, 0x0301, 0x0303, 0xFEFC, 0xFEFD, 0xFEFF, 0xFFFF)


@dataclass(frozen=True)
class Case:
    """One input: a file's bytes, and what else a user could give with it."""

    number: int
    data: bytes
    server_key: bytes
    """PEM of an RSA server's key, or empty."""
    key_log: str
    damaged: frozenset[bytes]
    """The frames whose messages were damaged, as far as nothing else befell them."""
    told: str
    """What was done, for a finding."""


def make_case(corpus: list[Seed], seed: int, number: int) -> Case:
    """Case `number` of a run."""
    rng = random.Random(f"{seed}/{number}")
    one = corpus[rng.randrange(len(corpus))]
    told = [one.name]
    first = rng.randrange(max(1, len(one.frames) - 3)) if rng.random() < 0.3 else 0
    frames = list(one.frames[first : first + MOST_FRAMES])
    damaged: set[bytes] = set()
    sealed = [n for n, frame in enumerate(frames) if frame.frame in one.sealed]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        at = rng.choice(sealed) if sealed and rng.random() < 0.5 else rng.randrange(len(frames))
        frames[at] = _damage_datagram(rng, frames[at], one, told)
        damaged.add(frames[at].frame)
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        _damage_frame(rng, frames, told)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        rng.choice(ORDER)(rng, frames)
    secrets = b"".join(b"CLIENT_RANDOM %s %s\n" % (r.hex().encode(), m.hex().encode()) for r, m in one.secrets)
    inside = rng.random() < 0.7
    context = one.context.encode() if rng.random() < 0.5 else b""
    if context and rng.random() < 0.2:
        context = rng.choice(BYTES)(rng, context)
    data = _file(rng, frames, secrets if inside else b"", context, told)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 2, 4))):
        data = rng.choice(BYTES)(rng, data)
        told.append("bytes")
    if rng.random() < 0.02:
        data = gzip.compress(data, 1, mtime=0)
        data = rng.choice(BYTES)(rng, data) if rng.random() < 0.5 else data
    log = "" if inside else secrets.decode()
    if log and rng.random() < 0.1:
        log = rng.choice(BYTES)(rng, log.encode()).decode("latin-1")
    key = one.server_key if rng.random() < 0.8 else b""
    return Case(number, data, key, log, frozenset(damaged), ", ".join(told))


# --- messages


def _damage_datagram(rng: random.Random, frame: CapturedFrame, seed: Seed, told: list[str]) -> CapturedFrame:
    data = frame.frame
    if len(data) <= FRAME_HEADER.size or frame.link is Link.CPU:
        return frame
    magic, target, source, _ = FRAME_HEADER.unpack_from(data)
    from_client = source == seed.client

    def open_record(header: bytes, fragment: bytes) -> tuple[bytes, Seal] | None:
        for secrets in seed.sessions:
            for side in (from_client, not from_client):
                plaintext = secrets.open(header, fragment, side)
                if plaintext is not None:
                    padding = right_padding if rng.random() < 0.9 else _padding(rng.randrange(256))
                    return plaintext, partial(secrets.seal, from_client=side, padding=padding)
        return None

    tree = datagram_tree(data[FRAME_HEADER.size :], open_record)
    for _ in range(rng.choice((1, 1, 2, 4))):
        inside = [n for part in tree.parts if isinstance(part, RecordNode) and part.seal for n in walk(part)]
        node = rng.choice(inside if inside and rng.random() < 0.5 else list(walk(tree)))
        change = rng.choice(TREE)
        change(rng, node, tree)
        told.append(change.__name__.strip("_"))
    payload = tree.encode()[:0xFFFF]
    return replace(frame, frame=FRAME_HEADER.pack(magic, target, source, len(payload)) + payload)


def _padding(byte: int) -> Callable[[int], bytes]:
    """Padding of CBC that is mostly wrong."""
    return lambda missing: bytes([byte]) * missing


def _number_near(rng: random.Random, value: int, most: int) -> int:
    return rng.choice((0, 1, value - 1, value + 1, value * 2, value // 2, most, most - 1, rng.randrange(most + 1)))


def _lie(rng: random.Random, node: Node, tree: Node) -> None:
    """A length that is not so."""
    if node.width:
        node.lie = _number_near(rng, len(node.encode()), (1 << 8 * node.width) - 1)


def _empty(rng: random.Random, node: Node, tree: Node) -> None:
    """Nothing where something was: an empty extension, message, record."""
    if node is not tree:
        node.parts = []
        if not node.width and type(node) is Node:
            node.head = b""


def _cut(rng: random.Random, node: Node, tree: Node) -> None:
    if node.parts:
        del node.parts[rng.randrange(len(node.parts)) :]
    elif type(node) is Node and node.head:
        node.head = node.head[: rng.randrange(len(node.head))]


def _grow(rng: random.Random, node: Node, tree: Node) -> None:
    size = rng.choice((1, 2, 3, 12, 64, 255, 256, 2_000, rng.choice((100, 100, 100, 16_400))))
    node.parts.insert(rng.randrange(len(node.parts) + 1), Node(rng.randbytes(size) if size < 256 else bytes(size)))


def _again(rng: random.Random, node: Node, tree: Node) -> None:
    """A part twice: an extension, a record, a fragment; or a hundred times."""
    if node.parts:
        at = rng.randrange(len(node.parts))
        node.parts[at:at] = [node.parts[at]] * rng.choice((1, 1, 2, 100))


def _shuffle(rng: random.Random, node: Node, tree: Node) -> None:
    rng.shuffle(node.parts)


def _flip(rng: random.Random, node: Node, tree: Node) -> None:
    if node.head:
        data = bytearray(node.head)
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        node.head = bytes(data)


def _kind(rng: random.Random, node: Node, tree: Node) -> None:
    """Another content type, handshake type, version, or two bytes that may be an extension's type."""
    if isinstance(node, RecordNode):
        node.head = bytes([rng.choice(CONTENT_TYPES)]) + struct.pack(">H", rng.choice(VERSIONS)) + node.head[3:]
    elif isinstance(node, HandshakeNode):
        node.head = bytes([rng.choice(HANDSHAKE_TYPES)]) + node.head[1:]
    elif len(node.head) == 2:
        node.head = struct.pack(">H", rng.choice(EXTENSION_TYPES))


def _number(rng: random.Random, node: Node, tree: Node) -> None:
    """Another epoch, record number or message_seq."""
    if isinstance(node, RecordNode):
        epoch = rng.choice((0, 0, 1, 1, 2, 0xFFFF))
        seq = _number_near(rng, int.from_bytes(node.head[5:], "big"), 2**48 - 1) % 2**48
        node.head = node.head[:3] + struct.pack(">H", epoch) + seq.to_bytes(6, "big")
    elif isinstance(node, HandshakeNode):
        seq = _number_near(rng, int.from_bytes(node.head[1:], "big"), 0xFFFF) % 0x1_0000
        node.head = node.head[:1] + struct.pack(">H", seq)


def _fragment(rng: random.Random, node: Node, tree: Node) -> None:
    """A message in fragments: cut anywhere, overlapping, with gaps, contradicting each other, in any order."""
    if not isinstance(node, HandshakeNode) or node.total is not None:
        return
    body = b"".join(part.encode() for part in node.parts)
    pieces: list[Node] = []
    for _ in range(rng.choice((2, 2, 3, 8, 40))):
        start = rng.randrange(len(body) + 1)
        piece = bytearray(body[start : start + rng.choice((0, 1, 16, len(body)))])
        if piece and rng.random() < 0.2:
            piece[rng.randrange(len(piece))] ^= 1
        total = len(body) if rng.random() < 0.9 else _number_near(rng, len(body), 2**24 - 1)
        made = HandshakeNode(node.head, parts=[Node(bytes(piece))], offset=start, total=total)
        if rng.random() < 0.1:
            made.size_lie = _number_near(rng, len(piece), 2**24 - 1)
        pieces.append(made)
    node.__class__ = Node  # type: ignore[assignment]  # in its place: the fragments
    node.head, node.width, node.lie, node.parts = b"", 0, None, pieces


def _total(rng: random.Random, node: Node, tree: Node) -> None:
    """A handshake header's three lengths."""
    if isinstance(node, HandshakeNode):
        size = len(node.encode())
        node.total = _number_near(rng, size, 2**24 - 1)
        node.offset = rng.choice((0, node.offset, _number_near(rng, size, 2**24 - 1)))
        node.size_lie = rng.choice((None, _number_near(rng, size, 2**24 - 1)))


def _foreign(rng: random.Random, node: Node, tree: Node) -> None:
    """A part of another place of the same datagram."""
    others = list(walk(tree))
    other = rng.choice(others)
    if node is not tree and node not in walk(other):
        node.parts.append(other)


TREE = (_lie, _empty, _cut, _grow, _again, _shuffle, _flip, _kind, _number, _fragment, _total, _foreign)


# --- frames and their order


def _damage_frame(rng: random.Random, frames: list[CapturedFrame], told: list[str]) -> None:
    at = rng.randrange(len(frames))
    frame = frames[at]
    told.append("frame")
    what = rng.randrange(6)
    if what == 0:
        frames[at] = replace(frame, link=rng.choice(list(Link)))
    elif what == 1:
        frames[at] = replace(frame, towards=not frame.towards)
    elif what == 2:
        frames[at] = replace(frame, sed=rng.choice((0, 1, 2, 10, 11, rng.randrange(0x1_0000))))
    elif what == 3:
        payload = rng.randbytes(rng.choice((0, 1, 4, 10, 13, 40)))
        target, source = rng.choice((0, 1, 2, 10, 11, 0xFFFF)), rng.choice((0, 1, 2, 10, 11, 0xFFFF))
        frames[at] = replace(frame, frame=FRAME_HEADER.pack(MAGIC, target, source, len(payload)) + payload)
    elif what == 4 and len(frame.frame) >= FRAME_HEADER.size:
        data = bytearray(frame.frame)
        data[rng.randrange(FRAME_HEADER.size)] = rng.randrange(256)
        frames[at] = replace(frame, frame=bytes(data))
    else:
        frames[at] = replace(frame, frame=rng.choice(BYTES)(rng, frame.frame))


def _lose(rng: random.Random, frames: list[CapturedFrame]) -> None:
    if len(frames) > 1:
        del frames[rng.randrange(len(frames))]


def _repeat(rng: random.Random, frames: list[CapturedFrame]) -> None:
    at = rng.randrange(len(frames))
    frames[at:at] = [frames[at]] * rng.choice((1, 1, 2, 20))


def _swap(rng: random.Random, frames: list[CapturedFrame]) -> None:
    a, b = rng.randrange(len(frames)), rng.randrange(len(frames))
    frames[a], frames[b] = frames[b], frames[a]


def _retime(rng: random.Random, frames: list[CapturedFrame]) -> None:
    at = rng.randrange(len(frames))
    time = rng.choice((0, (frames[at].time_us + 7_000_000) % 2**64, 2**63, 2**64 - 1, rng.randrange(2**33)))
    frames[at] = replace(frames[at], time_us=time)


ORDER: tuple[Callable[[random.Random, list[CapturedFrame]], None], ...] = (_lose, _repeat, _swap, _retime)


# --- bytes


def _set_byte(rng: random.Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) + data[at + 1 :]


def _set_number(rng: random.Random, data: bytes) -> bytes:
    width = rng.choice((2, 3, 4))
    if len(data) < width:
        return data
    at = rng.randrange(len(data) - width + 1)
    value = _number_near(rng, int.from_bytes(data[at : at + width], "little"), (1 << 8 * width) - 1)
    order = rng.choice(("little", "big"))
    return data[:at] + (value % (1 << 8 * width)).to_bytes(width, order) + data[at + width :]  # type: ignore[arg-type]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 100)) :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 4, 16, 100))) + data[at:]


def _copy(rng: random.Random, data: bytes) -> bytes:
    start, at = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    return data[:at] + data[start : start + rng.choice((4, 32, 500))] + data[at:]


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _set_byte, _set_byte, _set_number, _set_number, _truncate, _drop, _insert, _copy
)  # fmt: skip


# --- files


def _file(rng: random.Random, frames: list[CapturedFrame], key_log: bytes, context: bytes, told: list[str]) -> bytes:
    order = rng.choice("<<<>")
    records = [(f, PSEUDO_HEADER.pack(f.link, f.towards, f.sed) + f.frame) for f in frames]
    if rng.random() < 0.15:
        told.append("pcap")
        return _pcap(rng, order, records)
    return _pcapng(rng, order, records, key_log, context, told)


def _pcap(rng: random.Random, order: str, records: list[tuple[CapturedFrame, bytes]]) -> bytes:
    magic = rng.choice((0xA1B2C3D4, 0xA1B23C4D))
    link = LINKTYPE_USER0 if rng.random() < 0.95 else rng.randrange(300)
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 0x40000, link)]
    for frame, data in records:
        seconds, rest = divmod(frame.time_us % (2**32 * 1_000_000), 1_000_000)
        out.append(struct.pack(order + "IIII", seconds, rest, len(data), len(data)) + data)
    return b"".join(out)


def _pcapng(
    rng: random.Random,
    order: str,
    records: list[tuple[CapturedFrame, bytes]],
    key_log: bytes,
    context: bytes,
    told: list[str],
) -> bytes:
    comment = struct.pack(order + "HH", 1, len(context)) + context + bytes(-len(context) % 4 + 4) if context else b""
    section = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + comment
    blocks: list[bytes] = [_block(order, 0x0A0D0D0A, section)]
    resolution = rng.choice((6, 6, 6, 9, 0, 0x80, 0xFF, 63))
    options = struct.pack(order + "HHB3x", 9, 1, resolution) + struct.pack(order + "HH", 0, 0)
    link = LINKTYPE_USER0 if rng.random() < 0.97 else rng.randrange(300)
    blocks += [_block(order, 1, struct.pack(order + "HHI", link, 0, 0) + options)] * rng.choice((3,) * 20 + (1, 0))
    if key_log:
        blocks.append(_block(order, 10, struct.pack(order + "II", 0x544C534B, len(key_log)) + key_log))
    for frame, data in records:
        high, low = divmod(frame.time_us, 2**32)
        kind = rng.choice((6, 6, 6, 6, 6, 6, 6, 3, 2))
        if kind == 6:
            body = struct.pack(order + "IIIII", frame.link, high, low, len(data), len(data)) + data
        elif kind == 3:
            body = struct.pack(order + "I", len(data)) + data
        else:
            body = struct.pack(order + "HHIIII", frame.link, 0, high, low, len(data), len(data)) + data
        blocks.append(_block(order, kind, body))
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 2))):
        told.append("blocks")
        at = rng.randrange(len(blocks))
        what = rng.randrange(5)
        if what == 0:
            blocks[at:at] = [blocks[rng.randrange(len(blocks))]]
        elif what == 1:
            del blocks[at]
            blocks = blocks or [b""]
        elif what == 2:
            blocks[at] = _lie_block(rng, order, blocks[at])
        elif what == 3:
            blocks[at] = _block(order, rng.choice((0, 1, 2, 3, 4, 5, 6, 10, 0xBAD, 0x0A0D0D0A)), blocks[at][8:-4])
        else:
            rng.shuffle(blocks)
    return b"".join(blocks)


def _lie_block(rng: random.Random, order: str, block: bytes) -> bytes:
    """A block length that is not so: in front, behind, or both."""
    length = struct.pack(order + "I", _number_near(rng, len(block), 2**32 - 1) % 2**32)
    front = length if rng.random() < 0.6 else block[4:8]
    return block[:4] + front + block[8:-4] + (length if rng.random() < 0.6 else block[-4:])


def _block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length
