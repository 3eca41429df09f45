"""The registration response as the judge reads it (protocol page, section 6, pinned 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from conformance.wire.certificates import Authorities
from model.alphabet import DEREGISTER, MAX_MESSAGE, REFUSED, REGISTER

HEADER: Final = struct.Struct("<HhHHH")
"""dev_id, op, lengths of CA certificate, certificate and key."""
WIDE: Final = struct.Struct("<HhHHHHHHHHH")
"""The historic header: six more lengths, of what is not DTLS's."""


@dataclass(frozen=True, slots=True)
class Response:
    """What can be told of a response: its op, whether it is well formed and for this device, and whether its
    credentials can come into force (CRT-5)."""

    op: int
    good: bool
    usable: bool = False
    ca: bytes = b""
    public_key: bytes = b""
    """DER SubjectPublicKeyInfo of the new certificate, if usable."""


def judge_response(data: bytes, me: int, asked: int, *, wide: bool = False) -> Response | None:
    """The response in the bytes that came so far; None while more must come before anything can be told.

    `asked` is the op of the request; another one can be told from the header. `wide`: in the historic layout.
    """
    header = WIDE if wide else HEADER
    if len(data) < header.size:
        return None
    dev, op, *lengths = header.unpack_from(data)
    ca_length, crt_length, key_length = lengths[:3]
    total = header.size + sum(lengths)
    if dev != me or op not in (REGISTER, DEREGISTER, REFUSED) or total > MAX_MESSAGE or len(data) > total:
        return Response(op, good=False)
    if op != REGISTER or op != asked:
        return Response(op, good=total == header.size)
    if len(data) < total:
        return None
    ca, rest = data[header.size :][:ca_length], data[header.size + ca_length :]
    public_key = _usable(ca, rest[:crt_length], rest[crt_length:][:key_length], me)
    return Response(op, good=True, usable=public_key is not None, ca=ca, public_key=public_key or b"")


def _usable(ca: bytes, certificate: bytes, key: bytes, me: int) -> bytes | None:
    """The certificate's public key, if CA, certificate, name and key fit together (CRT-5)."""
    try:
        authorities = _alone(ca)
    except ValueError:
        return None
    seen = authorities.classify(certificate)
    if seen.ca_label is None or seen.cn != str(me):
        return None
    try:
        private = load_der_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public if public == seen.public_key else None


@lru_cache(16)
def _alone(ca: bytes) -> Authorities:
    """A CA alone, remembered: a deployment's responses all have the same. Raises ValueError if it does not parse."""
    return Authorities({"CA": ca})
