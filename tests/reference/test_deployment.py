"""Deployments in memory and on disk."""

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509

from reference import authority, mbedtls_c
from reference.authority import remembered_rsa_key
from reference.credentials import Credentials, CredentialsError, check
from reference.deployment import Deployment, DeploymentError
from reference.dialect import RSA_AES_256, Dialect
from reference.dtls import AES_128


def test_same_seed_same_deployment() -> None:
    first, second = (Deployment.create([3, 9], seed=b"s") for _ in range(2))
    assert [first.image(i) for i in (3, 9)] == [second.image(i) for i in (3, 9)]
    assert first.sss_credentials() == second.sss_credentials()
    assert Deployment.create([3], seed=b"t").image(3) != first.image(3)


def test_without_seed_never_the_same() -> None:
    assert Deployment.create([3]).image(3) != Deployment.create([3]).image(3)


def test_ca_is_a_ca_and_a_server() -> None:
    certificate = x509.load_der_x509_certificate(Deployment.create([3], seed=b"s").authority.certificate)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert basic.critical
    assert basic.value.ca
    assert usage.value.key_cert_sign
    assert usage.value.digital_signature
    check(Deployment.create([3], seed=b"s").sss_credentials(), "1")


@pytest.mark.parametrize("ids", [[2], [0], [65_536], [-1]])
def test_ids_of_seds(ids: list[int]) -> None:
    with pytest.raises(DeploymentError, match=r"3\.\.65535"):
        Deployment.create(ids)


@pytest.mark.parametrize("pattern", ["", "id", "{id", "{id}{x}", "{}", "{id!r}"])
def test_cn_pattern_holds_the_id(pattern: str) -> None:
    with pytest.raises(DeploymentError, match="CN pattern"):
        Deployment.create([3], cn_pattern=pattern)


def test_save_and_load(tmp_path: Path) -> None:
    made = Deployment.create([3, 4], seed=b"s", suite=AES_128, cn_pattern="{id}_PROVISION")
    made.remove(4)
    folder = tmp_path / "deployment"
    made.save(folder)
    loaded = Deployment.load(folder)
    assert [loaded.image(i) for i in (3, 4)] == [made.image(i) for i in (3, 4)]
    assert (loaded.suite, loaded.cn_pattern, loaded.removed) == (AES_128, "{id}_PROVISION", {4})
    assert loaded.sss_credentials() == made.sss_credentials()
    assert loaded.public_key(4) is None
    assert loaded.public_key(3) == made.public_key(3) is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()} == {0o600}


def test_save_does_not_overwrite(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="exists already"):
        Deployment.create([3], seed=b"s").save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DeploymentError, match="cannot be made"):
        Deployment.create([3], seed=b"s").save(tmp_path / "file" / "folder")


def test_removal_lasts(tmp_path: Path) -> None:
    made = Deployment.create([3, 4], seed=b"s")
    made.save(tmp_path / "d")
    made.remove(3)
    made.save_index(tmp_path / "d")
    assert Deployment.load(tmp_path / "d").removed == {3}
    assert stat.S_IMODE((tmp_path / "d" / "deployment.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["deployment.json", "ca.der", "ca.key.der", "sed-3.der", "sed-3.key.der", "sed-3.seed"]
)
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    Deployment.create([3], seed=b"s").save(tmp_path / "d")
    (tmp_path / "d" / name).unlink()
    with pytest.raises(DeploymentError, match=name.replace(".", r"\.")):
        Deployment.load(tmp_path / "d")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ca.key.der", b"junk"),
        ("sed-3.key.der", b"junk"),
        ("ca.der", b"junk"),
        ("sed-3.der", b"junk"),
        ("sed-3.seed", b"short"),
        ("deployment.json", b"junk"),
        ("deployment.json", b"\xff"),
        ("deployment.json", b"[]"),
        ("deployment.json", b"{}"),
        ("deployment.json", b'{"version": 2}'),
    ],
)
def test_broken_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    Deployment.create([3], seed=b"s").save(tmp_path / "d")
    (tmp_path / "d" / name).write_bytes(content)
    with pytest.raises(DeploymentError, match=name.replace(".", r"\.")):
        Deployment.load(tmp_path / "d")


def test_broken_suite_is_named(tmp_path: Path) -> None:
    Deployment.create([3], seed=b"s").save(tmp_path / "d")
    path = tmp_path / "d" / "deployment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"suite": "0xC02F"}))
    with pytest.raises(DeploymentError, match="0xc02f"):
        Deployment.load(tmp_path / "d")


