"""What a deployment may settle differently (protocol page, sections 3, 4 and 6), as every node of it must know it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ECDHE_AES_256, ECDHE_AES_128 = 0xC02C, 0xC02B
"""TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 and TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 (DTL-2)."""
RSA_AES_256, RSA_AES_128 = 0x009D, 0x009C
"""TLS_RSA_WITH_AES_256_GCM_SHA384 and TLS_RSA_WITH_AES_128_GCM_SHA256 (RFC 5288): the historic key exchange."""
RSA_SUITES: Final = (RSA_AES_256, RSA_AES_128)

SUITE_NAMES: Final = MappingProxyType(
    {"aes256": ECDHE_AES_256, "aes128": ECDHE_AES_128, "rsa-aes256": RSA_AES_256, "rsa-aes128": RSA_AES_128}
)
"""The suites by the name that files and options of a deployment give them."""
LAYOUTS: Final = MappingProxyType({"10-byte": False, "22-byte": True})
"""Registration responses by the size of their header, as files and options name it; True: `Dialect.wide_response`."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The settings of a deployment; by default those of the protocol page."""

    suite: int = ECDHE_AES_256
    """The one cipher suite (DTL-2); with one of `RSA_SUITES` all keys are RSA keys of 2,048 bits."""
    cn_pattern: str = "{id}"
    """How a provisioning CN is made from a SED's id (CRT-7)."""
    wide_response: bool = False
    """Registration responses with the 22-byte header of the last historic build (section 6)."""
    first_timeout: int | None = None
    last_timeout: int | None = None
    """Milliseconds: the first retransmission timeout and the cap of its doubling; None: the protocol's (DTL-6)."""
    idle_timeout: int = 60_000
    """Milliseconds (SES-7)."""

    @property
    def rsa(self) -> bool:
        """Whether keys are exchanged by RSA, without forward secrecy."""
        return self.suite in RSA_SUITES

    @property
    def of_deployment(self) -> tuple[int, str, bool]:
        """What all nodes of a deployment must agree on: suite, names and layout. Timers are each controller's own."""
        return self.suite, self.cn_pattern, self.wide_response

    def words(self) -> str:
        """The same for people."""
        layout = layout_name(self.wide_response)
        return f"the suite {suite_name(self.suite)}, the names {self.cn_pattern!r} and {layout} responses"


STANDARD: Final = Dialect()


def suite_name(suite: int) -> str:
    """The name of a suite in `SUITE_NAMES`."""
    return next(name for name, number in SUITE_NAMES.items() if number == suite)


def layout_name(wide_response: bool) -> str:
    """The name of a layout in `LAYOUTS`."""
    return next(name for name, wide in LAYOUTS.items() if wide == wide_response)
