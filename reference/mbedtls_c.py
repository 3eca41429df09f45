"""The C interface of the Mbed TLS library that python-mbedtls brings along, for the few modules that use it (0006).

python-mbedtls's own classes lose datagram boundaries, draw cookie keys from the operating system and reset a session
when they raise; a reference whose bytes must be the same in every run cannot live with that. So its library is used
directly, through functions of Mbed TLS's documented interface. Three things are checked when this module is imported,
and each failure is an `ImportError` that says what to do: the version (the constants below are those of 2.28), the room
that the opaque structures take, and the one place where the library asks the wall clock.

The wall clock: Mbed TLS 2.28 puts `time(NULL)` into the first four bytes of both hello randoms and there is no setting
against it. Its import slot for `time` is therefore pointed at `_time`, which asks `time_source`: `dtls` draws from the
generator of the session that runs. Certificate dates, which the X.509 library judges by the wall clock, are left to the
verify callbacks.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Callable
from pathlib import Path

import mbedtls

VERSION = 0x021C_0000
"""2.28, without the patch level, as `mbedtls_version_get_number` gives it."""

# Return values (ssl.h).
WANT_READ = -0x6900
TIMEOUT = -0x6800
HELLO_VERIFY_REQUIRED = -0x6A80
PEER_CLOSE_NOTIFY = -0x7880
FATAL_ALERT = -0x7780

# Arguments (ssl.h, x509.h, md.h, ecp.h).
IS_CLIENT, IS_SERVER = 0, 1
TRANSPORT_DATAGRAM = 1
PRESET_DEFAULT = 0
VERIFY_REQUIRED = 2
MAJOR_VERSION_3, MINOR_VERSION_3 = 3, 3
DISABLED, ENABLED = 0, 1
MD_SHA256, MD_SHA384 = 6, 7
ECP_DP_SECP256R1 = 3
ALERT_FATAL, ALERT_HANDSHAKE_FAILURE = 2, 40

# Verification flags (x509.h).
BADCERT_EXPIRED = 0x01
BADCERT_CN_MISMATCH = 0x04
BADCERT_NOT_TRUSTED = 0x08
BADCERT_OTHER = 0x0100
BADCERT_FUTURE = 0x0200
BADCERT_BAD_PK = 0x8000

ROOM = 4096
"""Bytes set aside for each opaque structure; `_check_room` makes sure that they are enough."""

SendCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
RecvCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
RandomCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
SetTimerCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
GetTimerCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
VerifyCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_uint32)
)
CookieWriteCallback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
)
CookieCheckCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t
)
KeysCallback = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
)
_TimeCallback = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)


class Buffer(ctypes.Structure):
    """`mbedtls_x509_buf`: where some DER lies."""

    _fields_ = (("tag", ctypes.c_int), ("size", ctypes.c_size_t), ("start", ctypes.c_void_p))


class Certificate(ctypes.Structure):
    """The beginning of `mbedtls_x509_crt`, as far as it is read here; `credentials` checks it against known bytes."""

    _fields_ = (("own_buffer", ctypes.c_int), ("raw", Buffer))


_Room = ctypes.c_uint64 * (ROOM // 8)


def room() -> ctypes.Array[ctypes.c_uint64]:
    """Zeroed, aligned memory for one opaque structure."""
    return _Room()


def _load(stem: str) -> ctypes.CDLL:
    folder = Path(mbedtls.__file__).parent.parent / "python_mbedtls.libs"
    found = sorted(folder.glob(f"lib{stem}-*.so*"))
    if len(found) != 1:
        raise ImportError(
            f"python-mbedtls brings no single lib{stem}: install its wheel for Linux (pip, not a source build)"
        )
    return ctypes.CDLL(str(found[0]))


crypto = _load("mbedcrypto")
x509 = _load("mbedx509")
tls = _load("mbedtls")

_P, _I, _U, _N = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_size_t
_PROTOTYPES: dict[ctypes.CDLL, dict[str, tuple[object, ...]]] = {
    crypto: {
        "mbedtls_version_get_number": (_U,),
        "mbedtls_mpi_init": (None, _P),
        "mbedtls_mpi_free": (None, _P),
        "mbedtls_mpi_gen_prime": (_I, _P, _N, _I, RandomCallback, _P),
        "mbedtls_mpi_write_binary": (_I, _P, _P, _N),
        "mbedtls_pk_init": (None, _P),
        "mbedtls_pk_free": (None, _P),
        "mbedtls_pk_parse_key": (_I, _P, _P, _N, _P, _N),
        "mbedtls_md_info_from_type": (_P, _I),
        "mbedtls_hmac_drbg_init": (None, _P),
        "mbedtls_hmac_drbg_free": (None, _P),
        "mbedtls_hmac_drbg_seed_buf": (_I, _P, _P, ctypes.c_char_p, _N),
        "mbedtls_hmac_drbg_update_ret": (_I, _P, ctypes.c_char_p, _N),
        "mbedtls_hmac_drbg_random": (_I, _P, _P, _N),
    },
    x509: {
        "mbedtls_x509_crt_init": (None, _P),
        "mbedtls_x509_crt_free": (None, _P),
        "mbedtls_x509_crt_parse_der": (_I, _P, ctypes.c_char_p, _N),
        "mbedtls_x509_crt_verify": (_I, _P, _P, _P, _P, ctypes.POINTER(_U), VerifyCallback, _P),
    },
    tls: {
        "mbedtls_ssl_init": (None, _P),
        "mbedtls_ssl_free": (None, _P),
        "mbedtls_ssl_setup": (_I, _P, _P),
        "mbedtls_ssl_config_init": (None, _P),
        "mbedtls_ssl_config_free": (None, _P),
        "mbedtls_ssl_config_defaults": (_I, _P, _I, _I, _I),
        "mbedtls_ssl_conf_authmode": (None, _P, _I),
        "mbedtls_ssl_conf_verify": (None, _P, VerifyCallback, _P),
        "mbedtls_ssl_conf_rng": (None, _P, RandomCallback, _P),
        "mbedtls_ssl_conf_min_version": (None, _P, _I, _I),
        "mbedtls_ssl_conf_max_version": (None, _P, _I, _I),
        "mbedtls_ssl_conf_ciphersuites": (None, _P, _P),
        "mbedtls_ssl_conf_curves": (None, _P, _P),
        "mbedtls_ssl_conf_sig_hashes": (None, _P, _P),
        "mbedtls_ssl_conf_ca_chain": (None, _P, _P, _P),
        "mbedtls_ssl_conf_own_cert": (_I, _P, _P, _P),
        "mbedtls_ssl_conf_handshake_timeout": (None, _P, _U, _U),
        "mbedtls_ssl_conf_dtls_anti_replay": (None, _P, ctypes.c_char),
        "mbedtls_ssl_conf_dtls_cookies": (None, _P, CookieWriteCallback, CookieCheckCallback, _P),
        "mbedtls_ssl_conf_renegotiation": (None, _P, _I),
        "mbedtls_ssl_conf_session_tickets": (None, _P, _I),
        "mbedtls_ssl_conf_encrypt_then_mac": (None, _P, ctypes.c_char),
        "mbedtls_ssl_conf_export_keys_ext_cb": (None, _P, KeysCallback, _P),
        "mbedtls_ssl_set_bio": (None, _P, _P, SendCallback, RecvCallback, _P),
        "mbedtls_ssl_set_timer_cb": (None, _P, _P, SetTimerCallback, GetTimerCallback),
        "mbedtls_ssl_set_mtu": (None, _P, ctypes.c_uint16),
        "mbedtls_ssl_set_client_transport_id": (_I, _P, ctypes.c_char_p, _N),
        "mbedtls_ssl_handshake": (_I, _P),
        "mbedtls_ssl_check_record": (_I, _P, _P, _N),
        "mbedtls_ssl_read": (_I, _P, _P, _N),
        "mbedtls_ssl_write": (_I, _P, ctypes.c_char_p, _N),
        "mbedtls_ssl_close_notify": (_I, _P),
        "mbedtls_ssl_send_alert_message": (_I, _P, ctypes.c_ubyte, ctypes.c_ubyte),
    },
}
for _library, _functions in _PROTOTYPES.items():
    for _name, (_result, *_arguments) in _functions.items():
        _function = getattr(_library, _name)
        _function.restype = _result
        _function.argtypes = _arguments

SHA_256 = ctypes.c_void_p(crypto.mbedtls_md_info_from_type(MD_SHA256))
"""The library's SHA-256, for its HMAC_DRBG."""
draw_from_drbg = RandomCallback(("mbedtls_hmac_drbg_random", crypto))
"""The library's own random callback, whose context is an HMAC_DRBG."""


