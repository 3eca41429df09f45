"""Provisioning images and the names of their refusals."""

import struct
import zlib

import pytest
from memory_world import DEPLOYMENT, FOREIGN, World

from model.alphabet import Link
from reference.controller import Controller
from reference.credentials import Credentials
from reference.deployment import Deployment
from reference.dialect import Dialect
from reference.frame import Frame
from reference.image import Image, ProvisioningError, parse_image

GOOD = DEPLOYMENT.image(3)
DER_CA = DEPLOYMENT.authority.certificate


def sealed(data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


def patched(at: int, new: bytes) -> bytes:
    return sealed(GOOD[:at] + new + GOOD[at + len(new) :])


def holding(sed_id: int = 3, suite: int = 0xC02C, **parts: bytes) -> bytes:
    own = DEPLOYMENT.credentials(3)
    ca, certificate = parts.get("ca", own.ca), parts.get("certificate", own.certificate)
    return Image(sed_id, suite, Credentials(ca, certificate, bytearray(parts.get("key", own.key))), bytes(48)).encode()


def test_layout() -> None:
    image = parse_image(GOOD)
    own = DEPLOYMENT.credentials(3)
    assert (image.sed_id, image.suite, image.credentials) == (3, 0xC02C, own)
    assert image.boot_seed == DEPLOYMENT.seds[3].boot_seed
    lengths = [len(own.ca), len(own.certificate), len(own.key), 48, 0]
    assert GOOD[:28] == b"SCEWLPRV" + struct.pack("<HHIHHHHHH", 1, 3, len(GOOD), 0xC02C, *lengths)
    assert GOOD[28:-4] == own.ca + own.certificate + own.key + image.boot_seed
    assert GOOD[-4:] == struct.pack("<I", zlib.crc32(GOOD[:-4]))


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (b"", "magic"),
        (b"SCEWLPRX" + GOOD[8:], "magic"),
        (patched(8, b"\x02\x00"), "version"),
        (GOOD[:8], "version"),
        (patched(12, b"\xff\x0f"), "length"),
        (patched(12, b"\x01\x10"), "length"),
        (patched(18, b"\xff\xff"), "length"),
        (patched(24, b"\x2f\x00"), "length"),
        (patched(12, b"\x01\x10" + GOOD[14:18] + struct.pack("<H", 4_097 - len(GOOD) + len(DER_CA))), "length"),
        (patched(22, struct.pack("<HH", len(DEPLOYMENT.credentials(3).key) + 1, 47)), "length"),
        (GOOD[:12], "length"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "crc"),
        (GOOD[:-30], "crc"),
        (GOOD[:40] + bytes([GOOD[40] ^ 1]) + GOOD[41:], "crc"),
        (patched(10, b"\x02\x00"), "id"),
        (patched(16, b"\x2f\xc0"), "suite"),
        (holding(ca=b"junk"), "ca"),
        (holding(ca=b""), "ca"),
        (holding(ca=DEPLOYMENT.authority.certificate + b"!"), "ca"),
        (holding(certificate=b"junk"), "certificate"),
        (holding(ca=FOREIGN.authority.certificate), "certificate"),
        (holding(certificate=FOREIGN.credentials(3).certificate), "certificate"),
        (holding(key=b"junk"), "key"),
        (holding(key=b""), "key"),
        (holding(key=bytes(DEPLOYMENT.credentials(4).key)), "key"),
        (patched(10, b"\x04\x00"), "cn"),
    ],
)
def test_refusals(image: bytes, name: str) -> None:
    with pytest.raises(ProvisioningError) as refused:
        parse_image(image)
    assert refused.value.name == f"provisioning-{name}"
    node = Controller(image)
    assert node.fatal == f"provisioning-{name}"
    assert node.state == "FATAL_ERROR"
    for link in Link:
        node.receive(link, Frame(2, 2, b"x").encode(), 0)
    node.on_time(10**6)
    assert node.outgoing() == []
    assert node.deadline() is None


def test_the_first_fault_is_named() -> None:
    for broken, name in ((patched(8, b"\x02\x00\x00\x00"), "version"), (patched(10, b"\0\0")[:-1] + b"?", "crc")):
        with pytest.raises(ProvisioningError, match=f"provisioning-{name}"):
            parse_image(broken)


def test_flash_behind_the_image_is_ignored() -> None:
    assert parse_image(GOOD.ljust(4_096, b"\xff")) == parse_image(GOOD)


def test_cn_pattern_is_a_setting() -> None:
    historic = Deployment.create([3, 4], seed=b"pattern", cn_pattern="{id}_PROVISION")
    with pytest.raises(ProvisioningError, match="provisioning-cn"):
        parse_image(historic.image(3))
    world = World.of(deployment=historic)
    for i in (3, 4):
        world.nodes[i] = Controller(historic.image(i), dialect=Dialect(cn_pattern="{id}_PROVISION"))
    world.cpu(3, 4, b"message")
    assert world.messages(4) == [(3, b"message")]
    assert world.request(3, 0) == 0
    assert world.request(4, 0) == 0
    world.cpu(3, 4, b"runtime names are plain")
    assert world.messages(4)[-1] == (3, b"runtime names are plain")


def test_image_must_fit() -> None:
    with pytest.raises(ValueError, match="4096"):
        holding(ca=bytes(4_000))


def test_secrets_do_not_show() -> None:
    image = parse_image(GOOD)
    assert repr(image.boot_seed)[2:20] not in repr(image)
    assert repr(bytes(image.credentials.key))[2:20] not in repr(image)
