"""The peer as a SED and as an SSS of the lab: real runs on firmware and reference, judged by the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ends import DEPLOYMENT, edited, steps

from conformance.abstraction import Identity
from conformance.case import Case, run_case
from conformance.judge import Judge
from conformance.lab import Lab
from conformance.layers import SCEWL
from conformance.peer.endpoint import AES_128
from conformance.peer.node import PeerSed, Registrar, sed_identity
from conformance.peer.script import HONEST, Script
from conformance.purpose import Purpose, parse
from conformance.results import CaseResult
from conformance.targets.base import Target
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame
from conformance.wire.secrets import KeyLog
from model.alphabet import DEREGISTER, REFUSED, REGISTER, Link
from model.profile import HARDENED, Setting
from model.verdict import Verdict
from reference.deployment import Deployment
from reference.registration import Request

ELF = Path(__file__).parents[3] / "build/firmware/controller.elf"
TARGETS = {"firmware": lambda: QemuTarget(ELF), "reference": ReferenceTarget}
BOTH = pytest.mark.parametrize("target", TARGETS)


def purpose(*steps: dict[str, Any], script: dict[str, Any] | None = None, sss: bool = False) -> Purpose:
    more = {"sss": {}} if sss else {}
    return parse(
        "scripted",
        {"title": "scripted", "requirements": [], "steps": list(steps), "peers": [{"id": 11, "script": script or {}}]}
        | more,
    )


def run(target: str, purpose: Purpose) -> CaseResult:
    return run_case(purpose, TARGETS[target], profile="hardened", seed=0).result


@BOTH
@pytest.mark.parametrize("size", [0, 16, 963, 964, 16_384])
@pytest.mark.parametrize("iut_is_client", [True, False], ids=["to-ours", "to-theirs"])
def test_a_message_either_way(target: str, iut_is_client: bool, size: int) -> None:
    sender, receiver = (10, 11) if iut_is_client else (11, 10)
    result = run(
        target,
        purpose(
            {"do": "send", "by": sender, "to": receiver, "size": size},
            {"do": "expect", "what": "message", "at": receiver, "from": sender, "size": size},
        ),
    )
    assert result.verdict is Verdict.PASS, result.reason
    assert result.virtual_ms == 0


@BOTH
def test_registration(target: str) -> None:
    result = run(
        target,
        purpose(
            {"do": "register"},
            {"do": "expect", "what": "answer", "op": REGISTER},
            {"do": "deregister"},
            {"do": "expect", "what": "answer", "op": DEREGISTER},
            {"do": "deregister"},
            {"do": "expect", "what": "answer", "op": REFUSED},
            sss=True,
        ),
    )
    assert result.verdict is Verdict.PASS, result.reason
    assert result.virtual_ms == 0


@BOTH
def test_the_other_suite(target: str) -> None:
    deployment = Deployment.create([10, 11], seed=b"suite", suite=AES_128)
    peer = PeerSed(11, sed_identity(deployment, 11), suite=AES_128, seed=b"suite")
    authorities, keylog = Authorities({"PROVISIONING": deployment.authority.certificate}), KeyLog()
    own = authorities.classify(deployment.credentials(10).certificate).public_key
    assert own is not None
    judge = Judge(Identity(10, authorities, own), keylog, Setting(10, HARDENED))
    iut = TARGETS[target]()
    try:
        lab = Lab(10, iut, judge, {11: peer}, keylog)
        lab.boot(deployment.image(10))
        for sender, receiver in ((10, 11), (11, 10)):
            lab.from_cpu(sender, Frame(receiver, sender, b"message").encode())
            lab.run()
            assert lab.inbox.pop(receiver) == [Frame(receiver, sender, b"message")]
    finally:
        iut.close()
    assert len(keylog) == 2


@BOTH
@pytest.mark.parametrize("flight", range(1, 7))
@pytest.mark.parametrize("iut_is_client", [True, False], ids=["to-ours", "to-theirs"])
def test_every_lost_flight_is_made_good(target: str, iut_is_client: bool, flight: int) -> None:
    sender, receiver = (10, 11) if iut_is_client else (11, 10)
    result = run(
        target,
        purpose(
            {"do": "lose", "flight": flight},
            {"do": "send", "by": sender, "to": receiver, "size": 16},
            {"do": "wait", "until": "idle"},
            {"do": "expect", "what": "message", "at": receiver, "from": sender, "size": 16},
        ),
    )
    assert result.verdict is Verdict.PASS, result.reason
    assert result.virtual_ms == 7_000


@BOTH
def test_what_is_not_honest_is_refused(target: str) -> None:
    script = {"certificate": "stranger"}
    result = run(target, purpose({"do": "send", "by": 11, "to": 10, "size": 16}, script=script))
    assert result.verdict is Verdict.PASS, result.reason
    assert any(f.label.startswith("alert fatal") for f in result.ladder if f.source == 10)


def test_a_wrong_controller_is_caught() -> None:
    """The model, not the peer, decides: a controller that says nothing to the peer's hello fails."""

    class Deaf(ReferenceTarget):
        def send(self, link: Link, data: bytes) -> Any:
            return self.advance(0) if link is Link.RADIO else super().send(link, data)

    def make() -> Target:
        return Deaf()

    case = purpose({"do": "send", "by": 11, "to": 10, "size": 16})
    assert run_case(case, make, profile="hardened", seed=0).result.verdict is Verdict.FAIL


