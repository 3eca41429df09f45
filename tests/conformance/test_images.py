"""A bad provisioning image is refused by name, once, by the firmware and by the reference; then there is silence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conformance.targets.base import Target
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.frames import Frame
from model.alphabet import Link
from reference.deployment import Deployment

ELF = Path(__file__).parents[2] / "build/firmware/controller.elf"
DEPLOYMENT = Deployment.create([10, 11], seed=b"images")
GOOD = DEPLOYMENT.image(10)
HEADER = struct.Struct("<8sHHIHHHHHH")
FIELDS = ("magic", "version", "id", "total", "suite", "ca", "certificate", "key", "seed", "reserved")


def sealed(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def header(**changes: int | bytes) -> bytes:
    values = dict(zip(FIELDS, HEADER.unpack_from(GOOD), strict=True)) | changes
    return sealed(HEADER.pack(*values.values()) + GOOD[HEADER.size : -4])


def part(name: str, replace: Callable[[bytes], bytes]) -> bytes:
    """The image with one of its blobs changed and all lengths right again."""
    values = dict(zip(FIELDS, HEADER.unpack_from(GOOD), strict=True))
    blobs, at = {}, HEADER.size
    for blob in ("ca", "certificate", "key", "seed"):
        blobs[blob] = GOOD[at : at + values[blob]]
        at += values[blob]
    blobs[name] = replace(blobs[name])
    values[name] = len(blobs[name])
    values["total"] = HEADER.size + sum(map(len, blobs.values())) + 4
    return sealed(HEADER.pack(*values.values()) + b"".join(blobs.values()))


def flipped(data: bytes) -> bytes:
    """With the last byte, a part of a signature, changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


BAD = {
    "erased": (b"\xff" * 4_096, "provisioning-magic"),
    "magic": (header(magic=b"SCEWLPRX"), "provisioning-magic"),
    "version": (header(version=2), "provisioning-version"),
    "total-too-long": (header(total=5_000), "provisioning-length"),
    "total-too-short": (header(total=20), "provisioning-length"),
    "seed-length": (header(seed=47), "provisioning-length"),
    "part-length": (header(ca=40), "provisioning-length"),
    "crc": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "provisioning-crc"),
    "bit-in-the-key": (GOOD[:900] + bytes([GOOD[900] ^ 1]) + GOOD[901:], "provisioning-crc"),
    "reserved-id": (header(id=2), "provisioning-id"),
    "suite": (header(suite=0x003D), "provisioning-suite"),
    "ca": (part("ca", lambda der: bytes(len(der))), "provisioning-ca"),
    "certificate": (part("certificate", lambda der: bytes(len(der))), "provisioning-certificate"),
    "signature": (part("certificate", flipped), "provisioning-certificate"),
    "key": (part("key", lambda der: bytes(len(der))), "provisioning-key"),
    "foreign-key": (part("key", lambda _: bytes(DEPLOYMENT.credentials(11).key)), "provisioning-key"),
    "name": (header(id=11), "provisioning-cn"),
}


@pytest.fixture(params=["reference", "qemu"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    made: Target = ReferenceTarget() if request.param == "reference" else QemuTarget(ELF)
    yield made
    made.close()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_image_is_refused_by_name_and_then_there_is_silence(target: Target, name: str) -> None:
    image, told = BAD[name]
    reaction = target.boot(image)
    assert reaction.debug == (f"scewl: fatal: {told}",)
    assert (reaction.chunks, reaction.deadline) == ((), None)
    for link, frame in (
        (Link.CPU, Frame(11, 10, b"message")),
        (Link.CPU, Frame(1, 10, b"\x0a\0\0\0")),
        (Link.CPU, Frame(2, 10, b"to the FAA")),
        (Link.RADIO, Frame(10, 2, b"from the FAA")),
    ):
        after = target.send(link, frame.encode())
        assert (after.debug, after.chunks, after.deadline) == ((), (), None)


def test_the_good_image_is_taken(target: Target) -> None:
    assert target.boot(GOOD).debug == ("scewl: ready: id=10",)
