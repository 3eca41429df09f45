"""Deviations: each takes place and gets its reaction, on the reference; on the firmware a sample does the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.abstraction import inbound
from conformance.abstraction.conduct import acceptable_offer, usable
from conformance.case import Outcome, run_case
from conformance.cast import Cast
from conformance.evidence import Watch, shown, told, words
from conformance.forged import FORGERIES
from conformance.purpose import FOLDER, FORGED, Purpose, load_purposes, parse
from conformance.report.requirements import STANDARDS_PAGE, load_standards
from conformance.results import CaseResult
from conformance.targets.base import Reaction, Target
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame
from conformance.wire.handshake import Certificate, ClientHello, HandshakeType, Message, parse_message
from conformance.wire.records import ContentType, Record
from conformance.wire.secrets import KeyLog
from model.alphabet import Link
from model.verdict import Verdict

ELF = Path(__file__).parents[2] / "build/firmware/controller.elf"
DEVIATIONS = {p.id: p for p in load_purposes() if p.scripted}
SAMPLE = (
    "client-alert-sealed",
    "client-certificate-two-names",
    "client-cookie-before-boot",
    "client-data-empty-flood",
    "client-finished-damaged",
    "client-finished-fragments",
    "client-finished-wrong",
    "client-fragments-overlap",
    "client-hello-suite-other",
    "client-renegotiation",
    "client-window-edge",
    "server-certificate-stranger",
    "server-finished-reflected",
    "server-records-reversed",
    "server-verify-far",
    "sss-hello-request",
    "sss-warning-sealed",
)
"""Run on the firmware here; `make conform` runs all of them there."""
SEEN = ("t", "events", "outputs", "deadline", "state")


def run(purpose: Purpose, make: Callable[[], Target] = ReferenceTarget) -> Outcome:
    return run_case(purpose, make, profile="hardened", seed=0)


def result(name: str, make: Callable[[], Target]) -> CaseResult:
    return run(DEVIATIONS[name], make).result


def test_there_are_more_than_a_hundred_and_each_says_what_it_must() -> None:
    assert len(DEVIATIONS) > 100
    assert {p.stem for p in (FOLDER / "deviations").glob("*.toml")} == DEVIATIONS.keys()
    for purpose in DEVIATIONS.values():
        kinds = [s.arguments.get("what") for s in purpose.steps]
        assert purpose.about and purpose.evidence and "reaction" in kinds and kinds[-1] == "session", purpose.id


def test_they_are_by_clients_servers_and_the_sss() -> None:
    for role, least in (("client-", 50), ("server-", 50), ("sss-", 10)):
        assert sum(name.startswith(role) for name in DEVIATIONS) >= least


@pytest.mark.parametrize("purpose", DEVIATIONS.values(), ids=DEVIATIONS)
def test_the_reference_reacts_as_asked(purpose: Purpose) -> None:
    done = run(purpose).result
    assert done.verdict is Verdict.PASS, done.reason


@pytest.mark.parametrize("purpose", DEVIATIONS.values(), ids=DEVIATIONS)
def test_an_honest_peer_does_not_show_the_evidence(purpose: Purpose) -> None:
    """So the evidence is the deviation's, and not there by itself."""
    honest = replace(
        purpose,
        peers=tuple(replace(p, credentials="good", script={}) for p in purpose.peers),
        sss=None if purpose.sss is None else {},
        steps=tuple(s for s in purpose.steps if s.kind != "expect"),
    )
    done = run(honest).result
    assert done.verdict is not Verdict.PASS
    assert "the deviation has not taken place" in done.reason or "a frame that shows {'iut': 1" in done.reason


def steps(outcome: Outcome) -> list[dict[str, Any]]:
    """The steps of a trace without the bytes; between links, no order of outputs is observable."""
    kept = [{k: line[k] for k in SEEN} for line in map(json.loads, outcome.trace.splitlines()[1:-1])]
    for step in kept:
        step["outputs"] = sorted(step["outputs"])
        step["events"] = [e[:3] if e[:2] == ["data", 1] else e for e in step["events"]]  # its size is a signature's
    return kept


@pytest.mark.parametrize("name", SAMPLE)
def test_firmware_and_reference_react_alike(name: str) -> None:
    firmware, reference = run(DEVIATIONS[name], lambda: QemuTarget(ELF)), run(DEVIATIONS[name])
    assert firmware.result.verdict is Verdict.PASS, firmware.result.reason
    assert steps(firmware) == steps(reference)


