"""Every field of every layer of a frame, by the names that Wireshark and `scewl.lua` have for them.

What the SSS says inside DTLS is not shown: it hands out private keys (protocol page, section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance.inspection.words import LINKS
from conformance.layers import RegistrationRequest
from conformance.sessions.seen import SeenFrame
from model.alphabet import SSS_ID, Link

_PLAINTEXT: Final = "data.data"
_REQUEST: Final = 4


def all_fields(seen: SeenFrame) -> Iterator[tuple[str, str]]:
    """Names and values, in the order of the bytes; an item may occur many times."""
    captured, frame = seen.captured, seen.frame
    yield "frame.number", str(captured.number)
    yield "frame.offset", str(captured.offset)
    yield "frame.time_us", str(captured.time_us)
    if captured.comment:
        yield "frame.comment", captured.comment
    yield "scewl.link", LINKS[captured.link]
    yield "scewl.towards", str(int(captured.towards))
    yield "scewl.sed", str(captured.sed)
    if frame is None:
        yield "scewl.malformed", seen.problem
        yield "scewl.bytes", captured.frame.hex()
        return
    yield "scewl.target", str(frame.target)
    yield "scewl.source", str(frame.source)
    yield "scewl.length", str(len(frame.payload))
    if not seen.records:
        yield "scewl.payload", frame.payload.hex()
        if captured.link is Link.CPU and len(frame.payload) == _REQUEST and SSS_ID in (frame.source, frame.target):
            message = RegistrationRequest(frame.payload)
            yield "scewl.registration.dev", str(message.dev)
            yield "scewl.registration.op", str(message.op)
