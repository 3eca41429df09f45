"""What --decrypt takes; its messages are tested with the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_kinds import made
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conformance.capture import Context
from conformance.inspection.keys import Keys
from reference.deployment import Deployment
from reference.dialect import ECDHE_AES_128, RSA_AES_256


def test_a_deployment_says_who_is_who(tmp_path: Path) -> None:
    deployment = Deployment.create([10, 11], seed=b"a")
    deployment.save(tmp_path / "d")
    keys = Keys()
    keys.add(tmp_path / "d")
    assert keys.keys == {sed: deployment.public_key(sed) for sed in (10, 11)}
    assert keys.context(None).authorities == {"PROVISIONING": deployment.authority.certificate}
    stated = Context(virtual=True, authorities={"RUNTIME": b"r"}, keys={10: b"stated"}, boots={10: (0,)})
    both = keys.context(stated)
    assert both.virtual and both.boots == {10: (0,)} and set(both.authorities) == {"PROVISIONING", "RUNTIME"}
    assert both.keys[10] == b"stated" and both.keys[11] == deployment.public_key(11)
    public = x509.load_der_x509_certificate(deployment.seds[10].certificate).public_key()
    assert keys.keys[10] == public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert Keys().context(stated) is stated


def test_a_deployment_says_what_is_settled(tmp_path: Path) -> None:
    """Unless the capture says it: then that is about these devices, whatever the folder is."""
    settled = {"suite": RSA_AES_256, "cn_pattern": "{id}_PROVISION", "wide_response": True}
    Deployment.create([10], seed=b"a", **settled).save(tmp_path / "d")
    keys = Keys()
    keys.add(tmp_path / "d")
    for context in (None, Context(virtual=True)):
        told = keys.context(context)
        assert (told.suite, told.cn_pattern, told.wide_response) == (RSA_AES_256, "{id}_PROVISION", True)
    told = keys.context(Context(suite=ECDHE_AES_128))
    assert (told.suite, told.cn_pattern, told.wide_response) == (ECDHE_AES_128, "{id}", False)
    (tmp_path / "d/deployment.json").write_text("{}")
    with pytest.raises(ValueError, match=r"deployment\.json is not a deployment's index .*: restore it"):
        keys.add(tmp_path / "d")


def test_a_key_log_is_useless_until_a_session_has_one_of_its_secrets(tmp_path: Path) -> None:
    ((random, master), *_) = made("register").secrets
    log = tmp_path / "log"
    log.write_text(f"# comment\nCLIENT_RANDOM {random.hex()} {master.hex()}\nCLIENT_RANDOM {'ab' * 32} {'cd' * 48}\n")
    keys = Keys()
    keys.add(log)
    keys.met(bytes(32))
    assert keys.useless() == [(str(log), 2)]
    keys.met(random)
    assert keys.useless() == []
    assert keys.key_log.master(random) == master == keys.secrets.master(random)
    assert master.hex() not in repr(keys.secrets)