def test_the_bytes_are_the_same_each_time() -> None:
    one, other = (run(DEVIATIONS["client-certificate-two-names"]) for _ in range(2))
    assert one.trace == other.trace
    assert one.frames == other.frames


# --- what an IUT must not do ------------------------------------------------------------------------------------------


class Altered(ReferenceTarget):
    """A reference whose radio frames are changed on the way out."""

    def __init__(self, alter: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self._alter = alter

    def send(self, link: Link, data: bytes) -> Reaction:
        reaction = super().send(link, data)
        chunks = ((to, self._alter(out) if to is Link.RADIO else out) for to, out in reaction.chunks)
        return replace(reaction, chunks=tuple((to, out) for to, out in chunks if out))


def of_kind(data: bytes, kind: ContentType) -> bool:
    return data[8] == kind


class TestCaught:
    def test_a_refusal_without_an_alert(self) -> None:
        done = result("client-verify-other-key", lambda: Altered(lambda d: b"" if of_kind(d, ContentType.ALERT) else d))
        assert done.verdict is Verdict.FAIL
        assert done.divergence is not None
        assert done.divergence.requirements[:2] == ["DTL-1", "RFC5246-27"]

    def test_an_alert_of_another_code(self) -> None:
        def alter(data: bytes) -> bytes:
            return data[:-1] + b"\x5a" if of_kind(data, ContentType.ALERT) and data[11:13] == b"\0\0" else data

        done = result("client-verify-other-key", lambda: Altered(alter))
        assert done.verdict is Verdict.FAIL
        assert "said to 11: verify-request, flight4, alert user_canceled. Asked for: verify-request" in done.reason

    def test_a_record_number_that_is_not_the_hellos(self) -> None:
        def alter(data: bytes) -> bytes:
            verify = of_kind(data, ContentType.HANDSHAKE) and data[8 + 13] == HandshakeType.HELLO_VERIFY_REQUEST
            return data[: 8 + 5] + bytes(6) + data[8 + 11 :] if verify else data

        done = result("client-hello-number", lambda: Altered(alter))
        assert done.verdict is Verdict.FAIL
        assert done.divergence is not None
        assert done.divergence.requirements == ["RFC6347-38", "RFC6347-41", "RFC6347-42"]

    @pytest.mark.parametrize(("extension", "at_once"), [("00170000", True), ("44440000", False)])
    def test_an_extension_that_is_there_twice_in_its_hello(self, extension: str, at_once: bool) -> None:
        """RFC5246-21: the case that cites it fails with the hello; one more extension of another kind may be there."""

        def alter(data: bytes) -> bytes:
            if not (of_kind(data, ContentType.HANDSHAKE) and data[8 + 13] == HandshakeType.CLIENT_HELLO):
                return data
            at = data.index(bytes.fromhex("00170000"))
            for place, size in ((6, 2), (8 + 11, 2), (8 + 14, 3), (8 + 22, 3)):  # frame, record, message, fragment
                order = "little" if place == 6 else "big"
                length = int.from_bytes(data[place : place + size], order) + 4
                data = data[:place] + length.to_bytes(size, order) + data[place + size :]
            body = 8 + 13 + 12 + 2 + 32
            extensions = body + 1 + data[body]
            extensions += 1 + data[extensions]
            extensions += 2 + int.from_bytes(data[extensions : extensions + 2], "big")
            extensions += 1 + data[extensions]
            length = int.from_bytes(data[extensions : extensions + 2], "big") + 4
            data = data[:extensions] + length.to_bytes(2, "big") + data[extensions + 2 :]
            return data[:at] + bytes.fromhex(extension) + data[at:]

        (purpose,) = (p for p in load_purposes() if p.id == "unregistered-16")
        done = run(purpose, lambda: Altered(alter)).result
        assert (done.verdict is Verdict.FAIL) is at_once
        assert done.divergence is None or (done.divergence.step, done.divergence.observed[0]) == (1, "unknown(link=0)")
        assert "RFC5246-21" in done.requirements

    def test_an_iut_that_is_dead_afterwards(self) -> None:
        class Dead(ReferenceTarget):
            alerted = False

            def send(self, link: Link, data: bytes) -> Reaction:
                if self.alerted:
                    return Reaction(self._now, None)
                reaction = super().send(link, data)
                self.alerted = any(of_kind(out, ContentType.ALERT) for _, out in reaction.chunks)
                return reaction

        done = result("client-certificate-stranger", Dead)
        assert done.verdict is Verdict.FAIL
        assert done.divergence is not None
        assert done.divergence.requirements[0] == "SES-6"  # not what the deviation is about: the honest hello after it


@pytest.mark.parametrize(
    ("blind_to", "name"),
    [
        ("acceptable", "server-hello-compression"),
        ("acceptable_offer", "client-hello-suite-other"),
        ("hear_finished", "client-finished-wrong"),
        ("flight_whole", "client-fragments-gap"),
        ("in_order", "server-done-early"),
        ("usable", "client-certificate-wrong-usage"),
    ],
)
def test_a_judge_that_does_not_look_is_wrong_about_a_right_iut(
    blind_to: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, blind_to, lambda *_, **__: True)
    done = result(name, ReferenceTarget)
    assert done.verdict is Verdict.FAIL
    assert done.divergence is not None
    assert "Allowed: " in done.reason  # the model's verdict, not only the reaction's


def test_a_deviation_that_does_not_take_place_is_inconclusive() -> None:
    document = DEVIATIONS["client-ccs-twice"].document()
    document["evidence"] = [{"type": 20, "count": 3}]
    done = run(parse("p", document)).result
    assert done.verdict is Verdict.INCONCLUSIVE
    assert "{'type': 20, 'count': 3}" in done.reason


# --- words and facts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reaction", "fits"),
    [
        (["flight4", "alert bad_certificate"], "flight4, alert unknown_ca|bad_certificate", True),
        (["flight4", "alert bad_certificate"], "flight4, alert unknown_ca", False),
        (["flight4", "alert bad_certificate"], "flight4", False),
        (["flight4"], "flight4, flight4", False),
        (["warning no_renegotiation"], "alert no_renegotiation", False),
        ([], "", True),
        (["close"], "", False),
    ],
)
def test_what_was_said_is_a_reaction_or_not(said: list[str], reaction: str, fits: bool) -> None:
    assert told(said, reaction) is fits


