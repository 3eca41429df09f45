"""What opens sealed records: master secrets from key logs, and private keys of servers with plain RSA key exchange."""

from __future__ import annotations

import warnings
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from conformance.wire.secrets import KeyLog

PREMASTER_SIZE: Final = 48
_REFUSALS: Final = (ValueError, TypeError, UnsupportedAlgorithm)


class Secrets:
    """Session secrets and RSA keys. They may grow while a tracker uses them. Its text form shows no secret."""

    def __init__(self, key_log: KeyLog | None = None) -> None:
        self._key_log = KeyLog() if key_log is None else key_log
        self._rsa: dict[bytes, rsa.RSAPrivateKey] = {}
        """By public key, DER SubjectPublicKeyInfo."""

    def add_key_log(self, text: str) -> int:
        """Note the CLIENT_RANDOM lines of a key log; return how many there were."""
        return sum(self._key_log.add_line(line) for line in text.splitlines())

    def add_key(self, data: bytes) -> bool:
        """Note a private key, PEM or DER, not encrypted. Raises ValueError if it is no such key.

        False for a key that opens nothing: with ECDHE the secrets of a session follow from no key that lasts.
        """
        load = load_pem_private_key if b"-----BEGIN" in data[:4096] else load_der_private_key
        try:
            key = load(data, None)
        except _REFUSALS as error:
            raise ValueError(f"no private key in PEM or DER without a password ({type(error).__name__})") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            return False
        self._rsa[_spki(key.public_key())] = key
        return True

    def add(self, data: bytes) -> str:
        """Note what a file holds, a key log or a private key; say what it was. Raises ValueError if it is neither."""
        if count := self.add_key_log(data.decode("ascii", errors="replace")):
            return f"a key log with {count} session secret{'s' if count > 1 else ''}"
        try:
            useful = self.add_key(data)
        except ValueError as error:
            raise ValueError(f"neither a key log (no CLIENT_RANDOM line) nor a private key: {error}") from None
        if useful:
            return "an RSA private key"
        return "a private key that is not RSA: it opens nothing, for ECDHE sessions are opened by a key log alone"

    def master(self, client_random: bytes) -> bytes | None:
        """The master secret (48 bytes) of the session that this client random began, if known."""
        return self._key_log.master(client_random)

    def __len__(self) -> int:
        return len(self._key_log) + len(self._rsa)

    def premaster(self, certificate: bytes, key_exchange: bytes, version: int) -> bytes | bool:
        """The premaster secret (48 bytes) in the body of an RSA ClientKeyExchange.

        `certificate` is the server's, DER; empty if it was not seen: then every key is tried. `version` is the
        ClientHello's. False if the server's key is not here; True if it is and the exchange does not fit it.
        """
        keys = list(self._rsa.values())
        if certificate:
            public = _certificate_key(certificate)
            keys = [self._rsa[public]] if public in self._rsa else []
        encrypted = key_exchange[2:]
        for key in keys if len(encrypted) == int.from_bytes(key_exchange[:2], "big") else []:
            try:
                premaster = key.decrypt(encrypted, padding.PKCS1v15())
            except ValueError:
                continue
            # OpenSSL gives random bytes for a wrong padding: length and version tell (RFC 5246, section 7.4.7.1).
            if len(premaster) == PREMASTER_SIZE and int.from_bytes(premaster[:2], "big") == version:
                return premaster
        return bool(keys and certificate)


def _certificate_key(der: bytes) -> bytes | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oddities that the library tolerates
        try:
            return _spki(x509.load_der_x509_certificate(der).public_key())
        except (*_REFUSALS, x509.InvalidVersion):
            return None


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
