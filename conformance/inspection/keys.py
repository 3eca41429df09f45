"""What `--decrypt` names: a key log, the private key of a server with RSA key exchange, or a deployment's folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conformance.capture import Context
from conformance.sessions.secrets import Secrets
from conformance.wire.secrets import KeyLog
from reference.deployment import DeploymentError, read_index
from reference.dialect import Dialect

_MOST: Final = 64 << 20
"""Bytes of a key log that are read."""
_LABEL: Final = "CLIENT_RANDOM "
_AUTHORITY: Final = "ca.der"


@dataclass(slots=True)
class Keys:
    """The secrets of some files, and what deployments say of the controllers."""

    secrets: Secrets = field(default_factory=Secrets)
    key_log: KeyLog = field(default_factory=KeyLog)
    """The session secrets among them, for whoever has no use for other keys."""
    logs: dict[str, set[bytes]] = field(default_factory=dict)
    """By name of a key log, the client randoms of its secrets; empty once a session has one of them."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many there were."""
    notes: list[str] = field(default_factory=list)
    """What is worth saying at once, such as that a key opens nothing."""
    authorities: dict[str, bytes] = field(default_factory=dict)
    keys: dict[int, bytes] = field(default_factory=dict)
    """As a Context has them."""
    dialect: Dialect | None = None
    """What the deployment has settled."""

    def add(self, path: Path) -> None:
        """Take what a file or folder holds. Raises ValueError if it is none of the three, and OSError."""
        if path.is_dir():
            self._add_deployment(path)
            return
        with path.open("rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise ValueError(f"{path} has more than {_MOST >> 20} MB: that is no key log")
        try:
            what = self.secrets.add(data)
        except ValueError as error:
            raise ValueError(f"{path} is {error}") from None
        self._add_lines(path, data.decode("ascii", errors="replace"))
        if "opens nothing" in what:
            self.notes.append(f"{path} is {what}")

    def met(self, client_random: bytes) -> None:
        """Note a session of the capture."""
        for randoms in self.logs.values():
            if client_random in randoms:
                randoms.clear()

    def keep(self, useless: frozenset[str]) -> None:
        """Note that the other key logs have secrets of sessions."""
        for name, randoms in self.logs.items():
            if name not in useless:
                randoms.clear()

    def useless(self) -> list[tuple[str, int]]:
        """The key logs of which no session of the capture has a secret, and how many they have."""
        return [(name, self.counts[name]) for name, randoms in self.logs.items() if randoms]

    def context(self, context: Context | None) -> Context | None:
        """What a capture says of its controllers, and what deployments say beside that."""
        if not self.authorities:
            return context
        context = context or Context()
        if self.dialect and not context.suite:
            suite, cn_pattern, wide_response = self.dialect.of_deployment
            context = replace(context, suite=suite, cn_pattern=cn_pattern, wide_response=wide_response)
        return replace(
            context,
            authorities=self.authorities | dict(context.authorities),
            keys=self.keys | dict(context.keys),
        )

    def _add_lines(self, path: Path, text: str) -> None:
        found = {bytes.fromhex(line.split()[1]) for line in text.splitlines() if self.key_log.add_line(line)}
        if found:
            self.logs[str(path)] = found
            self.counts[str(path)] = len(found)

    def _add_deployment(self, folder: Path) -> None:
        """The folder that `scewl provision` makes: certificates tell who is who; only RSA keys open anything."""
        if not (folder / _AUTHORITY).is_file():
            raise ValueError(f"{folder} has no {_AUTHORITY}: it is no folder that `scewl provision` made")
        try:
            self.dialect = read_index(folder)[0]
        except DeploymentError as error:
            raise ValueError(str(error)) from None
        self.authorities["PROVISIONING"] = (folder / _AUTHORITY).read_bytes()
        for path in sorted(folder.glob("sed-*.der")):
            number = path.stem.removeprefix("sed-")
            if number.isdigit():
                self.keys[int(number)] = _public_key(path)
        useful = [self.secrets.add_key(path.read_bytes()) for path in sorted(folder.glob("*.key.der"))]
        if not any(useful):
            self.notes.append(
                f"{folder} has no RSA key: its devices use ECDHE, whose sessions only a key log opens. "
                "Its certificates tell --judge who is who"
            )


def _public_key(path: Path) -> bytes:
    """Of a certificate, DER SubjectPublicKeyInfo. Raises ValueError."""
    try:
        key = x509.load_der_x509_certificate(path.read_bytes()).public_key()
    except ValueError:
        raise ValueError(f"{path} is no certificate") from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
