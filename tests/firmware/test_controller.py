"""The controller where the conformance purposes do not reach: its boot, its frames in pieces, its faults."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import DEPLOYMENT, LOW, ME, PEER, Bench, build

from conformance.targets.qemu import QemuTarget
from model.alphabet import FAA_ID, Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.frame import Frame

FAA_PAYLOAD = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("controller"))


@pytest.fixture
def bench(elf: Path) -> Iterator[Bench]:
    """Booted, with peers of the same deployment."""
    made = Bench(QemuTarget(elf), {i: Controller(DEPLOYMENT.image(i)) for i in (LOW, PEER)})
    yield made.boot()
    made.target.close()


# --- boot ------------------------------------------------------------------------------------------------------------


def sealed(image: bytes) -> bytes:
    """The image with its CRC made right again."""
    return image[:-4] + struct.pack("<I", zlib.crc32(image[:-4]))


def patched(image: bytes, offset: int, value: bytes) -> bytes:
    return sealed(image[:offset] + value + image[offset + len(value) :])


def rebuilt(ca: bytes, certificate: bytes, key: bytes) -> bytes:
    """An image for the firmware's id with other credentials."""
    image = DEPLOYMENT.image(ME)
    parts = ca + certificate + key + image[-52:-4]
    sizes = struct.pack("<IHHHHHH", 28 + len(parts) + 4, 0xC02C, len(ca), len(certificate), len(key), 48, 0)
    return sealed(image[:12] + sizes + parts + bytes(4))


GOOD, PEERS = DEPLOYMENT.credentials(ME), DEPLOYMENT.credentials(PEER)
FOREIGN = Deployment.create((ME,), seed=b"another authority").credentials(ME)
IMAGE = DEPLOYMENT.image(ME)

REFUSED = {
    "provisioning-magic": b"SCEWLPRW" + IMAGE[8:],
    "provisioning-version": patched(IMAGE, 8, b"\x02\x00"),
    "provisioning-length": patched(IMAGE, 12, struct.pack("<I", len(IMAGE) + 1)),
    "provisioning-crc": IMAGE[:-1] + bytes([IMAGE[-1] ^ 1]),
    "provisioning-id": patched(IMAGE, 10, b"\x02\x00"),
    "provisioning-suite": patched(IMAGE, 16, b"\x30\xc0"),
    "provisioning-ca": rebuilt(b"\x30" + bytes(40), GOOD.certificate, bytes(GOOD.key)),
    "provisioning-certificate": rebuilt(GOOD.ca, FOREIGN.certificate, bytes(FOREIGN.key)),
    "provisioning-key": rebuilt(GOOD.ca, GOOD.certificate, bytes(PEERS.key)),
    "provisioning-cn": rebuilt(PEERS.ca, PEERS.certificate, bytes(PEERS.key)),
}


def test_a_good_image_is_ready_and_asleep(bench: Bench) -> None:
    assert bench.debug == [f"scewl: ready: id={ME}"]
    assert bench.deadline is None


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_image_is_named_once_and_then_there_is_silence(elf: Path, name: str) -> None:
    bench = Bench(QemuTarget(elf)).boot(REFUSED[name])
    try:
        bench.give(Link.CPU, Frame(FAA_ID, ME, b"to the FAA").encode())
        bench.give(Link.CPU, Frame(PEER, ME, bytes(3_000)).encode())
        bench.give(Link.RADIO, Frame(ME, FAA_ID, b"from the FAA").encode())
        assert bench.debug == [f"scewl: fatal: {name}"]
        assert (bench.heard, bench.radio, bench.wire, bench.deadline) == ([], [], [], None)
    finally:
        bench.target.close()


def test_the_key_is_judged_after_the_certificate(elf: Path) -> None:
    """Both are bad: the first in the page's order is named."""
    bench = Bench(QemuTarget(elf)).boot(rebuilt(GOOD.ca, FOREIGN.certificate, b"\x30\x00"))
    bench.target.close()
    assert bench.debug == ["scewl: fatal: provisioning-certificate"]


# --- frames ----------------------------------------------------------------------------------------------------------


