"""Deployments that have settled things as the historic system had."""

from __future__ import annotations

from pathlib import Path

import pytest
from memory_world import World

from model.alphabet import Link
from reference import records
from reference.controller import Controller, State
from reference.credentials import Credentials, CredentialsError, check
from reference.deployment import Deployment
from reference.dialect import RSA_AES_128, RSA_AES_256, Dialect
from reference.frame import Frame
from reference.image import ProvisioningError, parse_image
from reference.registration import FURTHER, Request, Response, ResponseReader
from reference.sss import Sss

HISTORIC = Dialect(RSA_AES_256, "{id}_PROVISION", wide_response=True, first_timeout=1_000, idle_timeout=30_000)
DEPLOYMENT = Deployment.create([3, 4], seed=b"historic", suite=HISTORIC.suite, cn_pattern=HISTORIC.cn_pattern)


def world(dialect: Dialect = HISTORIC, *, wide: bool = True) -> World:
    sss = Sss(DEPLOYMENT, seed=b"sss", respond=lambda r: r.encode(wide=wide), dialect=dialect)
    return World({i: Controller(DEPLOYMENT.image(i), dialect=dialect) for i in (3, 4)}, sss)


def test_two_devices_register_and_talk() -> None:
    made = world()
    made.cpu(3, 4, b"provisioned")
    assert [made.request(i, 0) for i in (3, 4)] == [0, 0]
    made.cpu(3, 4, b"registered")
    assert made.messages(4)[-1] == (3, b"registered")
    assert (3, b"provisioned") in made.messages(4)
    hellos = [f for _, medium, f in made.sent if medium == "radio" and f.payload[13:14] == b"\2"]
    assert hellos and all(b"\x00\x9d" in f.payload for f in hellos)
    kinds = {r.fragment[0] for _, _, f in made.sent for r in records.split(f.payload) if r.kind == 22 and r.epoch == 0}
    assert 12 not in kinds and 15 in kinds  # no ServerKeyExchange, but both sides prove who they are


def test_a_response_in_the_other_layout_is_refused() -> None:
    made = world(wide=False)
    assert made.request(3, 0) == -1 and not made.nodes[3].registered


def test_timers() -> None:
    made = world()
    made.nodes[3].receive(Link.CPU, Frame(9, 3, b"to nobody").encode(), 0)
    assert made.nodes[3].deadline() == 1_000
    made.run(1_000)
    assert (made.nodes[3].state, made.nodes[3].deadline()) == (State.SENDING_MESSAGE, 3_000)


def test_the_idle_timer() -> None:
    made = world()
    made.judge = lambda medium, frame: medium == "radio" and frame.payload[0] not in (21, 23)  # neither data nor alert
    made.cpu(3, 4, b"lost")
    assert made.nodes[4].deadline() == 30_000


def test_an_image_of_one_key_exchange_is_none_of_the_other() -> None:
    with pytest.raises(ProvisioningError, match="provisioning-suite"):
        parse_image(DEPLOYMENT.image(3))
    elliptic = Deployment.create([3], seed=b"x", cn_pattern=HISTORIC.cn_pattern)
    with pytest.raises(ProvisioningError, match="provisioning-suite"):
        parse_image(elliptic.image(3), HISTORIC)
    mixed = elliptic.credentials(3)
    with pytest.raises(CredentialsError, match="its key is not RSA"):
        check(Credentials(mixed.ca, mixed.certificate, mixed.key), "3_PROVISION", is_rsa=True)


def test_a_deployment_is_kept_with_its_rsa_keys(tmp_path: Path) -> None:
    made = Deployment.create([5], seed=b"kept", suite=RSA_AES_128)
    made.save(tmp_path / "d")
    loaded = Deployment.load(tmp_path / "d")
    assert loaded.rsa and loaded.image(5) == made.image(5)
    assert made.image(5) == Deployment.create([5], seed=b"kept", suite=RSA_AES_128).image(5)
    assert len({made.public_key(5), Deployment.create([5], seed=b"other", suite=RSA_AES_128).public_key(5)}) == 2


def test_the_wide_layout() -> None:
    response = Response(7, 0, b"ca", b"crt", b"key!")
    data = response.encode(wide=True)
    assert data[:22].hex() == "07000000" + "020003000400" + "300030003000300030002900"
    assert data[22:31] == b"cacrtkey!" and len(data) == 22 + 9 + sum(FURTHER) and sum(FURTHER) == 281
    assert Response(7, -1).encode(wide=True) == b"\x07\x00\xff\xff" + bytes(18)
    for chunk in (1, 21, 400):
        reader = ResponseReader(Request(7, 0), 7, wide=True)
        said = [reader.feed(data[at : at + chunk]) for at in range(0, len(data), chunk)]
        assert said[-1] == response and set(said[:-1]) <= {True}
    assert ResponseReader(Request(7, 0), 7, wide=True).feed(data + b"!") is False