@pytest.mark.parametrize("layout", ["12-byte", True, ["22-byte"], None])
def test_broken_layout_is_named(tmp_path: Path, layout: object) -> None:
    Deployment.create([3], seed=b"s").save(tmp_path / "d")
    path = tmp_path / "d" / "deployment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"registration": layout}))
    with pytest.raises(DeploymentError, match=r"deployment\.json is not a deployment's index"):
        Deployment.load(tmp_path / "d")


def test_a_deployment_from_before_the_setting_has_the_protocols_layout(tmp_path: Path) -> None:
    Deployment.create([3], seed=b"s", wide_response=True).save(tmp_path / "d")
    assert Deployment.load(tmp_path / "d").dialect == Dialect(wide_response=True)
    path = tmp_path / "d" / "deployment.json"
    index = json.loads(path.read_text())
    assert index.pop("registration") == "22-byte"
    path.write_text(json.dumps(index))
    assert Deployment.load(tmp_path / "d").dialect == Dialect()


def test_a_suite_that_the_keys_are_not_for_is_named(tmp_path: Path) -> None:
    Deployment.create([3], seed=b"s").save(tmp_path / "d")
    path = tmp_path / "d" / "deployment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"suite": "0x009D"}))
    with pytest.raises(DeploymentError, match=r"ca\.der is unusable \(certificate: its key is not RSA\)"):
        Deployment.load(tmp_path / "d")


def test_rsa_keys_of_no_seed_are_not_remembered() -> None:
    remembered_rsa_key.cache_clear()
    assert Deployment.create([], suite=RSA_AES_256).rsa
    assert remembered_rsa_key.cache_info().currsize == 0
    Deployment.create([], seed=b"s", suite=RSA_AES_256)
    assert remembered_rsa_key.cache_info().currsize == 1


def test_a_prime_that_the_exponent_does_not_fit_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of some 65,537: its key would have no private exponent."""
    good, bad, found = 65_537 * 2**1_007 + 3, 65_537 * 2**1_007 + 1, []

    def primes(bits: int, draw: object) -> int:
        found.append(bits)
        return bad if len(found) == 1 else good

    monkeypatch.setattr(mbedtls_c, "prime", primes)
    assert authority._prime(b"secret") == good and found == [1_024, 1_024]


def test_unknown_sed() -> None:
    made = Deployment.create([3], seed=b"s")
    for act in (made.image, made.remove, made.credentials):
        with pytest.raises(DeploymentError, match="SED 4 is not in this deployment"):
            act(4)
    assert made.public_key(4) is None


def test_boot_seed_has_48_bytes() -> None:
    with pytest.raises(DeploymentError, match="48 bytes"):
        Deployment.create([3], seed=b"s").image(3, bytes(47))


def test_check_names_the_part() -> None:
    made, other = Deployment.create([3, 4], seed=b"s"), Deployment.create([3], seed=b"o")
    own = made.credentials(3)
    check(own, "3")
    faults = {
        "ca": Credentials(b"", own.certificate, own.key),
        "certificate": Credentials(other.authority.certificate, own.certificate, own.key),
        "key": Credentials(own.ca, own.certificate, made.credentials(4).key),
    }
    for part, credentials in faults.items():
        with pytest.raises(CredentialsError) as caught:
            check(credentials, "3")
        assert caught.value.part == part
    with pytest.raises(CredentialsError) as caught:
        check(own, "4")
    assert caught.value.part == "cn"


def test_wipe() -> None:
    own = Deployment.create([3], seed=b"s").credentials(3)
    own.wipe()
    assert own.key == bytes(len(own.key))


def test_certificates_are_version_3_with_a_short_positive_serial_number() -> None:
    """RFC 5280, sections 4.1.2.1 and 4.1.2.2; the runtime ones are made by the same function."""
    deployment = Deployment.create([3, 65_535], seed=b"s")
    made = [deployment.credentials(i) for i in (3, 65_535)]
    for der in [deployment.authority.certificate, *(one.certificate for one in made)]:
        certificate = x509.load_der_x509_certificate(der)
        assert certificate.version is x509.Version.v3
        assert 0 < certificate.serial_number.bit_length() < 8 * 20


def test_an_interruption_leaves_no_half_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(deployment: Deployment, folder: Path) -> None:
        assert (folder / "sed-10.key.der").is_file()
        raise KeyboardInterrupt

    monkeypatch.setattr(Deployment, "save_index", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Deployment.create([10], seed=b"a").save(tmp_path / "d")
    assert not (tmp_path / "d").exists()
