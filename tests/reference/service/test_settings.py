"""The service with the settings of 2021: RSA keys, names such as `10_PROVISION`, the 22-byte response layout."""

from __future__ import annotations

import functools
from datetime import timedelta
from pathlib import Path

import pytest
from test_server import run
from wires import DEPLOYMENT, HOSTILE, Device, running, siege

from reference.authority import derive, key_der, new_key, remembered_rsa_key
from reference.controller import Controller
from reference.credentials import Credentials
from reference.deployment import VALID_FROM, VALID_TO, Deployment
from reference.dialect import RSA_AES_256, Dialect
from reference.service.limits import Limits

FEW_KEYS = Limits(keys=1)
"""An RSA key takes a tenth of a second."""


@functools.cache
def made(authority: bytes = b"historic") -> Deployment:
    return Deployment.create(
        [10, 11], seed=authority, suite=RSA_AES_256, cn_pattern="{id}_PROVISION", wide_response=True
    )


def historic() -> Deployment:
    """As it is loaded: nobody is removed in it."""
    deployment = made()
    return Deployment(
        deployment.authority, dict(deployment.seds), deployment.suite, deployment.cn_pattern, wide_response=True
    )


def pretender(deployment: Deployment, name: str, *, rsa: bool) -> Controller:
    """A device 10 with a certificate of the right authority, in the right name, for a key of either kind."""
    key = remembered_rsa_key(b"pretender") if rsa else new_key(b"pretender")
    certificate = deployment.authority.issue(name, key.public_key(), 10, VALID_FROM, VALID_TO)
    own = Credentials(deployment.authority.certificate, certificate, bytearray(key_der(key)))
    return Controller.from_credentials(
        10, own, derive(b"pretender", name), suite=deployment.suite, dialect=deployment.dialect
    )


def test_devices_register_and_their_runtime_keys_are_rsas(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, FEW_KEYS, historic()) as now:
            devices = [Device(i, made()) for i in (10, 11)]
            streams = [await now.connect() for _ in devices]
            for device, wire in zip(devices, streams, strict=True):
                assert await device.ask(wire, 0) == 0
                assert device.controller.registered and device.now == 0
            assert [row.device for row in now.store.registrations()] == [10, 11]
            assert await devices[0].ask(streams[0], 0) == 0, "REG-5"
            assert await devices[0].ask(streams[0], 1) == 1
        assert {line["event"] for line in now.lines()} == {"registered", "deregistered", "disconnected"}

    run(test)


def test_a_restart_keeps_the_runtime_authority_with_its_rsa_key(tmp_path: Path) -> None:
    async def test() -> None:
        kept = []
        for op in (0, 1):
            async with running(tmp_path, FEW_KEYS, historic()) as now:
                assert await Device(10, made(), entropy=bytes([op])).ask(await now.connect(), op) == op
                kept.append(now.store.authority())
        assert kept[0] == kept[1] is not None

    run(test)


def test_a_device_of_the_other_layout_is_served_and_says_no_to_its_cpu(tmp_path: Path) -> None:
    """It counts as registered, as after a lost response; with the right layout it gets registered (REG-5)."""

    async def test() -> None:
        async with running(tmp_path, FEW_KEYS, historic()) as now:
            wrong = Device(10, made())
            dialect = Dialect(made().suite, made().cn_pattern, wide_response=False)
            wrong.controller = Controller(made().image(10), dialect=dialect)
            assert await wrong.ask(await now.connect(), 0) == -1 and not wrong.controller.registered
            assert await Device(10, made(), entropy=b"mended").ask(await now.connect(), 0) == 0
            assert now.service.figures.counters["registered"] == 2
            assert now.service.figures.counters["internal_errors"] == 0

    run(test)


@pytest.mark.parametrize(
    ("rsa", "name", "reason"),
    [
        (False, "10_PROVISION", "key of another kind than this deployment's, not the key of a device that is accepted"),
        (True, "10_PROVISION", "not the key of a device that is accepted"),
        (True, "10", "in another name, not the key of a device that is accepted"),
    ],
)
def test_a_certificate_of_the_right_authority_alone_is_refused(
    tmp_path: Path, rsa: bool, name: str, reason: str
) -> None:
    async def test() -> None:
        async with running(tmp_path, FEW_KEYS, historic()) as now:
            liar = Device(10, made())
            liar.controller = pretender(made(), name, rsa=rsa)
            assert await liar.ask(await now.connect(), 0) == -1
            assert now.store.registrations() == []
        assert [line["reason"] for line in now.lines() if line["event"] == "failed"] == [
            f"the certificate is refused: {reason}"
        ]

    run(test)


def test_an_rsa_certificate_is_refused_where_keys_are_on_p256(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as now:
            liar = Device(10)
            liar.controller = pretender(DEPLOYMENT, "10", rsa=True)
            assert await liar.ask(await now.connect(), 0) == -1
            assert await Device(10).ask(await now.connect(), 0) == 0, "it is held against nobody"
        (failed,) = [line["reason"] for line in now.lines() if line["event"] == "failed"]
        assert "key of another kind than this deployment's" in failed

    run(test)


def test_a_device_of_the_other_key_exchange_is_refused_with_an_alert(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, FEW_KEYS, historic()) as now:
            other = Device(10)
            assert await other.ask(await now.connect(), 0) == -1
            assert other.now == 0, "it did not have to wait for a timeout"
            assert await Device(10, made()).ask(await now.connect(), 0) == 0

    run(test)


def test_besieged_by_every_kind(tmp_path: Path) -> None:
    """Most of them, and those who begin handshakes, speak the other key exchange; two more are of another authority."""

    async def test() -> None:
        async with running(tmp_path, FEW_KEYS, historic()) as now, siege(now.path, len(HOSTILE)):
            for _ in range(2):
                assert await Device(10, made(b"foreign")).ask(await now.connect(), 0) == -1
            assert await Device(10, made()).ask(await now.connect(), 0) == 0
            assert now.service.figures.counters["internal_errors"] == 0

    run(test)


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, FEW_KEYS, historic()) as now:
            now.date[0] = VALID_TO + timedelta(days=1)
            assert await Device(10, made()).ask(await now.connect(), 0) == -1
        assert "expired" in next(line["reason"] for line in now.lines() if line["event"] == "failed")

    run(test)
