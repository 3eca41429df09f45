"""Every field of every layer of a frame, by the names that Wireshark and `scewl.lua` have for them.

Of what the SSS says inside DTLS only the header is shown: it hands out private keys (protocol page, section 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance.inspection.fields import Field, fields
from conformance.layers import RegistrationRequest, RegistrationResponse
from conformance.sessions.seen import Protection, SeenFrame
from conformance.wire.frames import Frame
from conformance.wire.records import ContentType, Malformed
from model.alphabet import SSS_ID, Link

_PREFIX: Final = "scewl.registration"
_REQUEST: Final = 4
"""Bytes of a registration request, and of the CPU's answer."""
_RESPONSE: Final = 10
"""Bytes of a response's header."""


def all_fields(seen: SeenFrame) -> Iterator[Field]:
    """Names and values, in the order of the bytes; a name may come many times, and a value be empty."""
    captured, frame = seen.captured, seen.frame
    yield "frame.number", str(captured.number)
    yield "frame.offset", str(captured.offset)
    yield "frame.time_us", str(captured.time_us)
    if captured.comment:
        yield "frame.comment", captured.comment
    yield "scewl.link", str(int(captured.link))
    yield "scewl.towards", str(int(captured.towards))
    yield "scewl.sed", str(captured.sed)
    if frame is None:
        yield "scewl.malformed", seen.problem
        yield "scewl.bytes", captured.frame.hex(":")
        return
    yield "scewl.target", str(frame.target)
    yield "scewl.source", str(frame.source)
    yield "scewl.length", str(len(frame.payload))
    if seen.records:
        yield from _datagram(seen, frame)
    else:
        yield "scewl.payload", frame.payload.hex(":")
        if captured.link is Link.CPU and SSS_ID in (frame.source, frame.target):
            yield from _registration(frame.payload, response=False)


def _datagram(seen: SeenFrame, frame: Frame) -> Iterator[Field]:
    secret = frame.source == SSS_ID
    for name, value in fields(seen):
        if secret and name == "data.data":
            yield name, "not shown: a response to a registration holds a private key"
        else:
            yield name, value
    if SSS_ID not in (frame.source, frame.target):
        return
    for record in seen.records:
        if isinstance(record, Malformed) or record.protection is not Protection.OPENED:
            continue
        if record.content_type is ContentType.APPLICATION_DATA:
            yield from _registration(record.plaintext, response=secret)


def _registration(message: bytes, *, response: bool) -> Iterator[Field]:
    """A request, or the header of a response that is whole; nothing for other bytes."""
    if response and len(message) >= _RESPONSE:
        answer = RegistrationResponse(message)
        if _RESPONSE + answer.ca_len + answer.crt_len + answer.key_len == len(message):
            yield f"{_PREFIX}.dev", str(answer.dev)
            yield f"{_PREFIX}.op", str(answer.op)
            yield f"{_PREFIX}.ca_length", str(answer.ca_len)
            yield f"{_PREFIX}.certificate_length", str(answer.crt_len)
            yield f"{_PREFIX}.key_length", str(answer.key_len)
    elif not response and len(message) == _REQUEST:
        request = RegistrationRequest(message)
        yield f"{_PREFIX}.dev", str(request.dev)
        yield f"{_PREFIX}.op", str(request.op)
