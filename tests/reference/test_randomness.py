"""The generator against Mbed TLS's HMAC_DRBG, which was written by others."""

import ctypes

from hypothesis import given, settings
from hypothesis import strategies as st

from reference import mbedtls_c as c
from reference.randomness import Drbg

SHA_256 = 6


def theirs(seed: bytes, steps: list[bytes | int]) -> list[bytes]:
    library = c.crypto
    library.mbedtls_md_info_from_type.restype = ctypes.c_void_p
    context = c.room()
    library.mbedtls_hmac_drbg_init(context)
    info = ctypes.c_void_p(library.mbedtls_md_info_from_type(SHA_256))
    assert library.mbedtls_hmac_drbg_seed_buf(context, info, seed, ctypes.c_size_t(len(seed))) == 0
    drawn = []
    for step in steps:
        if isinstance(step, bytes):
            assert library.mbedtls_hmac_drbg_update_ret(context, step, ctypes.c_size_t(len(step))) == 0
        else:
            out = ctypes.create_string_buffer(step)
            assert library.mbedtls_hmac_drbg_random(context, out, ctypes.c_size_t(step)) == 0
            drawn.append(out.raw)
    library.mbedtls_hmac_drbg_free(context)
    return drawn


def ours(seed: bytes, steps: list[bytes | int]) -> list[bytes]:
    drbg = Drbg(seed)
    drawn = []
    for step in steps:
        if isinstance(step, bytes):
            drbg.stir(step)
        else:
            drawn.append(drbg.draw(step))
    return drawn


@settings(deadline=None, derandomize=True)
@given(st.binary(min_size=1, max_size=64), st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.integers(1, 100))))
def test_same_bytes_as_mbed_tls(seed: bytes, steps: list[bytes | int]) -> None:
    assert ours(seed, steps) == theirs(seed, steps)


def test_personalisation_sets_apart() -> None:
    assert Drbg(b"seed", b"a").draw(8) != Drbg(b"seed", b"b").draw(8)