def prime(bits: int, draw: Callable[[int], bytes]) -> int:
    """A prime of so many bits, high enough that two of them make a modulus of twice as many; `draw` gives bytes."""

    def random(_context: int | None, target: int, size: int) -> int:
        ctypes.memmove(target, draw(size), size)
        return 0

    number, data = room(), ctypes.create_string_buffer(bits // 8)
    crypto.mbedtls_mpi_init(number)
    try:
        failed = crypto.mbedtls_mpi_gen_prime(number, bits, 0, RandomCallback(random), None)
        if failed or crypto.mbedtls_mpi_write_binary(number, data, bits // 8):
            raise MemoryError(f"Mbed TLS cannot make a prime of {bits} bits ({failed})")
        return int.from_bytes(data.raw, "big")
    finally:
        crypto.mbedtls_mpi_free(number)


def _check_version() -> None:
    version = crypto.mbedtls_version_get_number()
    if version & 0xFFFF_0000 != VERSION:
        raise ImportError(f"Mbed TLS {version:#010x} is not 2.28: install python-mbedtls 2.10.1")


def _check_room() -> None:
    for initialise in (
        tls.mbedtls_ssl_init,
        tls.mbedtls_ssl_config_init,
        x509.mbedtls_x509_crt_init,
        crypto.mbedtls_pk_init,
    ):
        memory = ctypes.create_string_buffer(b"\xa5" * 2 * ROOM, 2 * ROOM)
        initialise(memory)
        used = len(memory.raw.rstrip(b"\xa5"))
        if not 0 < used <= ROOM:
            raise ImportError(
                f"{initialise.__name__} wrote {used} bytes, room is {ROOM}: install python-mbedtls 2.10.1"
            )


def wall_clock() -> int:
    """For whoever else uses the library in this process: what it would have asked itself."""
    return int(time.time())


time_source: Callable[[], int] = wall_clock
"""The library's `time()`: an unsigned 32-bit number. `dtls` sets it."""
_time = _TimeCallback(lambda _where: time_source())


def _replace_time() -> None:
    """Point the library's import slot for `time` at `_time`."""
    image = Path(tls._name).read_bytes()
    slots, known = _imports(image, b"time", b"mbedtls_ssl_init")
    address = ctypes.cast(tls.mbedtls_ssl_init, ctypes.c_void_p).value
    if len(slots) != 1 or address is None:
        raise ImportError("libmbedtls asks no clock where it should: install python-mbedtls 2.10.1 (Linux, 64-bit)")
    slot = ctypes.c_void_p.from_address(address - known + slots[0])
    libc = ctypes.cast(ctypes.CDLL(None).time, ctypes.c_void_p).value
    base = address - known
    if not _is_writable(base + slots[0]):
        raise ImportError("libmbedtls's import slots are read-only: install python-mbedtls 2.10.1's own wheel")
    if slot.value != libc and not base <= (slot.value or 0) < base + len(
        image
    ):  # bound already, or still the lazy stub
        raise ImportError("libmbedtls's slot for time() holds something else: install python-mbedtls 2.10.1")
    slot.value = ctypes.cast(_time, ctypes.c_void_p).value


def _is_writable(address: int) -> bool:
    for line in Path("/proc/self/maps").read_text("ascii", "replace").splitlines():
        span, mode = line.split()[:2]
        start, end = (int(edge, 16) for edge in span.split("-"))
        if start <= address < end:
            return "w" in mode
    return False


def _imports(image: bytes, name: bytes, export: bytes) -> tuple[list[int], int]:
    """Offsets of the import slots for `name`, and the offset of the function `export`, in a 64-bit ELF library."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise ImportError("libmbedtls is not a little-endian 64-bit ELF library: this reference runs on Linux")
    (table,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + size * n) for n in range(count)]

    def symbols(section: int) -> list[tuple[bytes, int]]:
        _, _, _, _, start, length, link, _, _, _ = sections[section]
        names = sections[link][4]
        found = []
        for at in range(start, start + length, 24):
            text, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", image, at)
            found.append((image[names + text : image.index(b"\0", names + text)], value))
        return found

    slots, known = [], 0
    for _, kind, _, _, start, length, link, _, _, _ in sections:
        if kind == 4:  # SHT_RELA
            table_of_names = symbols(link)
            for at in range(start, start + length, 24):
                offset, info, _ = struct.unpack_from("<QQq", image, at)
                if table_of_names[info >> 32][0] == name:
                    slots.append(offset)
            known = dict(table_of_names)[export] or known
    return slots, known


_check_version()
_check_room()
_replace_time()
