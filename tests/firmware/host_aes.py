"""The firmware's AES and DRBG, built for the host and called through ctypes. The C beside it is in masking/."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[2]
C = Path(__file__).with_name("masking")
SOURCES = ROOT / "firmware/src"
MBEDTLS = Path(os.environ.get("MBEDTLS_DIR") or ROOT / "build/mbedtls")
PARTS = (
    "aes chacha20 cipher cipher_wrap constant_time gcm hmac_drbg md memory_buffer_alloc platform platform_util sha256"
)
MASKS = 12
"""Random bytes that a key schedule and a block draw together: six each."""

ALT = ("-DMBEDTLS_AES_SETKEY_ENC_ALT", "-DMBEDTLS_AES_ENCRYPT_ALT", "-Wno-unused")
PROBES = ("-DMBEDTLS_CONFIG_FILE=<probed_config.h>", f"-I{C}", "-include", str(C / "probe.h"), "-Wno-unused")

Bytes: TypeAlias = npt.NDArray[np.uint8]


def compile_library(out: Path, sources: Sequence[Path], *flags: str) -> Path:
    """A shared library for the host. Raises AssertionError with what the compiler said."""
    command = ["gcc", "-shared", "-fPIC", "-std=c11", "-O2", "-Wall", "-Wextra", *flags, f"-I{SOURCES}"]
    command += [f"-I{MBEDTLS / 'include'}", f"-I{MBEDTLS / 'library'}", *map(str, sources), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def build_host(folder: Path) -> Path:
    """The same files as in the firmware, with the firmware's configuration, and host.c around them."""
    ours = [SOURCES / f"{name}.c" for name in ("aes_masked", "masks", "drbg")]
    library = [MBEDTLS / f"library/{name}.c" for name in [*PARTS.split(), "sha512"]]
    config = ["-DMBEDTLS_CONFIG_FILE=<mbedtls_config.h>", f"-I{ROOT / 'firmware'}"]
    return compile_library(folder / "libhost.so", [C / "host.c", *ours, *library], *config)


TEXT, SIZE, BITS = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint
SIGNATURES: dict[str, list[type]] = {
    "host_begin": [TEXT, SIZE],
    "host_setkey": [TEXT, TEXT, BITS],
    "host_crypt": [TEXT, TEXT, SIZE, TEXT],
    "host_gcm": [TEXT, BITS, TEXT, SIZE, TEXT, SIZE, TEXT, SIZE, TEXT, TEXT, SIZE],
    "host_gcm_open": [TEXT, BITS, TEXT, SIZE, TEXT, SIZE, TEXT, SIZE, TEXT, TEXT, SIZE],
    "host_drbg": [TEXT, SIZE, TEXT, SIZE, TEXT, SIZE, TEXT, SIZE],
    "host_set_requests": [ctypes.c_uint64],
    "host_draw": [TEXT, SIZE],
    "masks_draw": [TEXT, SIZE],
}


def open_host(library: Path, folder: Path) -> ctypes.CDLL:
    """A copy of that library, with a state of its own."""
    host = ctypes.CDLL(shutil.copy(library, folder / "libcopy.so"))
    for name, arguments in SIGNATURES.items():
        getattr(host, name).argtypes = arguments
    host.host_requests.restype = ctypes.c_uint64
    host.rng_failed.restype = ctypes.c_bool
    return host


def build_path(folder: Path, source: Path) -> ctypes.CDLL:
    """A masked AES, and path.c, which tells two ways through it apart."""
    common = ["-DMBEDTLS_CONFIG_FILE=<probed_config.h>", f"-I{C}", f"-I{MBEDTLS / 'include'}", f"-I{SOURCES}", *ALT]
    traced = ["gcc", "-c", "-fPIC", "-O1", "-fsanitize-coverage=trace-pc", *common]
    subprocess.run([*traced, str(source), "-o", str(folder / "traced.o")], check=True)
    library = [MBEDTLS / f"library/{name}.c" for name in ("aes", "platform_util")]
    out = compile_library(folder / "libpath.so", [folder / "traced.o", C / "path.c", *library], *common)
    path = ctypes.CDLL(str(out))
    path.path_of.restype = ctypes.c_uint64
    return path


class Probed:
    """An AES whose intermediate values are seen: Hamming weights, one row per block."""

    OF_KEY_SCHEDULE, OF_BLOCK, OF_TRANSITIONS = 1, 2, 4

    def __init__(self, library: Path) -> None:
        self._traces = ctypes.CDLL(str(library)).probe_traces
        self._traces.restype = ctypes.c_size_t
        byte_array = np.ctypeslib.ndpointer(dtype=np.uint8, flags="C_CONTIGUOUS")
        size = ctypes.c_size_t
        self._traces.argtypes = [ctypes.c_int, byte_array, size, ctypes.c_uint, byte_array]
        self._traces.argtypes += [byte_array, size, byte_array, size, byte_array]

    def traces(self, keys: Bytes, inputs: Bytes, masks: Bytes, of: int = OF_BLOCK) -> tuple[Bytes, Bytes]:
        """Samples (traces x samples) and ciphertexts. `keys` is one key or a row for each input row."""
        count = len(inputs)
        assert inputs.shape == (count, 16)
        assert masks.shape == (count, MASKS)
        step = keys.shape[1] if keys.ndim == 2 else 0
        out = np.empty((count, 16), np.uint8)
        room = self._run(of, keys, step, inputs[:1], masks[:1], np.empty((1, 0), np.uint8), out[:1])
        samples = np.empty((count, room), np.uint8)
        assert self._run(of, keys, step, inputs, masks, samples, out) == room
        return samples, out

    def _run(self, of: int, keys: Bytes, step: int, inputs: Bytes, masks: Bytes, samples: Bytes, out: Bytes) -> int:
        bits = keys.shape[-1] * 8
        length = self._traces(of, keys, step, bits, inputs, masks, len(inputs), samples, samples.shape[1], out)
        assert length > 0, "AES failed, or its traces differ in length"
        return int(length)


def build_masked(folder: Path) -> Probed:
    """The firmware's aes_masked.c with probes in it; the masks are the caller's. With masks of 0 it is a plain AES."""
    sources = [SOURCES / "aes_masked.c", C / "probe.c", MBEDTLS / "library/aes.c", MBEDTLS / "library/platform_util.c"]
    return Probed(compile_library(folder / "libmasked.so", sources, *PROBES, *ALT))


def build_plain(folder: Path) -> Probed:
    """Mbed TLS's own AES, as the firmware would use it (tables in flash, one each way), its table loads probed."""
    text = (MBEDTLS / "library/aes.c").read_text("utf-8")
    for table in range(4):
        macro = f"#define AES_FT{table}(idx) "
        load = "FT0[idx]" if table == 0 else f"ROTL{8 * table}(FT0[idx])"
        assert macro + load in text, f"Mbed TLS's aes.c has no {macro + load}"
        text = text.replace(macro + load, f"{macro}probe_word({load})")
    (folder / "aes_probed.c").write_text(text, "utf-8")
    sources = [folder / "aes_probed.c", C / "probe.c", MBEDTLS / "library/platform_util.c"]
    tables = ["-DMBEDTLS_AES_ROM_TABLES", "-DMBEDTLS_AES_FEWER_TABLES"]
    return Probed(compile_library(folder / "libplain.so", sources, *PROBES, *tables))
