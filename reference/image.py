"""The provisioning image: what makes one firmware any SED (protocol page, section 10)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from reference.credentials import Credentials, CredentialsError, check
from reference.dialect import RSA_SUITES, STANDARD, Dialect
from reference.dtls import SUITES

MAGIC = b"SCEWLPRV"
VERSION = 1
MAXIMUM = 4_096
"""Bytes of flash that are kept for it."""
SEED_SIZE = 48
LOWEST_SED = 3
_HEADER = struct.Struct("<8sHHIHHHHHH")
_CRC = struct.Struct("<I")


class ProvisioningError(Exception):
    """An image that a node must refuse. `name` is the reason's on the debug channel: `provisioning-crc` and so on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Image:
    """What an image holds. `suite` is the cipher suite's number, `boot_seed` has 48 bytes and is secret."""

    sed_id: int
    suite: int
    credentials: Credentials
    boot_seed: bytes = field(repr=False)

    def encode(self) -> bytes:
        """The image's bytes. Raises ValueError if they do not fit into 4,096."""
        c = self.credentials
        parts = (c.ca, c.certificate, bytes(c.key), self.boot_seed)
        total = _HEADER.size + sum(map(len, parts)) + _CRC.size
        if total > MAXIMUM:
            raise ValueError(f"the provisioning image of SED {self.sed_id} has {total} bytes, {MAXIMUM} at most fit")
        head = _HEADER.pack(MAGIC, VERSION, self.sed_id, total, self.suite, *map(len, parts), 0)
        body = head + b"".join(parts)
        return body + _CRC.pack(zlib.crc32(body))


def parse_image(data: bytes, dialect: Dialect = STANDARD) -> Image:
    """Read and check an image, in the order and with the names of the protocol page. Raises ProvisioningError.

    `dialect` gives the pattern of the CN, and whether suites with RSA are meant. As in flash, what lies behind the
    given bytes reads as zeros; what lies behind the image's own length is ignored.
    """
    flash = data[:MAXIMUM].ljust(MAXIMUM, b"\0")
    magic, version, sed_id, total, suite, *lengths, _ = _HEADER.unpack_from(flash)
    if magic != MAGIC:
        raise ProvisioningError("provisioning-magic")
    if version != VERSION:
        raise ProvisioningError("provisioning-version")
    if total > MAXIMUM or total != _HEADER.size + sum(lengths) + _CRC.size or lengths[3] != SEED_SIZE:
        raise ProvisioningError("provisioning-length")
    end = total - _CRC.size
    if _CRC.unpack_from(flash, end)[0] != zlib.crc32(flash[:end]):
        raise ProvisioningError("provisioning-crc")
    if sed_id < LOWEST_SED:
        raise ProvisioningError("provisioning-id")
    if suite not in (RSA_SUITES if dialect.rsa else SUITES):
        raise ProvisioningError("provisioning-suite")
    image = unpack(flash)
    try:
        check(image.credentials, dialect.cn_pattern.format(id=sed_id), is_rsa=dialect.rsa)
    except CredentialsError as error:
        raise ProvisioningError(f"provisioning-{error.part}") from error
    return image


def unpack(data: bytes) -> Image:
    """The parts of an image that is known to be one; nothing is checked."""
    _, _, sed_id, _, suite, *lengths, _ = _HEADER.unpack_from(data)
    at, parts = _HEADER.size, []
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    ca, certificate, key, seed = parts
    return Image(sed_id, suite, Credentials(ca, certificate, bytearray(key)), seed)
