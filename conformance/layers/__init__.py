"""Scapy layers for SCEWL and DTLS 1.2.

    >>> from conformance.layers import DTLS, DTLSClientHello, DTLSHandshake, DTLSRecord
    >>> datagram = DTLS() / DTLSRecord() / DTLSHandshake() / DTLSClientHello(cookie=b"1234")
    >>> DTLS(bytes(datagram)).summary()
    'DTLS 1.2 ClientHello with cookie'
    >>> DTLS(bytes(datagram))[DTLSClientHello].cookie
    b'1234'

After this import Scapy's `rdpcap` knows captures of SCEWL (link type USER0, 147).

They share nothing with `conformance.wire`, the judge's parsers, nor with `reference`: shared parsers hide shared bugs.
No bytes make `DTLS`, `SCEWL` and `SCEWLCapture` raise, and each builds back to the bytes that it was given.
"""

# ruff: noqa: E402 (Scapy must not look for its folders before it was told that there are none)

from __future__ import annotations

from conformance.layers.quiet import import_scapy

import_scapy()

from conformance.layers.exact import Exact, Malformed, Opaque, dissect_exactly
from conformance.layers.extensions import EXTENSIONS, dissect_extensions
from conformance.layers.handshake import DTLSHandshake, dissect_fragments
from conformance.layers.messages import (
    DTLS_1_0,
    DTLS_1_2,
    DTLSCertificate,
    DTLSCertificateRequest,
    DTLSCertificateVerify,
    DTLSClientHello,
    DTLSClientKeyExchangeECDHE,
    DTLSClientKeyExchangeRSA,
    DTLSFinished,
    DTLSHelloRequest,
    DTLSHelloVerifyRequest,
    DTLSNewSessionTicket,
    DTLSServerHello,
    DTLSServerHelloDone,
    DTLSServerKeyExchange,
    dissect_message,
)
from conformance.layers.record import (
    DTLS,
    DTLSAlert,
    DTLSApplicationData,
    DTLSChangeCipherSpec,
    DTLSRecord,
    DTLSSealed,
    dissect_content,
    dissect_datagram,
)
from conformance.layers.scewl import SCEWL, RegistrationRequest, RegistrationResponse, SCEWLCapture

__all__ = [
    "DTLS",
    "DTLS_1_0",
    "DTLS_1_2",
    "EXTENSIONS",
    "SCEWL",
    "DTLSAlert",
    "DTLSApplicationData",
    "DTLSCertificate",
    "DTLSCertificateRequest",
    "DTLSCertificateVerify",
    "DTLSChangeCipherSpec",
    "DTLSClientHello",
    "DTLSClientKeyExchangeECDHE",
    "DTLSClientKeyExchangeRSA",
    "DTLSFinished",
    "DTLSHandshake",
    "DTLSHelloRequest",
    "DTLSHelloVerifyRequest",
    "DTLSNewSessionTicket",
    "DTLSRecord",
    "DTLSSealed",
    "DTLSServerHello",
    "DTLSServerHelloDone",
    "DTLSServerKeyExchange",
    "Exact",
    "Malformed",
    "Opaque",
    "RegistrationRequest",
    "RegistrationResponse",
    "SCEWLCapture",
    "dissect_content",
    "dissect_datagram",
    "dissect_exactly",
    "dissect_extensions",
    "dissect_fragments",
    "dissect_message",
]
