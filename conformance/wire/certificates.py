"""Whose certificate is it? X.509 as far as the judge needs it (protocol page, section 3)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

# All that the library says of bytes that it does not like; these have no base in common.
_REFUSALS: Final = (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a certificate says. All None if it does not parse."""

    ca_label: str | None = None
    """Label of the authority whose key verifies it; None if no known authority's does."""
    cn: str | None = None
    """The subject's common name; None unless there is exactly one."""
    public_key: bytes | None = None
    """DER SubjectPublicKeyInfo (CRT-8)."""
    serial: int | None = None


_REMEMBERED: Final = 256
"""Certificates of which is kept what they are: a session shows the same ones again and again."""


class Authorities:
    """The authorities that a run knows, by label."""

    def __init__(self, certificates: Mapping[str, bytes]) -> None:
        """Take label → DER certificate. Raises ValueError, naming the label, if one does not parse: these are ours."""
        self._known: dict[str, x509.Certificate] = {}
        self._classified: dict[bytes, Seen] = {}
        for label, der in certificates.items():
            self.add(label, der)

    def add(self, label: str, der: bytes) -> None:
        """Know one more authority, such as the runtime CA once it exists. Raises ValueError if it does not parse."""
        self._classified.clear()
        try:
            self._known[label] = x509.load_der_x509_certificate(der)
        except _REFUSALS as error:
            raise ValueError(
                f"the certificate of authority {label!r} is no X.509 certificate in DER ({len(der)} bytes): {error}"
            ) from None

    def der(self, label: str) -> bytes | None:
        """The certificate of the authority with this label, None if there is none."""
        known = self._known.get(label)
        return None if known is None else known.public_bytes(Encoding.DER)

    def classify(self, der: bytes) -> Seen:
        """Look at one DER certificate. Dates and extensions are not judged (CRT-10).

        A known authority's own certificate counts as of that authority (CRT-6).
        """
        if (seen := self._classified.get(der)) is None:
            if len(self._classified) >= _REMEMBERED:
                self._classified.clear()
            seen = self._classified[der] = self._look(der)
        return seen

    def _look(self, der: bytes) -> Seen:
        with warnings.catch_warnings():
            # The library warns of oddities that it tolerates; a hostile certificate is data here, no event of ours.
            warnings.simplefilter("ignore")
            try:
                return self._seen(x509.load_der_x509_certificate(der))
            except _REFUSALS:
                return Seen()

    def _seen(self, certificate: x509.Certificate) -> Seen:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        cn = names[0].value if len(names) == 1 else None
        return Seen(
            ca_label=next((label for label, ca in self._known.items() if _issued(certificate, ca)), None),
            cn=cn if isinstance(cn, str) else None,
            public_key=certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            serial=certificate.serial_number,
        )


def _issued(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Whether `ca` is it or signed it: issuer name and signature."""
    if certificate == ca:
        return True
    try:
        certificate.verify_directly_issued_by(ca)
    except _REFUSALS:
        return False
    return True
