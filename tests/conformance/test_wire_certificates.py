"""Whose certificate it is: by signature, not by name."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conformance.wire.certificates import Authorities, Seen

# The same examples on every run, and no limit by the wall clock.
reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def key(secret: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(secret, ec.SECP256R1())


def name(*common_names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn) for cn in common_names])


def certificate(
    subject: x509.Name,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey,
    serial: int = 10,
) -> bytes:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(dt.datetime(2021, 1, 1))
        .not_valid_after(dt.datetime(2022, 1, 1))
        .sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
        .public_bytes(Encoding.DER)
    )


DEVICE = key(3).public_key()
SPKI = DEVICE.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PROVISIONING = certificate(name("1"), name("1"), key(1), key(1).public_key(), serial=1)
RUNTIME = certificate(name("1"), name("1"), key(2), key(2).public_key(), serial=2)  # the same name, another key
AUTHORITIES = Authorities({"provisioning": PROVISIONING, "runtime": RUNTIME})
GOOD = certificate(name("10"), name("1"), key(2), DEVICE)
SIGNATURE = len(GOOD) - len(x509.load_der_x509_certificate(GOOD).signature) - 1
"""Where GOOD says how many bits at the end of its signature do not count."""


def test_the_signature_tells_two_authorities_of_one_name_apart() -> None:
    assert AUTHORITIES.classify(GOOD) == Seen("runtime", "10", SPKI, 10)
    assert AUTHORITIES.classify(certificate(name("10"), name("1"), key(1), DEVICE)).ca_label == "provisioning"


def test_an_authoritys_own_certificate_is_of_that_authority() -> None:
    seen = AUTHORITIES.classify(PROVISIONING)
    assert (seen.ca_label, seen.cn, seen.serial) == ("provisioning", "1", 1)


def test_that_holds_for_an_authority_that_another_one_signed() -> None:
    below = certificate(name("2"), name("1"), key(9), key(4).public_key())
    assert Authorities({"below": below}).classify(below).ca_label == "below"


@pytest.mark.parametrize(("issuer", "signer"), [("1", 9), ("2", 1)], ids=["another key", "another name"])
def test_a_strangers_certificate_has_no_authority_but_is_read(issuer: str, signer: int) -> None:
    assert AUTHORITIES.classify(certificate(name("10"), name(issuer), key(signer), DEVICE)) == Seen(
        None, "10", SPKI, 10
    )


def test_a_forged_copy_of_an_authoritys_certificate_is_not_of_it() -> None:
    copy = certificate(name("1"), name("1"), key(9), key(1).public_key(), serial=1)
    assert AUTHORITIES.classify(copy).ca_label is None


@pytest.mark.parametrize("subject", [name(), name("10", "11")], ids=["none", "two"])
def test_no_common_name_unless_there_is_exactly_one(subject: x509.Name) -> None:
    assert AUTHORITIES.classify(certificate(subject, name("1"), key(1), DEVICE)).cn is None


def test_another_kind_of_key_is_read_too() -> None:
    odd = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    seen = AUTHORITIES.classify(certificate(name("10"), name("1"), key(1), odd))
    assert seen.public_key == odd.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_an_authority_that_comes_later_is_known_from_then_on() -> None:
    authorities = Authorities({})
    assert authorities.classify(GOOD).ca_label is None
    authorities.add("runtime", RUNTIME)
    assert authorities.classify(GOOD).ca_label == "runtime"


def test_an_authority_of_ours_that_does_not_parse_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"authority 'runtime' is no X\.509 certificate"):
        Authorities({"runtime": RUNTIME[:-1]})


@reproducible
@given(st.binary(max_size=60))
def test_junk_is_nobodys(der: bytes) -> None:
    assert AUTHORITIES.classify(der) == Seen()


@reproducible
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@example(place=11, change=1)  # a version that does not exist
@example(place=14, change=0x80)  # a negative serial number
@example(place=84, change=0x0F)  # a name that is a BIT STRING
def test_a_damaged_certificate_is_never_an_authoritys(place: int, change: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] ^= change
    seen = AUTHORITIES.classify(bytes(damaged))
    # How many trailing bits of the signature count is neither signed nor, if those bits are 0, of any effect.
    assert seen.ca_label is None or (place == SIGNATURE and seen == AUTHORITIES.classify(GOOD))


@reproducible
@given(st.integers(0, len(GOOD) - 1))
def test_a_certificate_cut_short_is_nobodys(size: int) -> None:
    assert AUTHORITIES.classify(GOOD[:size]) == Seen()
    assert AUTHORITIES.classify(GOOD + bytes(1)) == Seen()
