"""MBT-2: the HMAC_DRBG of the firmware on the host: CAVP's vectors, and the end of its 2^48 requests."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import DEPLOYMENT, FIRMWARE, LOW, ME, PEER, Bench, build
from host_aes import open_host
from test_aes import SEED, vectors

from conformance.targets.qemu import QemuTarget
from reference.controller import Controller

LIMIT = 1 << 48
ENTROPY_SOURCE_FAILED = -0x09


@pytest.fixture
def host(host_library: Path, tmp_path: Path) -> Iterator[ctypes.CDLL]:
    library = open_host(host_library, tmp_path)
    assert library.host_begin(SEED, len(SEED)) == 0
    yield library
    library.host_end()


def test_the_cavp_vectors_without_reseeding(host: ctypes.CDLL) -> None:
    cases = [case[1:] for case in vectors("hmac_drbg.no_reseed", "hmac_drbg_no_reseed") if case[0].endswith("SHA256")]
    assert len(cases) == 60
    for case in cases:
        entropy, custom, first, second, expected = (bytes.fromhex(x) for x in case)
        seed, out = entropy + custom, ctypes.create_string_buffer(len(expected))
        arguments = (seed, len(seed), first, len(first), second, len(second))
        assert host.host_drbg(*arguments, out, len(expected)) == 0
        assert out.raw == expected


def test_requests_are_counted_in_64_bits_and_the_last_is_the_2_to_the_48th(host: ctypes.CDLL) -> None:
    out = ctypes.create_string_buffer(32)
    assert host.host_requests() == 1, "SP 800-90A counts from 1"
    for crossed in (1 << 31, 1 << 32):
        host.host_set_requests(crossed - 1)
        assert [host.host_draw(out, 32) for _ in range(3)] == [0, 0, 0]
        assert host.host_requests() == crossed + 2
        assert host.host_library_requests() == 0, "an int, which must not overflow"
    host.host_set_requests(LIMIT - 1)
    assert [host.host_draw(out, 32) for _ in range(2)] == [0, 0]
    assert not host.rng_failed()
    before = out.raw
    assert [host.host_draw(out, 32) for _ in range(2)] == [ENTROPY_SOURCE_FAILED] * 2
    assert out.raw == before, "not a byte beyond the limit"
    assert host.rng_failed()


def test_no_key_is_set_once_the_seed_is_used_up(host: ctypes.CDLL) -> None:
    memory = ctypes.create_string_buffer(host.host_context_size())
    host.host_set_requests(LIMIT + 1)
    assert host.host_setkey(memory, SEED, 128) == ENTROPY_SOURCE_FAILED
    assert memory.raw == bytes(len(memory))


def test_a_controller_whose_seed_is_used_up_says_so_and_stops(tmp_path: Path) -> None:
    """SES-12, with a limit that can be reached."""
    shutil.copytree(FIRMWARE / "src", tmp_path / "src")
    header = tmp_path / "src/drbg.h"
    limit = "(UINT64_C(1) << 48)"
    text = header.read_text("utf-8")
    assert text.count(limit) == 1
    header.write_text(text.replace(limit, "UINT64_C(60)"), "utf-8")
    elf = build(tmp_path / "build", f"SRC={tmp_path / 'src'}")
    bench = Bench(QemuTarget(elf), {i: Controller(DEPLOYMENT.image(i)) for i in (LOW, PEER)}).boot()
    try:
        sent = 0
        while len(bench.debug) == 1 and sent < 60:
            bench.cpu(PEER, b"one more")
            sent += 1
        assert sent > 1
        assert bench.debug == [f"scewl: ready: id={ME}", "scewl: fatal: rng"]
        frames = len(bench.radio)
        bench.cpu(PEER, b"and another")
        assert len(bench.radio) == frames
        assert bench.deadline is None
    finally:
        bench.target.close()
