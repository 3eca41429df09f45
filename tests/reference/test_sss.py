"""Registration, from a controller's CPU to the SSS and back, and what the SSS withstands."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from memory_world import DEPLOYMENT, FOREIGN, World, frame_of

from model.alphabet import Link
from reference.controller import Controller
from reference.credentials import Credentials, Peer
from reference.deployment import VALID_FROM, VALID_TO, Deployment
from reference.dtls import AES_128, Happening, Kind, Session
from reference.frame import Frame
from reference.randomness import Drbg
from reference.records import split
from reference.registration import Request, Response
from reference.sss import EPOCH, Sss


def test_register_send_deregister() -> None:
    world = World.of(3, 4)
    assert world.request(3, 0) == 0
    assert world.nodes[3].registered
    world.cpu(3, 4, b"across CAs")
    assert world.messages(4) == []
    assert world.states() == ["IDLE", "IDLE"], "an alert ends it at once (CRT-9)"
    assert world.request(4, 0) == 0
    world.cpu(3, 4, b"both registered")
    assert world.messages(4)[1:] == [(3, b"both registered")]
    assert world.request(3, 1) == 1
    assert not world.nodes[3].registered
    assert world.request(3, 1) == -1, "not registered any more"
    assert world.request(4, 1) == 1
    assert world.sss is not None
    assert world.sss.deadline() is None
    assert [f.payload[0] for _, medium, f in world.sent if medium == "sss"][-2:] == [21, 21]
    world.cpu(4, 3, b"both not")
    assert world.messages(3)[-1] == (4, b"both not")


def test_128_bit_suite() -> None:
    world = World.of(3, 4, deployment=Deployment.create([3, 4], seed=b"128", suite=AES_128))
    assert world.request(3, 0) == 0
    hello = next(f for _, _, f in world.sent if f.payload[13] == 2)
    assert b"\xc0\x2b" in hello.payload[:100]


def test_deployments_of_different_suites_do_not_talk() -> None:
    world = World.of(3)
    other = Deployment.create([3, 4], seed=b"tests/reference", suite=AES_128)
    world.nodes[4] = Controller(other.image(4))
    world.cpu(3, 4, b"message")
    world.run()
    assert world.messages(4) == []
    said = [f.payload[0] for _, _, f in world.sent if f.source == 4]
    assert said == [22, 21], "nothing but a HelloVerifyRequest answers a first hello; the second one is refused"
    assert world.states() == ["IDLE", "IDLE"]


def test_runtime_certificate() -> None:
    sss = Sss(DEPLOYMENT, seed=b"sss")
    world = World.of(3)
    world.sss = sss
    world.now = 5_500
    assert world.request(3, 0) == 0
    runtime = world.nodes[3]._runtime
    assert runtime is not None
    certificate = x509.load_der_x509_certificate(runtime.certificate)
    assert certificate.serial_number == 3
    assert certificate.not_valid_before_utc == EPOCH + timedelta(seconds=5)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(hours=8)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(sss.runtime_ca))
    assert sss.runtime_ca == runtime.ca != DEPLOYMENT.authority.certificate


def test_register_twice_replaces_or_is_refused() -> None:
    for replace, answer in ((True, 0), (False, -1)):
        world = World.of(3)
        world.sss = Sss(DEPLOYMENT, seed=b"sss", replace=replace)
        assert world.request(3, 0) == 0
        assert world.request(3, 0) == answer
        assert world.nodes[3].registered == replace
        assert world.sss.registered == {3}


@pytest.mark.parametrize("op", [1, 2, -1, -2])
def test_refused_requests(op: int) -> None:
    world = World.of(3)
    assert world.request(3, op) == -1
    assert world.now == 0
    assert world.states() == ["IDLE"]


def test_request_in_another_name_is_refused() -> None:
    world = World.of(3, 4)
    world.cpu(3, 1, b"\x04\x00\x00\x00")
    assert world.messages(3) == [(1, b"\x03\x00\xff\xff")]
    assert world.sss is not None
    assert world.sss.registered == set()


@pytest.mark.parametrize("size", [0, 3, 5, 16_384])
def test_request_of_another_length_discards_the_runtime_set(size: int) -> None:
    world = World.of(3)
    assert world.request(3, 0) == 0
    before = len(world.sent)
    world.cpu(3, 1, bytes(size))
    assert world.messages(3)[-1] == (1, b"\x03\x00\xff\xff")
    assert not world.nodes[3].registered
    assert len(world.sent) == before


def test_runtime_key_is_zeroised() -> None:
    world = World.of(3)
    world.request(3, 0)
    runtime = world.nodes[3]._runtime
    assert runtime is not None
    assert any(runtime.key)
    world.judge = lambda _medium, _frame: False
    world.request(3, 1)
    assert not any(runtime.key)
    assert not world.nodes[3].registered, "whatever comes of that conversation (CRT-4)"


def test_sss_that_is_away_costs_165_seconds_and_one_answer() -> None:
    world = World.of(3, 4, with_sss=False)
    assert world.request(3, 0) is None
    world.cpu(4, 3, b"unheard")
    world.run(until=164_999)
    assert world.messages(3) == []
    world.run(until=165_000)
    assert world.messages(3) == [(1, b"\x03\x00\xff\xff")]


def lose_sss_data(world: World, which: int = 1) -> None:
    """Lose the SSS's record of data with this number."""
    seen = [0]

    def judge(medium: str, frame: Frame) -> bool:
        if medium == "sss" and frame.source == 1 and frame.payload[0] == 23:
            seen[0] += 1
            return seen[0] != which
        return True

    world.judge = judge


