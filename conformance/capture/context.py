"""What a capture says of itself: public facts that let an onlooker judge it. No secrets.

It is the comment of the pcapng section header, one line of JSON, so Wireshark shows it and other tools ignore it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_KEY: Final = "scewl-capture"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Context:
    """Facts about the controllers of a capture."""

    virtual: bool = False
    """Whether times are virtual: computation takes none, and timers fire to the millisecond."""
    profile: str = "hardened"
    """The model's profile that the controllers claim."""
    boots: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """By SED, when its controller was powered up, microseconds. A SED named here has all of its three links in the
    capture, every frame of them from its first boot on."""
    authorities: Mapping[str, bytes] = field(default_factory=dict)
    """CA certificates in DER by label: `PROVISIONING`, `RUNTIME`."""
    keys: Mapping[int, bytes] = field(default_factory=dict)
    """By SED, its provisioned public key, DER SubjectPublicKeyInfo (CRT-8)."""
    suite: int = 0
    """The deployment's cipher suite (DTL-2); 0 if that is not known."""
    cn_pattern: str = "{id}"
    """How it makes a provisioning CN of a SED's id (CRT-7)."""
    wide_response: bool = False
    """Its registration responses have the historic header of 22 bytes (section 6)."""

    def text(self) -> str:
        """The line of JSON."""
        facts = {
            _KEY: _VERSION,
            "virtual": self.virtual,
            "profile": self.profile,
            "boots": {str(sed): list(times) for sed, times in self.boots.items()},
            "authorities": {label: base64.b64encode(der).decode() for label, der in self.authorities.items()},
            "keys": {str(sed): base64.b64encode(der).decode() for sed, der in self.keys.items()},
            "suite": self.suite,
            "cn_pattern": self.cn_pattern,
            "wide_response": self.wide_response,
        }
        return json.dumps(facts, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Context | None:
        """The facts in a section's comment; None if it is some other comment, or damaged."""
        try:
            facts = json.loads(text)
            if facts.pop(_KEY) != _VERSION:
                return None
            return cls(
                virtual=bool(facts["virtual"]),
                profile=str(facts["profile"]),
                boots={int(sed): tuple(int(t) for t in times) for sed, times in facts["boots"].items()},
                authorities={str(k): base64.b64decode(v, validate=True) for k, v in facts["authorities"].items()},
                keys={int(sed): base64.b64decode(v, validate=True) for sed, v in facts["keys"].items()},
                suite=int(facts.get("suite", 0)),  # captures of before have none of these
                cn_pattern=str(facts.get("cn_pattern", "{id}")),
                wide_response=bool(facts.get("wide_response", False)),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