def test_words_of_facts() -> None:
    facts = [
        {"type": 22, "handshake": 1, "cookie": 0},
        {"type": 22, "handshake": 1, "cookie": 32},
        {"type": 22, "handshake": 16},
        {"type": 22, "handshake": 15},
        {"type": 20},
        {"type": 22, "epoch": 1, "sealed": 1, "handshake": 20},
        {"type": 23},
        {"type": 23},
        {"type": 21, "level": 2, "code": 42},
        {"type": 21, "level": 2, "code": 231},
        {"type": 21, "level": 1, "code": 0},
        {"type": 21},
        {"malformed": 1},
        {"type": 20},
    ]
    assert words(facts) == [
        "hello",
        "hello-cookie",
        "flight5",
        "data",
        "alert bad_certificate",
        "alert 231",
        "close",
        "warning unreadable",
        "flight6",
    ]


def test_evidence_names_facts_and_counts_them() -> None:
    facts = [{"iut": 0, "type": 22, "hex": "0a0b"}, {"iut": 0, "type": 22, "hex": "00a0"}, {"iut": 1, "type": 23}]
    assert shown({"type": 22}, facts)
    assert shown({"type": 22, "count": 2}, facts)
    assert not shown({"type": 22, "count": 1}, facts)
    assert not shown({"type": 23}, facts)
    assert shown({"iut": 1, "type": 23}, facts)
    assert shown({"type": 24, "count": 0}, facts)
    assert shown({"hex": "0a", "count": 1}, facts)  # whole bytes: a0 at an odd place does not count


def test_facts_of_any_bytes() -> None:
    watch = Watch(KeyLog(), Authorities({}))
    record = Record(ContentType.HANDSHAKE, 0xFEFD, 1, 7, bytes(40))
    assert watch.datagram(11, b"") == []
    assert watch.datagram(11, b"junk")[0]["malformed"] == 1
    first, again = watch.datagram(11, record.encode()), watch.datagram(11, record.encode())
    assert (first[0]["sealed"], first[0]["again"], again[0]["again"]) == (0, 0, 1)


# --- what a hello offers, what a certificate is for -------------------------------------------------------------------


