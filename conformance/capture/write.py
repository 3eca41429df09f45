"""Write captures: pcapng files that Wireshark opens and, with the session secrets inside, decrypts.

Format: draft-ietf-opsawg-pcapng. One interface per link, link type USER0 (147), timestamps in microseconds;
`conformance.capture.frame` describes a record. The same frames give the same bytes: nothing of the host, the user, the
time of day or a version is written.

Why not Scapy's writer: it writes neither a decryption secrets block nor `if_tsresol`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from conformance.capture.context import Context
from conformance.capture.frame import LINKTYPE_USER0, PSEUDO_HEADER, CapturedFrame
from conformance.files import write_private
from model.alphabet import HIGHEST_ID, Link

_SECTION_HEADER, _INTERFACE, _ENHANCED_PACKET, _SECRETS = 0x0A0D0D0A, 1, 6, 10
_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_TLS_KEY_LOG = 0x544C534B
_OPT_END, _OPT_COMMENT = 0, 1
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL = 2, 3, 9
_EPB_FLAGS, _INBOUND, _OUTBOUND = 2, 1, 2
_MICROSECONDS = 6
"""`if_tsresol`: negative power of ten."""
_MAX_OPTION = 0xFFFF
_SECRETS_IN_A_BLOCK = 1_000
"""Of some 180 bytes each: readers refuse very large blocks."""
_MAX_TIME_US = 2**64 - 1

_INTERFACES = {
    Link.RADIO: ("radio", "UART2, the broadcast medium"),
    Link.SSS: ("sss", "UART1, the SSS wire"),
    Link.CPU: ("cpu", "UART0, the CPU bus"),
}


def write_capture(
    path: Path,
    frames: Iterable[CapturedFrame],
    secrets: Iterable[tuple[bytes, bytes]] = (),
    context: Context | None = None,
) -> None:
    """Write a capture. The file is readable by its owner alone (mode 0600), for it may hold session secrets.

    `secrets` are pairs of client random (32 bytes) and master secret (48 bytes), as NSS key logs have them; repeats are
    dropped. `context` are public facts about the controllers, which `scewl inspect --judge` reads.
    Raises ValueError for a time, id or secret out of range and OSError if the file cannot be written.
    """
    write_private(path, capture_bytes(frames, secrets, context))


def capture_bytes(
    frames: Iterable[CapturedFrame], secrets: Iterable[tuple[bytes, bytes]] = (), context: Context | None = None
) -> bytes:
    """What `write_capture` writes. Raises ValueError as it does."""
    return b"".join(_blocks(frames, secrets, context))


def _blocks(
    frames: Iterable[CapturedFrame], secrets: Iterable[tuple[bytes, bytes]], context: Context | None
) -> Iterator[bytes]:
    """All blocks in order. Readers want the secrets before the first frame that needs them."""
    yield head_blocks(context)
    yield secrets_blocks(secrets)
    for frame in frames:
        yield frame_block(frame)


def head_blocks(context: Context | None = None) -> bytes:
    """What a capture begins with: for whoever writes one while it grows, with `secrets_blocks` and `frame_block`."""
    facts = _option(_OPT_COMMENT, _cut(context.text())) + _option(_OPT_END, b"") if context else b""
    blocks = [_block(_SECTION_HEADER, struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, -1) + facts)]
    for link in Link:
        name, description = _INTERFACES[link]
        options = _option(_IF_NAME, name.encode()) + _option(_IF_DESCRIPTION, description.encode())
        options += _option(_IF_TSRESOL, bytes([_MICROSECONDS])) + _option(_OPT_END, b"")
        blocks.append(_block(_INTERFACE, struct.pack("<HHI", LINKTYPE_USER0, 0, 0) + options))
    return b"".join(blocks)


def secrets_blocks(secrets: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Session secrets, each once; nothing for none. Raises ValueError for a secret of another size."""
    blocks, lines = [], _key_log(secrets)
    for begin in range(0, len(lines), _SECRETS_IN_A_BLOCK):
        key_log = "".join(lines[begin : begin + _SECRETS_IN_A_BLOCK]).encode()
        blocks.append(_block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(key_log)) + _padded(key_log)))
    return b"".join(blocks)


def frame_block(frame: CapturedFrame) -> bytes:
    """One frame. Raises ValueError for a time or an id out of range."""
    if not 0 <= frame.time_us <= _MAX_TIME_US:
        raise ValueError(f"time {frame.time_us} us is out of range")
    if not 0 <= frame.sed <= HIGHEST_ID:
        raise ValueError(f"SED id {frame.sed} is out of range")
    data = PSEUDO_HEADER.pack(frame.link, frame.towards, frame.sed) + frame.frame
    high, low = divmod(frame.time_us, 2**32)
    options = _option(_OPT_COMMENT, _cut(frame.comment)) if frame.comment else b""
    options += _option(_EPB_FLAGS, struct.pack("<I", _INBOUND if frame.towards else _OUTBOUND)) + _option(_OPT_END, b"")
    body = struct.pack("<IIIII", frame.link, high, low, len(data), len(data)) + _padded(data) + options
    return _block(_ENHANCED_PACKET, body)


def _key_log(secrets: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """The lines of an NSS key log, each secret once, in the order given."""
    lines: dict[str, None] = {}
    for random, master in secrets:
        if len(random) != 32 or len(master) != 48:
            # The lengths only: a secret never shows in a message.
            raise ValueError(f"a secret is 32 and 48 bytes, not {len(random)} and {len(master)}")
        lines[f"CLIENT_RANDOM {random.hex()} {master.hex()}\n"] = None
    return list(lines)


def _cut(comment: str) -> bytes:
    """UTF-8 that fits an option, never cut inside a character."""
    return comment.encode()[:_MAX_OPTION].decode(errors="ignore").encode()


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
