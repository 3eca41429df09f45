"""What a peer shows and signs, as the judge's own parsers and `cryptography` see it; and the key schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from ends import CLIENT

from conformance.peer.credentials import shown, sign, verifies
from conformance.peer.keys import Ephemeral, Keys, master_secret
from conformance.peer.script import CERTIFICATES, CURVES, HASHES, HONEST, BadScript
from conformance.wire.certificates import Authorities
from conformance.wire.records import ContentType, Record
from conformance.wire.secrets import SUITES, SessionKeys

AUTHORITY = Authorities({"trusted": CLIENT.ca})
ISSUED = [c for c in CERTIFICATES if c not in ("own", "empty", "stranger", "damaged")]


def public_key(der: bytes) -> object:
    return x509.load_der_x509_certificate(der).public_key()


@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_what_is_shown(certificate: str) -> None:
    made = shown(CLIENT, replace(HONEST, certificate=certificate))
    assert made == shown(CLIENT, replace(HONEST, certificate=certificate))
    assert len(made.chain) == {"empty": 0, "chain": 2}.get(certificate, 1)
    if certificate in ("empty", "damaged"):
        return
    seen = AUTHORITY.classify(made.chain[-1])
    assert (seen.ca_label == "trusted") is (certificate != "stranger")
    own = AUTHORITY.classify(made.chain[0])
    assert own.cn == ("30" if certificate == "wrong-name" else "3")
    fits = verifies(own.public_key, *sign(made.key, b"message", HONEST), b"message")
    assert fits is (certificate != "other")


def test_the_kinds_of_certificates() -> None:
    made = {c: shown(CLIENT, replace(HONEST, certificate=c)).chain for c in CERTIFICATES}
    p384, by_rsa = public_key(made["p384"][0]), public_key(made["rsa"][0])
    assert isinstance(p384, ec.EllipticCurvePublicKey) and isinstance(p384.curve, ec.SECP384R1)
    assert isinstance(by_rsa, rsa.RSAPublicKey) and by_rsa.key_size == 2_048
    expired = x509.load_der_x509_certificate(made["expired"][0])
    assert expired.not_valid_after_utc.year == 2020
    leaf, middle = (x509.load_der_x509_certificate(der) for der in made["chain"])
    leaf.verify_directly_issued_by(middle)
    stranger = x509.load_der_x509_certificate(made["stranger"][0])
    assert stranger.issuer == x509.load_der_x509_certificate(CLIENT.ca).subject
    with pytest.raises(ValueError, match="error parsing"):
        x509.load_der_x509_certificate(made["damaged"][0])


@pytest.mark.parametrize("certificate", ISSUED)
def test_what_must_be_issued_needs_the_authority_s_key(certificate: str) -> None:
    with pytest.raises(BadScript, match="no key of the authority"):
        shown(replace(CLIENT, ca_key=b""), replace(HONEST, certificate=certificate))


@pytest.mark.parametrize("name", HASHES)
def test_signatures(name: str) -> None:
    script = replace(HONEST, hash=name)
    algorithm, signature = sign(CLIENT.key, b"message", script)
    assert algorithm == {"sha1": 0x0203, "sha256": 0x0403, "sha384": 0x0503, "sha512": 0x0603}[name]
    assert sign(CLIENT.key, b"message", script) == (algorithm, signature)
    key = public_key(CLIENT.certificate)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, b"message", ec.ECDSA(getattr(hashes, name.upper())()))
    wrong = sign(CLIENT.key, b"message", replace(script, signature="other-transcript"))
    own = AUTHORITY.classify(CLIENT.certificate).public_key
    assert verifies(own, algorithm, signature, b"message") and not verifies(own, *wrong, b"message")
    assert all(decode_dss_signature(wrong[1]))


@pytest.mark.parametrize(
    ("public", "algorithm", "signature"),
    [
        (None, 0x0403, b""),
        (b"no key", 0x0403, b"x"),
        (..., 0xFF03, b"x"),
        (..., 0x0401, b"x"),
        (..., 0x0403, b"x" * 99),
    ],
)
def test_hostile_signatures(public: object, algorithm: int, signature: bytes) -> None:
    own = AUTHORITY.classify(CLIENT.certificate).public_key
    key = own if public is ... else public
    assert not verifies(key, algorithm, signature, b"message")  # type: ignore[arg-type]


@pytest.mark.parametrize("curve", CURVES)
def test_both_halves_give_one_secret(curve: str) -> None:
    one, other = Ephemeral(curve, b"1" * 32), Ephemeral(curve, b"2" * 32)
    assert one.premaster(other.point) == other.premaster(one.point) is not None
    assert one.point != other.point
    for point in (b"", b"\4" + bytes(64), one.point[:-1], b"\2" + one.point[1:], bytes(65)):
        assert one.premaster(point) is None


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda s: f"{s.number:#x}")
def test_what_is_sealed_opens_with_the_judge_s_keys(suite: object) -> None:
    master = master_secret(suite, b"premaster", bytes(64), None)  # type: ignore[arg-type]
    ours = Keys.derive(suite, master, bytes(32), b"\1" * 32)  # type: ignore[arg-type]
    theirs = SessionKeys.derive(suite, master, bytes(32), b"\1" * 32)  # type: ignore[arg-type]
    for direction, from_client in ((ours.client, True), (ours.server, False)):
        fragment = direction.seal(1, 2**40, 23, 0xFEFD, b"plain")
        record = Record(ContentType.APPLICATION_DATA, 0xFEFD, 1, 2**40, fragment)
        assert theirs.open(record, from_client) == direction.open(1, 2**40, 23, 0xFEFD, fragment) == b"plain"
        assert theirs.open(record, not from_client) is None
        for altered in ((2, 2**40, 23, 0xFEFD), (1, 0, 23, 0xFEFD), (1, 2**40, 22, 0xFEFD), (1, 2**40, 23, 0xFEFF)):
            assert direction.open(*altered, fragment) is None
        assert direction.open(1, 2**40, 23, 0xFEFD, b"") is None
    assert ours.verify_data(b"transcript", True) == theirs.verify_data(b"transcript", True)