def offer(**changes: Any) -> ClientHello:
    extensions = {10: bytes.fromhex("00020017"), 13: bytes.fromhex("00020403")}
    hello = ClientHello(0xFEFD, bytes(32), b"", b"", (0xC02C,), b"\0", extensions)
    return replace(hello, **changes)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"version": 0xFEFF}, False),
        ({"version": 0x0303}, False),
        ({"suites": (0xC02B,)}, False),
        ({"extensions": {13: bytes.fromhex("00020403")}}, True),
        ({"extensions": {10: bytes.fromhex("00020018"), 13: bytes.fromhex("00020403")}}, False),
        ({"extensions": {10: bytes.fromhex("0010"), 13: bytes.fromhex("00020403")}}, False),
        ({"extensions": {10: bytes.fromhex("00020017")}}, False),
        ({"extensions": {10: bytes.fromhex("00020017"), 13: bytes.fromhex("00020401")}}, False),
        ({"extensions": {13: bytes.fromhex("00020403"), 0xFF01: b"\1a"}}, False),
    ],
)
def test_an_offer_is_acceptable_or_not(changes: dict[str, Any], fits: bool) -> None:
    assert acceptable_offer(offer(**changes), 0xC02C) is fits


def test_without_a_known_suite_any_of_the_profile_will_do() -> None:
    assert acceptable_offer(offer(suites=(0xC02B,)), 0)
    assert not acceptable_offer(offer(suites=(0x003C,)), 0)


def chain_shown(name: str) -> Certificate:
    """The Certificate of a deviation's peer, from its capture."""
    watch = Watch(KeyLog(), Authorities({}))
    for captured in run(DEVIATIONS[name]).frames:
        frame = captured.frame
        if frame[4:6] == (11).to_bytes(2, "little"):
            for facts in watch.datagram(11, frame[8:]):
                if facts.get("handshake") == HandshakeType.CERTIFICATE:
                    body = parse_message(Message(HandshakeType.CERTIFICATE, 0, bytes.fromhex(facts["hex"])))
                    assert isinstance(body, Certificate)
                    return body
    raise AssertionError("no certificate")


@pytest.mark.parametrize(
    ("name", "good"),
    [("two-names", True), ("p384", False), ("wrong-usage", False), ("critical-extension", False), ("damaged", False)],
)
def test_a_certificate_is_usable_or_not(name: str, good: bool) -> None:
    assert usable(chain_shown(f"client-certificate-{name}"), server=False) is good


def test_every_forgery_that_a_purpose_may_name_can_be_made_and_is_used() -> None:
    assert set(FORGED) == FORGERIES.keys()
    assert set(FORGED) <= {peer.credentials for p in DEVIATIONS.values() for peer in p.peers}


def test_a_scripted_sss_has_a_runtime_authority_of_its_own() -> None:
    cast = Cast(DEVIATIONS["sss-data-gap"], 0)
    assert cast.authorities()["RUNTIME"] != cast.sss.runtime_ca


# --- requirements -----------------------------------------------------------------------------------------------------


def test_every_requirement_of_the_rfcs_is_cited_or_says_why_not() -> None:
    cited = {r for p in load_purposes() for r in p.requirements}
    rows = re.findall(r"^\| (RFC\d+-\d+) \|.*\|([^|]*)\|$", STANDARDS_PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len({name for name, _ in rows}) == len(load_standards()) > 100
    for name, why in rows:
        assert (name in cited) != bool(why.strip()), name


def test_requirements_of_rfcs_have_section_and_level(tmp_path: Path) -> None:
    known = load_standards()["RFC6347-41"]
    assert known.section == "RFC 6347, section 4.2.1"
    assert known.text == "MUST: The record number of a HelloVerifyRequest is that of the ClientHello."
    assert load_standards(tmp_path / "none.md") == {}


def test_a_frame_is_decoded_as_the_capture_has_it() -> None:
    """The evidence rests on the frames that the capture keeps."""
    frames = [Frame(*_ids(c.frame), c.frame[8:]) for c in run(DEVIATIONS["client-ccs-wrong"]).frames]
    assert any(b"\x14\xfe\xfd" in f.payload and f.payload.find(b"\x00\x01\x02") > 0 for f in frames if f.source == 11)


def _ids(frame: bytes) -> tuple[int, int]:
    return int.from_bytes(frame[2:4], "little"), int.from_bytes(frame[4:6], "little")