def chunks(bench: Bench, link: Link, data: bytes) -> dict[Link, bytes]:
    """What leaves on each link, raw, after some bytes came in."""
    out: dict[Link, bytes] = {}
    for on, data_out in bench.target.send(link, data).chunks:
        out[on] = out.get(on, b"") + data_out
    return out


@pytest.mark.parametrize(("source", "sink"), [(Link.CPU, Link.RADIO), (Link.RADIO, Link.CPU)])
def test_faa_frames_are_cut_through(bench: Bench, source: Link, sink: Link) -> None:
    frame = Frame(ME if source is Link.RADIO else FAA_ID, FAA_ID if source is Link.RADIO else ME, FAA_PAYLOAD).encode()
    assert chunks(bench, source, frame[:8]) == {sink: frame[:8]}
    assert chunks(bench, source, frame[8:500]) == {sink: frame[8:500]}
    assert chunks(bench, source, frame[500:]) == {sink: frame[500:]}


def test_a_datagram_waits_for_the_end_of_an_faa_frame(bench: Bench) -> None:
    faa = Frame(FAA_ID, ME, FAA_PAYLOAD).encode()
    assert chunks(bench, Link.CPU, faa[:100]) == {Link.RADIO: faa[:100]}
    bench.peers[PEER].receive(Link.CPU, Frame(ME, PEER, b"hello").encode(), 0)
    ((_, hello),) = bench.peers[PEER].outgoing()
    assert chunks(bench, Link.RADIO, hello) == {}
    out = chunks(bench, Link.CPU, faa[100:])
    assert out[Link.RADIO][: len(faa) - 100] == faa[100:]
    answer = out[Link.RADIO][len(faa) - 100 :]
    assert len(answer) == 8 + 60, "the HelloVerifyRequest, after the FAA frame and not inside"


def test_an_answer_to_the_cpu_waits_for_the_end_of_an_faa_frame(bench: Bench) -> None:
    faa = Frame(ME, FAA_ID, FAA_PAYLOAD).encode()
    assert chunks(bench, Link.RADIO, faa[:100]) == {Link.CPU: faa[:100]}
    assert chunks(bench, Link.CPU, Frame(1, ME, b"bad").encode()) == {}
    out = chunks(bench, Link.RADIO, faa[100:])
    assert out == {Link.CPU: faa[100:] + Frame(ME, 1, struct.pack("<Hh", ME, -1)).encode()}


def test_a_retransmission_waits_for_the_end_of_an_faa_frame(bench: Bench) -> None:
    bench.peers.clear()
    bench.cpu(PEER, b"anyone?")
    faa = Frame(FAA_ID, ME, FAA_PAYLOAD).encode()
    assert chunks(bench, Link.CPU, faa[:100]) == {Link.RADIO: faa[:100]}
    assert bench.target.advance(7_000).chunks == ()
    out = chunks(bench, Link.CPU, faa[100:])[Link.RADIO]
    assert out.startswith(faa[100:] + b"SC" + struct.pack("<HH", PEER, ME))


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_message_each_way(bench: Bench) -> None:
    bench.cpu(PEER, b"ping" * 1_000)
    assert bench.peers[PEER].state == "IDLE"
    bench.peer_cpu(LOW, ME, b"pong" * 1_000)
    assert bench.heard == [Frame(ME, LOW, b"pong" * 1_000)]
    assert bench.deadline is None


def test_the_other_suite(elf: Path) -> None:
    deployment = Deployment.create((ME, PEER), seed=b"aes-128", suite=0xC02B)
    bench = Bench(QemuTarget(elf), {PEER: Controller(deployment.image(PEER))}).boot(deployment.image(ME))
    try:
        bench.peer_cpu(PEER, ME, b"over AES-128")
        assert bench.heard == [Frame(ME, PEER, b"over AES-128")]
    finally:
        bench.target.close()


