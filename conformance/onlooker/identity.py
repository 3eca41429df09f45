"""Who a controller is, as far as a capture tells: authorities and keys that are learned while looking on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, cast

from conformance.abstraction import Identity
from conformance.capture.context import Context
from conformance.wire.certificates import Authorities, Seen
from conformance.wire.records import ContentType, Record
from conformance.wire.secrets import OVERHEAD, KeyLog, SessionKeys
from model.alphabet import SSS_ID, Ca

LABELS: Final = (Ca.PROVISIONING, Ca.RUNTIME)
MOST_CERTIFICATES: Final = 256
"""Certificates whose classification is remembered, by device."""


class SeenAuthorities(Authorities):
    """Authorities that remember which certificates they have looked at: most come again in every session."""

    def __init__(self) -> None:
        self._seen_before: dict[bytes, Seen] = {}
        super().__init__({})

    def add(self, label: str, der: bytes) -> None:
        """Know one more."""
        self._seen_before.clear()
        super().add(label, der)

    def classify(self, der: bytes) -> Seen:
        """Look at one DER certificate."""
        found = self._seen_before.get(der)
        if found is None:
            if len(self._seen_before) >= MOST_CERTIFICATES:
                self._seen_before.clear()
            found = self._seen_before[der] = super().classify(der)
        return found


@dataclass
class SeenIdentity(Identity):
    """An identity that may begin empty."""

    labels: set[Ca] = field(default_factory=set)
    """The authorities that are known."""
    on_wire: bool = False
    """Whether the message at hand moves on the SSS wire: both ends show their provisioning set there (CRT-2)."""

    @classmethod
    def of(cls, me: int, facts: Context) -> SeenIdentity:
        """From what a context says, if anything. An authority that does not parse counts as not told."""
        settled = facts.suite, facts.cn_pattern, facts.wide_response
        identity = cls(me, SeenAuthorities(), facts.keys.get(me, b""), None, *settled)
        for label in LABELS:
            if label.name in facts.authorities:
                identity.learn(label, facts.authorities[label.name])
        return identity

    def learn(self, label: Ca, der: bytes) -> None:
        """Know one more authority."""
        try:
            self.authorities.add(label.name, der)
        except ValueError:
            return
        self.labels.add(label)

    @property
    def unknown(self) -> tuple[Ca, ...]:
        """The authorities that nobody has told."""
        return tuple(label for label in LABELS if label not in self.labels)

    def peer_certificate(self, chain: tuple[bytes, ...]) -> tuple[Ca, int]:
        """As for any identity; the SSS's certificate is that of the provisioning CA itself (CRT-6)."""
        ca, cn = super().peer_certificate(chain)
        if self.on_wire and ca is Ca.OTHER and cn == SSS_ID and Ca.PROVISIONING not in self.labels:
            self.learn(Ca.PROVISIONING, chain[0])
            return super().peer_certificate(chain)
        return ca, cn

    def own_certificate(self, chain: tuple[bytes, ...]) -> Ca:
        """As for any identity; what it shows the SSS has its provisioned key (CRT-2, CRT-8)."""
        if self.on_wire and chain and not self.provisioning_key:
            self.provisioning_key = self.authorities.classify(chain[0]).public_key or b""
        return super().own_certificate(chain)


class _Sealed:
    """Stands for the keys of a session whose secret is unknown: takes each record at its word.

    AES-GCM hides no lengths, so sizes are right; the bytes are zeros, and an alert counts as close_notify.
    """

    def open(self, record: Record, from_client: bool) -> bytes | None:  # noqa: ARG002
        size = len(record.fragment) - OVERHEAD
        if size < 0:
            return None
        return b"\1\0" if record.content_type is ContentType.ALERT else bytes(size)


class OnlookerKeyLog(KeyLog):
    """A key log that also has an answer for sessions whose secrets it does not know."""

    def __init__(self, keylog: KeyLog) -> None:
        super().__init__()
        self._keylog = keylog

    def keys(self, client_random: bytes, server_random: bytes, suite: int) -> SessionKeys | None:
        """The keys; if only the secret is missing, something that takes sealed records at their word."""
        if suite and self._keylog.master(client_random) is None:
            return cast(SessionKeys, _Sealed())
        return self._keylog.keys(client_random, server_random, suite)


def sealed(keys: SessionKeys | None) -> bool:
    """Whether a session's records were taken at their word."""
    return isinstance(keys, _Sealed)
