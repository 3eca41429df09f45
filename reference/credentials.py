"""Credential sets (CRT-1): the check that a node makes before it uses one (CRT-5), and what it asks of a peer's.

The latter are CRT-7, CRT-8 and CRT-10.
"""

from __future__ import annotations

import ctypes
import functools
import hmac
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from cryptography.x509.oid import NameOID

from reference import mbedtls_c as c


@dataclass(slots=True)
class Credentials:
    """A CA certificate, the own certificate and the own key, all DER (the key as SEC 1 `ECPrivateKey`).

    The key is the only secret. `wipe` overwrites it; the set is useless afterwards.
    """

    ca: bytes
    certificate: bytes
    key: bytearray = field(repr=False)
    _chain: Chain | None = field(default=None, init=False, repr=False, compare=False)

    def chain(self) -> Chain:
        """The set as the library holds it, parsed at the first use. Raises CredentialsError if it cannot be."""
        if self._chain is None:
            self._chain = Chain(self)
        return self._chain

    def wipe(self) -> None:
        """Zeroise the key (CRT-4, REG-6), the library's copy too as soon as no session has it."""
        self.key[:] = bytes(len(self.key))
        self._chain = None


class CredentialsError(Exception):
    """A credential set that cannot be used. `part` is `ca`, `certificate`, `key` or `cn` (section 10)."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part}: {reason}")
        self.part = part


class Chain:
    """A credential set as the C library holds it: its own copies, which sessions only read and therefore share.

    Freed, the key zeroised, when the last of its set and of the sessions lets go of it.
    """

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError if the library cannot parse a part."""
        self.configurations: dict[Hashable, Any] = {}
        """Of `dtls`: what sessions with this set have in common, by what they do not."""
        self.ca, self.certificate, self.key = c.room(), c.room(), c.room()
        c.x509.mbedtls_x509_crt_init(self.ca)
        c.x509.mbedtls_x509_crt_init(self.certificate)
        c.crypto.mbedtls_pk_init(self.key)
        weakref.finalize(self, _free, self.ca, self.certificate, self.key)
        _parse(self.ca, credentials.ca, "ca")
        _parse(self.certificate, credentials.certificate, "certificate")
        size = len(credentials.key)
        secret = (ctypes.c_ubyte * size).from_buffer(credentials.key) if size else None
        if c.crypto.mbedtls_pk_parse_key(self.key, secret, size, None, 0):
            raise CredentialsError("key", "Mbed TLS cannot parse it")


def _free(ca: object, certificate: object, key: object) -> None:
    c.x509.mbedtls_x509_crt_free(ca)
    c.x509.mbedtls_x509_crt_free(certificate)
    c.crypto.mbedtls_pk_free(key)


def _parse(target: ctypes.Array[ctypes.c_uint64], der: bytes, part: str) -> None:
    if c.x509.mbedtls_x509_crt_parse_der(target, der, len(der)):
        raise CredentialsError(part, "Mbed TLS cannot parse it")
    if certificate_der(ctypes.addressof(target)) != der:
        raise CredentialsError(part, "bytes follow the certificate")


def certificate_der(address: int) -> bytes:
    """The DER bytes of an `mbedtls_x509_crt` in the library's memory."""
    raw = c.Certificate.from_address(address).raw
    return ctypes.string_at(raw.start, raw.size)