class TestSed:
    def pair(self, script: Script = HONEST) -> tuple[PeerSed, PeerSed]:
        three, four = (PeerSed(i, sed_identity(DEPLOYMENT, i), seed=b"node") for i in (3, 4))
        three.client = script
        return three, four

    def carry(self, *nodes: PeerSed) -> list[tuple[Link, bytes]]:
        """Frames go round until there are none; those for a CPU come back."""
        told = []
        while frames := [f for n in nodes for f in n.outgoing()]:
            for link, data in frames:
                if link is Link.CPU:
                    told.append((link, data))
                else:
                    for node in nodes:
                        node.receive(link, data, 0)
        return told

    def test_a_message_goes_to_the_cpu_once(self) -> None:
        three, four = self.pair(edited("close-notify", repeat=2))
        three.receive(Link.CPU, Frame(4, 3, b"message").encode(), 0)
        assert self.carry(three, four) == [(Link.CPU, Frame(4, 3, b"message").encode())]
        assert three.secrets() == four.secrets() != []

    def test_one_session_follows_another(self) -> None:
        three, four = self.pair()
        for message, sender, receiver in ((b"1", three, 4), (b"2", three, 4), (b"3", four, 3), (b"4", three, 4)):
            sender.receive(Link.CPU, Frame(receiver, sender.id, message).encode(), 0)
            assert self.carry(three, four) == [(Link.CPU, Frame(receiver, sender.id, message).encode())]
        assert len({random for random, _ in three.secrets()}) == 4

    def test_without_a_close_notify_nothing_is_told(self) -> None:
        three, four = self.pair(edited("close-notify", omit=True))
        three.receive(Link.CPU, Frame(4, 3, b"message").encode(), 0)
        assert self.carry(three, four) == []
        assert four.sessions[3].received == [b"message"]

    def test_steps_run_when_the_cpu_asks(self) -> None:
        three, four = self.pair(steps({"send": "client-hello"}, {"await": "hello-verify-request"}, {"wait": 5}))
        three.receive(Link.CPU, Frame(4, 3, b"message").encode(), 0)
        assert self.carry(three, four) == []
        assert three.deadline() == 5

    def test_the_frames_are_scewl_frames(self) -> None:
        three, _ = self.pair()
        three.receive(Link.CPU, Frame(4, 3, b"message").encode(), 0)
        ((link, data),) = three.outgoing()
        frame = SCEWL(data)
        assert (link, frame.target, frame.source, bytes(frame)) == (Link.RADIO, 4, 3, data)

    def test_junk(self) -> None:
        three, _ = self.pair()
        for data in (b"", b"SC", Frame(3, 4, b"").encode(), Frame(3, 4, b"junk").encode(), Frame(5, 4, b"x").encode()):
            three.receive(Link.RADIO, data, 0)
        assert three.outgoing() == [] and three.sessions == {} and three.deadline() is None


def test_the_registrar() -> None:
    registrar = Registrar(b"seed")
    assert registrar.decide(10, Request(10, DEREGISTER).encode()).op == REFUSED
    assert registrar.decide(10, Request(11, REGISTER).encode()).op == REFUSED
    assert registrar.decide(10, b"12345").op == REFUSED
    one, two = (registrar.decide(10, Request(10, REGISTER).encode()) for _ in range(2))
    assert one.key != two.key
    assert Authorities({"runtime": registrar.runtime_ca}).classify(one.certificate).cn == "10"
    assert registrar.decide(10, Request(10, DEREGISTER).encode()).op == DEREGISTER


def test_the_same_case_gives_the_same_trace() -> None:
    case = purpose({"do": "send", "by": 11, "to": 10, "size": 2_000})
    traces = {Case(case, ReferenceTarget(), profile="hardened", seed=0).run().trace for _ in range(2)}
    assert len(traces) == 1
