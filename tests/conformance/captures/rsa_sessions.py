"""The historic system's key exchange: TLS_RSA_WITH_AES_256_CBC_SHA256 between two RSA identities, made anew each time.

Mbed TLS at both ends, driven by the reference's `Session`, so that every byte follows from the seed.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import functools
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reference import mbedtls_c as c
from reference.credentials import Chain, Credentials, Peer
from reference.dtls import Configuration, Session

RSA_AES_256_CBC_SHA256 = 0x003D
BEGIN, END = dt.datetime(2021, 1, 1), dt.datetime(2051, 1, 1)
PRIMES = {"ca": (836, 1646), "client": (222, 432), "server": (740, 2760)}
"""By identity: how far its two 1,024-bit primes lie above the numbers that its name hashes to."""

c.tls.mbedtls_ssl_conf_extended_master_secret.restype = None
c.tls.mbedtls_ssl_conf_extended_master_secret.argtypes = (ctypes.c_void_p, ctypes.c_char)


BADCERT_BAD_PK = 0x8000
"""Verification flag (x509.h): a key of another kind than P-256, in our profile."""


class RsaPeer(Peer):
    """A peer of the historic profile: its key may be RSA's."""

    def faults(self, der: bytes, leaf: bool) -> int:
        return super().faults(der, leaf) & ~BADCERT_BAD_PK


class RsaSession(Session):
    """A session of the historic suite, with the extensions that its stack may or may not have had."""

    server_hello_done_seq = 4  # no ServerKeyExchange
    extended_master_secret = False
    encrypt_then_mac = False

    def _configure(self, chain: Chain, suite: int) -> Configuration:
        made = super()._configure(chain, suite)
        c.tls.mbedtls_ssl_conf_extended_master_secret(made.config, bytes([self.extended_master_secret]))
        c.tls.mbedtls_ssl_conf_encrypt_then_mac(made.config, bytes([self.encrypt_then_mac]))
        return made


@dataclass(frozen=True)
class RsaIdentity:
    certificate: bytes
    key: rsa.RSAPrivateKey

    @property
    def pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def credentials(self, ca: RsaIdentity) -> Credentials:
        der = self.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return Credentials(ca.certificate, self.certificate, bytearray(der))


@functools.cache
def rsa_identity(who: str, cn: str) -> RsaIdentity:
    """One of `PRIMES`; issued by "ca", which issues itself."""
    p, q = (_prime(who, which, offset) for which, offset in zip("pq", PRIMES[who], strict=True))
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    key = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()
    issuer = None if who == "ca" else rsa_identity("ca", "1")
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(cn))
        .issuer_name(_name("1"))
        .public_key(key.public_key())
        .serial_number(int(cn))
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return RsaIdentity(certificate.public_bytes(Encoding.DER), key)


def _prime(who: str, which: str, offset: int) -> int:
    digest = hashlib.shake_256(f"scewl captures {who} {which}".encode()).digest(128)
    return (int.from_bytes(digest, "big") | 3 << 1022 | 1) + offset


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