def check(credentials: Credentials, cn: str, *, is_rsa: bool = False) -> None:
    """Whether a node may use this set in the name `cn`: parts parse, the certificate verifies, key and name fit.
    `is_rsa`: the deployment's keys are RSA keys.

    Validity dates are not judged (CRT-10). Raises CredentialsError naming the first part that fails.
    """
    chain, flags = credentials.chain(), ctypes.c_uint32(0)
    if c.x509.mbedtls_x509_crt_verify(
        chain.certificate, chain.ca, None, None, ctypes.byref(flags), _without_dates, None
    ):
        raise CredentialsError("certificate", "it does not verify against the CA")
    try:
        certificate = x509.load_der_x509_certificate(credentials.certificate)
        public = certificate.public_key()
        name = common_name(certificate)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialsError("certificate", "it is not strict DER") from error
    try:
        private = load_der_private_key(bytes(credentials.key), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CredentialsError("key", "it is not strict DER") from error
    if not _is_of_profile(public, is_rsa):
        raise CredentialsError("certificate", "its key is not RSA" if is_rsa else "its key is not on P-256")
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) or private.public_key() != public:
        raise CredentialsError("key", "it does not fit the certificate")
    if name != cn:
        raise CredentialsError("cn", f"the certificate is for {name!r}, not {cn!r}")


def _clear_dates(_context: int | None, _certificate: int, _depth: int, flags: ctypes._Pointer[ctypes.c_uint32]) -> int:
    flags[0] &= ~(c.BADCERT_EXPIRED | c.BADCERT_FUTURE)
    return 0


_without_dates = c.VerifyCallback(_clear_dates)


def common_name(certificate: x509.Certificate) -> str | None:
    """The subject's CN, if there is exactly one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else None


@dataclass(frozen=True, slots=True)
class Peer:
    """What a node asks of a peer's certificate beyond its chain."""

    cn: str
    """The exact CN (CRT-7)."""
    at: datetime | None = None
    """The moment at which the certificates must be valid (CRT-10); None on a device, which has no clock."""
    public_key: bytes | None = None
    """The SubjectPublicKeyInfo, DER, that the certificate must hold (CRT-8); None if any will do."""
    is_rsa: bool = False
    """The deployment's keys are RSA keys."""

    def faults(self, der: bytes, leaf: bool) -> int:
        """Verification flags for one certificate of the peer's chain; 0 if nothing is wrong with it. Never raises."""
        shown = look(der)
        if shown is None:
            return c.BADCERT_OTHER
        flags = 0
        if self.at is not None:
            flags |= c.BADCERT_EXPIRED * (self.at > shown.end)
            flags |= c.BADCERT_FUTURE * (self.at < shown.begin)
        if leaf and shown.name != self.cn:
            flags |= c.BADCERT_CN_MISMATCH
        if leaf and not (shown.is_rsa if self.is_rsa else shown.is_p256):
            flags |= c.BADCERT_BAD_PK  # DTL-2
        if leaf and self.public_key is not None:
            flags |= c.BADCERT_OTHER * (not hmac.compare_digest(shown.public_key, self.public_key))
        return flags


class Shown(NamedTuple):
    """What a certificate shows to whoever judges it."""

    name: str | None
    begin: datetime
    end: datetime
    is_p256: bool
    is_rsa: bool
    public_key: bytes


@functools.lru_cache(maxsize=1_024)
def look(der: bytes) -> Shown | None:
    """Read a peer's certificate; None if it is not strict DER. Nothing of it is secret, and peers come again."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        return Shown(
            common_name(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            _is_of_profile(key, is_rsa=False),
            _is_of_profile(key, is_rsa=True),
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        )
    except Exception:  # hostile DER: whatever the parser makes of it, the certificate is refused
        return None


_FAULTS = {
    c.BADCERT_EXPIRED: "expired",
    c.BADCERT_FUTURE: "not yet valid",
    c.BADCERT_CN_MISMATCH: "in another name",
    c.BADCERT_NOT_TRUSTED: "of another authority",
    c.BADCERT_BAD_PK: "key of another kind than this deployment's",
    c.BADCERT_OTHER: "not the key of a device that is accepted",
}


def fault_names(flags: int) -> list[str]:
    """The words for verification flags; all that have no name of their own are one."""
    names = [name for flag, name in _FAULTS.items() if flags & flag]
    return names + ["not acceptable"] * bool(flags & ~sum(_FAULTS))


def _is_of_profile(key: object, is_rsa: bool) -> bool:
    if is_rsa:
        return isinstance(key, rsa.RSAPublicKey)
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