def test_lost_response_is_answered_after_idle_timeout_and_does_not_lock_out() -> None:
    world = World.of(3)
    lose_sss_data(world)
    assert world.request(3, 0) is None
    assert world.nodes[3].deadline() == 60_000
    world.run()
    assert world.now == 60_000
    assert world.messages(3) == [(1, b"\x03\x00\xff\xff")]
    assert world.sss is not None
    assert world.sss.registered == {3}
    assert world.request(3, 0) == 0


@pytest.mark.parametrize("which", [1, 2])
def test_gap_in_a_long_response_ends_it_at_once(monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    world = tampered(monkeypatch, lambda _: own(ca=bytes(2_000)))
    lose_sss_data(world, which)
    assert world.request(3, 0) == -1
    assert world.now == 0
    assert [f.payload[0] for _, _, f in world.sent if f.source == 3][-1] == 21


@pytest.mark.parametrize("number", range(1, 6))
def test_registration_survives_one_lost_frame(number: int) -> None:
    world = World.of(3)
    seen = [0]

    def judge(_medium: str, _frame: Frame) -> bool:
        seen[0] += 1
        return seen[0] != number

    world.judge = judge
    world.request(3, 0)
    world.run()
    assert world.messages(3) == [(1, b"\x03\x00\x00\x00")]
    assert world.now >= 7_000


def tampered(monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]) -> World:
    """A world whose SSS's responses are changed before they are encrypted."""
    write = Session.write

    def changed(self: Session, data: bytes) -> None:
        write(self, change(data) if len(data) > 4 else data)

    monkeypatch.setattr(Session, "write", changed)
    return World.of(3)


def own(**parts: bytes) -> bytes:
    made = Sss(DEPLOYMENT, seed=b"other")._decide(3, Request(3, 0), 0)
    blobs = {"ca": made.ca, "certificate": made.certificate, "key": made.key} | parts
    return Response(3, 0, **blobs).encode()


OTHER = Sss(DEPLOYMENT, seed=b"yet another")


@pytest.mark.parametrize(
    "response",
    [
        own(ca=OTHER.runtime_ca),
        own(ca=b"junk"),
        own(ca=b""),
        own(key=bytes(DEPLOYMENT.credentials(3).key)),
        own(key=b""),
        own(certificate=DEPLOYMENT.credentials(3).certificate),
        own(certificate=b"\x30\x03\x02\x01\x00"),
        own() + b"!",
        own()[:9] + b"\xff" + own()[10:],
        b"\x04\x00" + own()[2:],
        own()[:2] + b"\x01\x00" + own()[4:],
        b"\x03\x00\x02\x00\x00\x00\x00\x00\x00\x00",
    ],
)
def test_response_that_is_not_good(monkeypatch: pytest.MonkeyPatch, response: bytes) -> None:
    world = tampered(monkeypatch, lambda _: response)
    assert world.request(3, 0) == -1
    assert not world.nodes[3].registered
    assert world.now == 0
    assert world.states() == ["IDLE"]


