"""Sets of cipher suites by number (IANA, TLS Cipher Suites)."""

from __future__ import annotations

from typing import Final


def _suites(numbers: str) -> frozenset[int]:
    return frozenset(int(n, 16) for n in numbers.split())


WEAK: Final = _suites(
    "0000 0001 0002 0003 0004 0005 0006 0007 0008 0009 "  # RSA with NULL, RC4, RC2, IDEA, DES, export
    "000B 000C 000E 000F 0011 0012 0014 0015 "  # DH and DHE with DES, export
    "0017 0018 0019 001A 001B 0034 003A 0046 006C 006D 0089 009B 00A6 00A7 00BF 00C5 "  # DH_anon
    "002C 002D 002E 003B 00B0 00B1 00B4 00B5 00B8 00B9 "  # NULL
    "C001 C002 C006 C007 C00B C00C C010 C011 "  # ECDH and ECDHE with NULL, RC4
    "C015 C016 C017 C018 C019 C033 C039 C03A C03B"  # ECDH_anon, ECDHE_PSK with RC4, NULL
)
"""NULL, anonymous, export, RC2, RC4, IDEA, DES."""
PLAIN_RSA: Final = _suites(
    "0001 0002 0003 0004 0005 0006 0007 0008 0009 000A 002F 0035 003B 003C 003D 0041 0084 0096 009C 009D 00BA 00C0 "
    "C09C C09D C0A0 C0A1"
)
"""RSA key exchange: no forward secrecy."""
EPHEMERAL: Final = _suites(
    "0033 0039 0067 006B 009E 009F C006 C007 C008 C009 C00A C010 C011 C012 C013 C014 C023 C024 C027 C028 C02B C02C "
    "C02F C030 C0AC C0AD C0AE C0AF CCA8 CCA9 CCAA"
)
"""DHE and ECDHE with certificates: the ServerKeyExchange is signed."""
GCM: Final = _suites("009C 009D 009E 009F C02B C02C C02D C02E C02F C030 C031 C032")
"""AES-GCM: a sealed record begins with its explicit nonce of 8 bytes (RFC 5288)."""