def test_suites_do_not_mix(elf: Path) -> None:
    other = Deployment.create((LOW, ME, PEER), seed=b"tests/firmware", suite=0xC02B)
    bench = Bench(QemuTarget(elf), {PEER: Controller(other.image(PEER))}).boot()
    try:
        bench.peer_cpu(PEER, ME, b"never")
        assert bench.heard == []
        assert [f.payload[0] for f in bench.radio] == [22, 21], "HelloVerifyRequest, then one alert"
        assert bench.deadline is None
    finally:
        bench.target.close()


JUNK_FINISHED = bytes([22, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 7, 0, 48]) + bytes(48)
"""A record of epoch 1 as long as a Finished, which authenticates nowhere."""


@pytest.mark.parametrize("early", [True, False])
def test_a_forged_finished_does_not_end_the_handshake(bench: Bench, early: bool) -> None:
    """Before the ChangeCipherSpec came, or between it and the Finished."""

    def split(frame: Frame) -> bool:
        if frame.source != PEER or frame.payload[0] != 22 or frame.payload[13] != 11:
            return False
        # Flight 5: one record at a time, with the forgery at the front, or just before the Finished.
        rest, records = frame.payload, []
        while rest:
            size = 13 + int.from_bytes(rest[11:13], "big")
            records.append(rest[:size])
            rest = rest[size:]
        records.insert(0 if early else len(records) - 1, JUNK_FINISHED)
        for record in records:
            bench.take(bench.target.send(Link.RADIO, Frame(ME, PEER, record).encode()))
        return True

    bench.lose = split
    bench.peer_cpu(PEER, ME, b"still here")
    assert bench.heard == [Frame(ME, PEER, b"still here")]


def test_every_hello_differs(elf: Path) -> None:
    """ADV-3: another boot seed, or other input before, gives other randoms."""
    randoms = set()
    for seed, before in ((None, b""), (bytes(48), b""), (None, Frame(3, 4, b"overheard").encode())):
        bench = Bench(QemuTarget(elf)).boot(DEPLOYMENT.image(ME, seed))
        if before:
            bench.give(Link.RADIO, before)
        bench.cpu(PEER, b"one")
        randoms.add(bench.radio[0].payload[27:59])
        bench.target.close()
    assert len(randoms) == 3


# --- memory and faults -----------------------------------------------------------------------------------------------


def test_peaks_of_memory_leave_room(tmp_path: Path) -> None:
    elf = build(tmp_path, "DEFINES=-DSCEWL_REPORT_MEMORY")
    bench = Bench(QemuTarget(elf), {i: Controller(DEPLOYMENT.image(i)) for i in (LOW, PEER)}).boot()
    try:
        bench.cpu(PEER, bytes(16_384))
        bench.peer_cpu(LOW, ME, bytes(16_384))
        peaks = re.fullmatch(r"scewl: memory: stack_peak=(\d+) heap_peak=(\d+) heap_used=\d+", bench.debug[-1])
        assert peaks is not None
        assert 1_000 < int(peaks[1]) <= 3_300, "of 4,096 bytes of stack"
        assert 8_000 < int(peaks[2]) <= 13_000, "of an arena of 16,384 bytes"
    finally:
        bench.target.close()


def test_without_a_debugger_the_debug_channel_is_harmless(elf: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(DEPLOYMENT.image(ME))
    pairs = [socket.socketpair() for _ in range(3)]
    command = ["qemu-system-arm", "-M", "lm3s6965evb", "-nodefaults", "-display", "none", "-kernel", str(elf)]
    command += ["-device", f"loader,file={image},addr=0x3f000,force-raw=on"]
    for number, (_, theirs) in enumerate(pairs):
        command += ["-chardev", f"socket,id=u{number},fd={theirs.fileno()}", "-serial", f"chardev:u{number}"]
    with subprocess.Popen(command, pass_fds=[t.fileno() for _, t in pairs], stderr=subprocess.DEVNULL) as qemu:
        try:
            frame = Frame(FAA_ID, ME, b"alone").encode()
            pairs[0][0].sendall(frame)
            radio = pairs[2][0]
            radio.settimeout(20)
            got = b""
            while len(got) < len(frame):
                got += radio.recv(64)
            assert got == frame
        finally:
            qemu.kill()
            for ours, theirs in pairs:
                ours.close()
                theirs.close()