def test_response_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tampered responses above fail for what was changed, not for being tampered with."""
    world = tampered(monkeypatch, lambda _: own())
    assert world.request(3, 0) == 0


def test_runtime_certificate_for_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    issue = Sss(DEPLOYMENT, seed=b"cn")
    world = tampered(monkeypatch, lambda _: other.encode())
    made = issue._decide(4, Request(4, 0), 0)
    other = Response(3, 0, made.ca, made.certificate, made.key)
    assert world.request(3, 0) == -1
    assert not world.nodes[3].registered


def stranger(credentials: Credentials) -> World:
    world = World.of(3, 4)
    world.nodes[3] = Controller.from_credentials(3, credentials, b"stranger")
    return world


@pytest.mark.parametrize(
    "credentials",
    [FOREIGN.credentials(3), DEPLOYMENT.credentials(4), DEPLOYMENT.issue("3", b"clone")],
    ids=["foreign", "other CN", "other key"],
)
def test_sss_refuses_strangers(credentials: Credentials) -> None:
    world = stranger(credentials)
    assert world.request(3, 0) == -1
    assert world.now == 0
    assert world.sss is not None
    assert world.sss.registered == set()
    assert world.sss.deadline() is None


@pytest.mark.parametrize(
    ("credentials", "arrives"),
    [
        (FOREIGN.credentials(3), False),
        (DEPLOYMENT.credentials(4), False),
        (DEPLOYMENT.issue("03", b"x"), False),
        (DEPLOYMENT.issue("*", b"x"), False),
        (DEPLOYMENT.issue("3", b"clone"), True),
    ],
    ids=["foreign", "other CN", "padded CN", "wildcard CN", "right name"],
)
def test_peers_check_chain_and_name_both_ways(credentials: Credentials, arrives: bool) -> None:
    world = stranger(credentials)
    world.cpu(3, 4, b"as client")
    world.cpu(4, 3, b"as server")
    assert world.messages(4) == ([(3, b"as client")] if arrives else [])
    assert world.messages(3) == ([(4, b"as server")] if arrives else [])
    assert world.states() == ["IDLE", "IDLE"]
    assert world.now == 0


def test_removed_device_is_refused_although_its_chain_is_good() -> None:
    deployment = Deployment.create([3, 4], seed=b"removal")
    world = World.of(3, 4, deployment=deployment)
    deployment.remove(3)
    assert world.request(3, 0) == -1
    assert world.now == 0
    assert world.request(4, 0) == 0


def test_sss_judges_dates_and_devices_do_not() -> None:
    world = World.of(3, 4)
    world.sss = Sss(DEPLOYMENT, seed=b"sss", epoch=VALID_TO - timedelta(seconds=10))
    assert world.request(3, 0) == 0
    world.now = 10_001
    assert world.request(4, 0) == -1
    world.sss = Sss(DEPLOYMENT, seed=b"sss", epoch=VALID_FROM - timedelta(seconds=11))
    assert world.request(4, 0) == -1
    world.nodes[3]._runtime = None
    world.cpu(3, 4, b"no clock")
    assert world.messages(4)[-1] == (3, b"no clock")


def test_restart_keeps_authority_and_devices() -> None:
    world = World.of(3, 4)
    first = world.sss
    assert first is not None
    assert world.request(3, 0) == 0
    world.sss = Sss(DEPLOYMENT, seed=b"another start", state=first.state())
    assert world.sss.runtime_ca == first.runtime_ca
    assert world.request(4, 0) == 0
    world.cpu(3, 4, b"one fleet")
    assert world.messages(4)[-1] == (3, b"one fleet")
    assert world.request(3, 1) == 1


@pytest.mark.parametrize("state", [b"", b"{}", b"[]", b"1", b'{"version": 1}', b"\xff"])
def test_state_that_is_none_is_refused(state: bytes) -> None:
    with pytest.raises(ValueError, match="not the state of an SSS"):
        Sss(DEPLOYMENT, seed=b"", state=state)


def test_sss_is_deterministic() -> None:
    def run() -> tuple[list[tuple[int, str, Frame]], bytes]:
        world = World.of(3)
        world.request(3, 0)
        assert world.sss is not None
        return world.sent, world.sss.state()

    assert run() == run()


def test_other_wires_do_not_disturb() -> None:
    """REG-7: silence, half a frame, junk, another source id, a flood of hellos, resets."""
    world = World.of(3, 4)
    sss = world.sss
    assert sss is not None
    sss.connect(10)
    sss.receive(11, Frame(1, 6, b"half").encode()[:9], 0)
    sss.receive(12, bytes(range(256)) * 40, 0)
    world.judge = lambda medium, frame: not (medium == "sss" and frame.source == 4 and frame.payload[13] == 11)
    world.request(4, 0)
    hello = next(f for _, _, f in world.sent if f.source == 4 and len(f.payload) > 120)
    for source in range(3, 60):
        sss.receive(4, Frame(1, source, hello.payload).encode(), 0)
        sss.receive(13, Frame(1, source, hello.payload).encode(), 0)
        sss.receive(4, Frame(1, source, b"\x16\xfe\xfd" + bytes(40)).encode(), 0)
    sss.disconnect(11)
    sss.connect(12)
    sss.outgoing()
    assert world.request(3, 0) == 0
    world.judge = lambda _medium, _frame: True
    world.run()
    assert world.messages(4) == [(1, b"\x04\x00\x00\x00")]
    assert sss.deadline() is None


def test_device_that_restarts_in_mid_session_is_served() -> None:
    world = World.of(3)
    lose_sss_data(world)
    assert world.request(3, 0) is None
    assert world.sss is not None
    assert world.sss.deadline() == 60_000
    world.judge = lambda _medium, _frame: True
    world.now = 1_000
    world.nodes[3] = Controller(DEPLOYMENT.image(3), boot_entropy=b"second boot")
    assert world.request(3, 0) == 0


def test_session_without_request_times_out() -> None:
    world = World.of(3)
    world.judge = lambda medium, frame: not (frame.source == 3 and frame.payload[0] == 23)
    world.request(3, 0)
    sss = world.sss
    assert sss is not None
    assert sss.deadline() == 60_000
    sss.on_time(60_000)
    assert [frame_of(data).payload[0] for _, data in sss.outgoing()] == [21]
    assert sss.deadline() is None


def talk(sss: Sss, *pieces: bytes, lose: int = -1) -> list[Happening]:
    """What a client of our own hears that says these pieces once the handshake is complete, one of them lost."""
    client = Session(DEPLOYMENT.credentials(3), Peer("1"), Drbg(b"client"))
    client.start(0)
    heard = []
    for _ in range(10):
        for datagram in client.outgoing:
            sss.receive(0, Frame(1, 3, datagram).encode(), 0)
        client.outgoing.clear()
        for _, data in sss.outgoing():
            for record in split(frame_of(data).payload):
                heard.append(client.receive(record, 0))
                if heard[-1].kind is Kind.ESTABLISHED:
                    for piece in pieces:
                        client.write(piece)
                    if lose >= 0:
                        del client.outgoing[lose - len(pieces)]
    return [h for h in heard if h.kind is not Kind.NOTHING]


def test_request_may_come_in_pieces() -> None:
    heard = talk(Sss(DEPLOYMENT, seed=b"sss"), b"\x03", b"\x00\x00", b"\x00")
    assert [h.kind for h in heard] == [Kind.ESTABLISHED, Kind.DATA]
    assert heard[1].data[:4] == b"\x03\x00\x00\x00"


def test_request_of_more_than_4_bytes_is_refused() -> None:
    heard = talk(Sss(DEPLOYMENT, seed=b"sss"), b"\x03\x00\x00\x00\x00")
    assert heard[1].data == b"\x03\x00\xff\xff" + bytes(6)


def test_only_one_response() -> None:
    heard = talk(Sss(DEPLOYMENT, seed=b"sss"), b"\x03\x00\x00\x00", b"\x03\x00\x00\x00")
    assert [h.kind for h in heard] == [Kind.ESTABLISHED, Kind.DATA]


def test_gap_in_a_request_closes() -> None:
    sss = Sss(DEPLOYMENT, seed=b"sss")
    heard = talk(sss, b"\x03\x00\x00\x00", b"\x03\x00\x00\x00", lose=0)
    assert [h.kind for h in heard] == [Kind.ESTABLISHED, Kind.CLOSED]
    assert sss.registered == set()
    assert sss.deadline() is None


def test_frames_for_others_or_in_other_names_are_dropped() -> None:
    world = World.of(3)
    sss = world.sss
    assert sss is not None
    lost: list[Frame] = []

    def judge(_medium: str, frame: Frame) -> bool:
        if frame.source == 3:
            lost.append(frame)
        return len(lost) < 4

    world.judge = judge
    world.request(3, 0)
    assert sss.deadline() == 60_000
    for target, source in ((1, 4), (2, 3), (3, 3)):
        sss.receive(3, Frame(target, source, lost[3].payload).encode(), 0)
        assert sss.outgoing() == []
    sss.receive(3, lost[3].encode(), 0)
    assert len(sss.outgoing()) == 1


def test_controller_takes_frames_of_the_sss_for_itself_only() -> None:
    world = World.of(3)
    world.judge = lambda _medium, frame: frame.source == 3
    world.request(3, 0)
    verify = world.sent[-1][2].payload
    for target, source in ((3, 4), (4, 1), (0, 1)):
        world.inject(3, Link.SSS, Frame(target, source, verify).encode())
        world.inject(3, Link.RADIO, Frame(target, source, verify).encode())
    assert len(world.sent) == 2
    world.inject(3, Link.SSS, Frame(3, 1, verify).encode())
    assert len(world.sent) > 2


def test_frames_before_talking_to_the_sss_do_not_count() -> None:
    world = World.of(3)
    world.request(3, 0)
    before = len(world.sent)
    for _, medium, frame in list(world.sent):
        if medium == "sss" and frame.source == 1:
            world.inject(3, Link.SSS, frame.encode())
    assert len(world.sent) == before
    assert world.states() == ["IDLE"]
