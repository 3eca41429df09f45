"""What an SSS keeps (REG-1, CRT-8): its runtime CA, who is registered with which certificate, who was removed.

One SQLite file in the deployment's folder, `sss.sqlite` (0600: it holds the runtime CA's key). Each change is one
transaction that is on the disk before anything is answered. A device is a primary key, so that it cannot be there
twice. A crash leaves the state before a change or the one after it, and SQLite's log beside the file repairs the rest.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509

from model.alphabet import DEREGISTER, REGISTER
from reference.authority import load_key
from reference.registration import Response

FILE = "sss.sqlite"
_VERSION = 1
_BUSY = 2_000
"""Milliseconds that a change waits for another program's lock; by then the device is better told no."""
_TABLES = (
    """CREATE TABLE authority (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        deployment TEXT NOT NULL, -- SHA-256 of the provisioning CA's certificate
        certificate BLOB NOT NULL,
        key BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE registered (
        device INTEGER PRIMARY KEY,
        serial TEXT NOT NULL,
        fingerprint TEXT NOT NULL, -- SHA-256 of the certificate
        since TEXT NOT NULL,
        valid_until TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE removed (device INTEGER PRIMARY KEY, since TEXT NOT NULL) STRICT",
)


class StoreError(Exception):
    """Something that could not be kept or read; the text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A device that counts as registered; times are ISO 8601 in UTC, the fingerprint SHA-256 in hex."""

    device: int
    serial: str
    fingerprint: str
    since: str
    valid_until: str


@dataclass(frozen=True, slots=True)
class Authority:
    """The runtime CA's certificate, DER, and key, SEC 1 DER."""

    certificate: bytes
    key: bytes = field(repr=False)


class Store:
    """The file. All calls but the first may come from another thread, though only from one at a time."""

    def __init__(self, folder: Path, deployment: bytes, *, busy: int = _BUSY) -> None:
        """Open it, or make it, for the deployment with this provisioning CA certificate, DER. Raises StoreError.

        `busy` is how long, in milliseconds, a change waits for another program's lock.
        """
        self.path = folder / FILE
        self._deployment = sha256(deployment).hexdigest()
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self.path.chmod(0o600)  # SQLite gives the files beside it the same mode
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be opened ({error.strerror}): make it writable for this user"
            ) from error
        # Transactions are begun and ended here, not by the module.
        self.database = sqlite3.connect(self.path, timeout=busy / 1_000, isolation_level=None, check_same_thread=False)
        try:
            with self._clear():
                self._prepare()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    def authority(self) -> Authority | None:
        """The runtime CA; None before the first start. Raises StoreError."""
        with self._clear():
            row = self.database.execute("SELECT deployment, certificate, key FROM authority").fetchone()
        if row is None:
            return None
        if row[0] != self._deployment:
            raise StoreError(f"{self.path} is of another deployment: put the file of this one back, or move it away")
        try:
            load_key(row[2])
        except ValueError as error:
            raise StoreError(f"{self.path} holds no usable runtime CA key ({error}): restore it") from error
        return Authority(row[1], row[2])

    def registrations(self) -> list[Registration]:
        """Who counts as registered, by id. Raises StoreError."""
        with self._clear():
            rows = self.database.execute(
                "SELECT device, serial, fingerprint, since, valid_until FROM registered ORDER BY device"
            )
            return [Registration(*row) for row in rows]

    def removed(self) -> dict[int, str]:
        """Who was removed (CRT-8), by id, and since when. Raises StoreError."""
        with self._clear():
            return dict(self.database.execute("SELECT device, since FROM removed ORDER BY device"))

    # --- changing ----------------------------------------------------------------------------------------------------

    def found(self, certificate: bytes, key: bytes) -> None:
        """Keep the runtime CA that the first start made. Raises StoreError."""
        with self._change():
            self.database.execute("INSERT INTO authority VALUES (1, ?, ?, ?)", (self._deployment, certificate, key))

    def keep(self, granted: Sequence[Response], since: datetime) -> None:
        """Keep what granted requests change, all of them or, if it raises StoreError, none."""
        rows = [_row(response, since) for response in granted if response.op == REGISTER]
        with self._change():
            for response in granted:
                if response.op == DEREGISTER:
                    self.database.execute("DELETE FROM registered WHERE device = ?", (response.dev_id,))
            for row in rows:
                # A device that was removed in the meantime stays out.
                self.database.execute(
                    "INSERT OR REPLACE INTO registered SELECT ?, ?, ?, ?, ?"
                    " WHERE NOT EXISTS (SELECT 1 FROM removed WHERE device = ?)",
                    (*row, row[0]),
                )

    def remove(self, device: int, since: datetime) -> bool:
        """Keep that a device is refused from now on (CRT-8). Returns whether it was registered. Raises StoreError."""
        with self._change():
            self.database.execute("INSERT OR IGNORE INTO removed VALUES (?, ?)", (device, _text(since)))
            return self.database.execute("DELETE FROM registered WHERE device = ?", (device,)).rowcount > 0

    # --- inside ------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        execute = self.database.execute
        execute("PRAGMA journal_mode = WAL")  # one write per change instead of three
        execute("PRAGMA synchronous = FULL")  # on the disk when it says so
        (version,) = execute("PRAGMA user_version").fetchone()
        if version == 0:
            with self._change():
                (version,) = execute("PRAGMA user_version").fetchone()  # another program may have been first
                for table in _TABLES if version == 0 else ():
                    execute(table)
                execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise StoreError(f"{self.path} is of version {version}, not {_VERSION}: use the program that wrote it")
        (verdict,) = execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"{self.path} is damaged ({verdict}): restore it from a copy")

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._clear():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                raise

    @contextmanager
    def _clear(self) -> Iterator[None]:
        """Say what SQLite says in words that tell what to do."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorname", "").removeprefix("SQLITE_").partition("_")[0]
            advice = _ADVICE.get(code, "see to the file")
            raise StoreError(f"{self.path}: {error}: {advice}") from error


_ADVICE = {
    "FULL": "make room on the disk",
    "IOERR": "see to the disk",
    "BUSY": "another program holds it; end that program's transaction",
    "LOCKED": "another program holds it; end that program's transaction",
    "READONLY": "make the file and its folder writable for this user",
    "CANTOPEN": "make the file and its folder writable for this user",
    "NOTADB": "restore it from a copy, or move it away to start without any registration",
    "CORRUPT": "restore it from a copy, or move it away to start without any registration",
}
"""What to do, by SQLite's primary error code."""


def _row(granted: Response, since: datetime) -> tuple[int, str, str, str, str]:
    certificate = x509.load_der_x509_certificate(granted.certificate)
    return (
        granted.dev_id,
        str(certificate.serial_number),
        sha256(granted.certificate).hexdigest(),
        _text(since),
        _text(certificate.not_valid_after_utc),
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
