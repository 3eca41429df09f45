"""What is kept: files that are damaged, foreign, newer or out of reach, and that each error says what to do."""

from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from wires import DEPLOYMENT, FOREIGN

from reference.registration import REGISTER, Request, Response
from reference.service.store import Store, StoreError
from reference.sss import Sss

CA = DEPLOYMENT.authority.certificate
WHEN = datetime(2026, 5, 1, 12, tzinfo=UTC)
SSS = Sss(DEPLOYMENT, seed=b"tests/reference/service/store")


def granted(device: int) -> Response:
    return SSS._decide(device, Request(device, REGISTER), 0)


def founded(folder: Path) -> Store:
    store = Store(folder, CA)
    store.found(*SSS.runtime_authority())
    return store


def test_what_is_kept_is_there_after_reopening(tmp_path: Path) -> None:
    store = founded(tmp_path)
    for device in (11, 10, 11):
        store.keep([granted(device)], WHEN)
    assert not store.remove(12, WHEN)
    store.close()
    store = Store(tmp_path, CA)
    rows = store.registrations()
    assert [(row.device, row.serial, row.since) for row in rows] == [
        (10, "10", "2026-05-01T12:00:00+00:00"),
        (11, "11", "2026-05-01T12:00:00+00:00"),
    ]
    assert rows[0].valid_until == "2026-01-01T08:00:00+00:00", "as the certificate says (CRT-10)"
    assert store.removed() == {12: "2026-05-01T12:00:00+00:00"}
    authority = store.authority()
    assert authority is not None and (authority.certificate, authority.key) == SSS.runtime_authority()
    store.close()


def test_a_removed_device_is_not_registered_by_a_late_decision(tmp_path: Path) -> None:
    store = founded(tmp_path)
    store.keep([granted(10)], WHEN)
    assert store.remove(10, WHEN)
    store.keep([granted(10)], WHEN)
    assert store.registrations() == []
    store.close()


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "sss.sqlite").touch(0o644)
    store = founded(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"sss.sqlite": 0o600, "sss.sqlite-wal": 0o600, "sss.sqlite-shm": 0o600}
    store.close()


def test_a_runtime_authority_is_founded_once(tmp_path: Path) -> None:
    store = founded(tmp_path)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.found(b"another", b"one")
    authority = store.authority()
    assert authority is not None and authority.certificate == SSS.runtime_ca
    store.close()


def test_a_file_of_another_deployment_is_refused(tmp_path: Path) -> None:
    founded(tmp_path).close()
    store = Store(tmp_path, FOREIGN.authority.certificate)
    with pytest.raises(StoreError, match=r"sss\.sqlite is of another deployment: put the file of this one back"):
        store.authority()
    store.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "sss.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="file is not a database: restore it from a copy"):
        Store(tmp_path, CA)


def test_a_damaged_file(tmp_path: Path) -> None:
    store = founded(tmp_path)
    for device in range(10, 26):
        store.keep([granted(device)], WHEN)
    store.close()
    path = tmp_path / "sss.sqlite"
    data = bytearray(path.read_bytes())
    data[8_192:] = bytes(len(data) - 8_192)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="restore it from a copy"):
        Store(tmp_path, CA)


def test_a_file_of_a_later_version(tmp_path: Path) -> None:
    store = founded(tmp_path)
    store.database.execute("PRAGMA user_version = 2")
    store.close()
    with pytest.raises(StoreError, match="is of version 2, not 1: use the program that wrote it"):
        Store(tmp_path, CA)


def test_an_unusable_runtime_key(tmp_path: Path) -> None:
    store = Store(tmp_path, CA)
    store.found(b"certificate", b"no key")
    with pytest.raises(StoreError, match="holds no usable runtime CA key"):
        store.authority()
    store.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be opened \(No such file or directory\): make it writable"):
        Store(tmp_path / "away", CA)


def test_a_locked_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    founded(tmp_path).close()
    store = Store(tmp_path, CA, busy=0)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked: another program holds it"):
        store.keep([granted(10)], WHEN)
    other.execute("ROLLBACK")
    other.close()
    store.keep([granted(10)], WHEN)
    assert [row.device for row in store.registrations()] == [10]
    store.close()
