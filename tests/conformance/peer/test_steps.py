"""Scripts of steps: nothing goes out but by them, at the times that they say."""

from __future__ import annotations

from ends import Mbed, Wire, client, edited, server, shake, steps

from conformance.peer.endpoint import Endpoint
from conformance.wire.describe import describe
from conformance.wire.handshake import HandshakeType
from conformance.wire.records import parse_alert

CLIENT = [
    {"send": "client-hello"},
    {"await": "hello-verify-request"},
    {"send": "client-hello-cookie"},
    {"await": "server-hello-done"},
    {"send": "certificate"},
    {"send": "client-key-exchange", "datagram": "same"},
    {"send": "certificate-verify"},
    {"send": "change-cipher-spec"},
    {"send": "finished"},
    {"await": "finished"},
    {"send": "data", "hex": "aabb"},
    {"send": "close-notify"},
]
SERVER = [
    {"await": "client-hello"},
    {"send": "hello-verify-request"},
    {"await": "client-hello-cookie"},
    {"send": "server-hello"},
    {"send": "certificate"},
    {"send": "server-key-exchange"},
    {"send": "certificate-request"},
    {"send": "server-hello-done"},
    {"await": "finished"},
    {"send": "change-cipher-spec"},
    {"send": "finished"},
    {"await": ["data", "alert"]},
    {"send": "data", "hex": "cc"},
]


def labels(wire: Wire, from_client: bool) -> list[str]:
    return [describe(d) for d in wire.sent(from_client)]


def notes(end: object) -> list[str]:
    assert isinstance(end, Endpoint)
    return [e.what[0] for e in end.log if e.way == "note"]


def test_a_whole_handshake_as_client_with_mbed_tls() -> None:
    ours, theirs = client(steps(*CLIENT)), Mbed(is_server=True)
    wire = shake(ours, theirs)
    assert ours.established and theirs.received == [b"\xaa\xbb"]
    assert labels(wire, True)[:3] == ["ClientHello", "ClientHello with cookie", "Certificate"]
    assert ours.secrets() == theirs.secret_pairs != []


def test_a_whole_handshake_as_server_with_mbed_tls() -> None:
    theirs, ours = Mbed(is_server=False), server(steps(*SERVER))
    theirs.send(b"hello")
    wire = shake(theirs, ours)
    assert theirs.established and ours.received == [b"hello"] and theirs.received == [b"\xcc"]
    assert wire.types(False) == [
        HandshakeType.HELLO_VERIFY_REQUEST,
        HandshakeType.SERVER_HELLO,
        HandshakeType.CERTIFICATE,
        HandshakeType.SERVER_KEY_EXCHANGE,
        HandshakeType.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE,
    ]


def test_waiting_takes_its_time() -> None:
    script = steps({"send": "client-hello"}, {"wait": 250}, {"send": "raw", "hex": "01"}, {"wait": 0}, {"send": "data"})
    wire = shake(client(script), server(), until=1_000)
    assert wire.times(True) == [0, 250, 250]
    assert wire.client.deadline() is None


def test_what_does_not_come_in_time_ends_the_script() -> None:
    ours = client(steps({"send": "client-hello"}, {"await": "alert", "within": 300}, {"send": "data", "hex": "00"}))
    wire = shake(ours, server(), until=10_000)
    assert labels(wire, True) == ["ClientHello"]
    assert (wire.now, ours.deadline(), ours.ended) == (300, None, "what the script awaits has not come")
    assert notes(ours) == ["no alert within 300 ms: the script ends"]


def test_what_came_before_counts_and_is_used_up() -> None:
    script = steps(
        {"send": "client-hello"},
        {"await": "hello-verify-request"},
        {"send": "client-hello-cookie"},
        {"await": "certificate"},
        {"await": "server-hello", "within": 5},
        {"send": "data"},
    )
    ours = client(script)
    wire = shake(ours, server(), until=100)
    assert len(wire.sent(True)) == 2 and ours.ended


def test_replay_and_reflect() -> None:
    script = steps(
        {"send": "client-hello"},
        {"await": "anything"},
        {"send": "replay", "of": "client-hello"},
        {"send": "reflect", "of": "hello-verify-request"},
        {"send": "replay", "of": "finished"},
    )
    ours = client(script)
    wire = shake(ours, server())
    one, again, reflected = wire.sent(True)
    assert one == again and reflected == wire.sent(False)[0]
    assert notes(ours) == ["there is no datagram of replay to send"]


def test_finished_without_keys_and_an_alert_in_plaintext() -> None:
    ours = client(steps({"send": "finished"}, {"send": "alert", "level": 1, "code": 90}, {"send": "close-notify"}))
    wire = shake(ours, server())
    finished, alert, close = wire.records(True)
    assert (finished.epoch, len(finished.fragment), close.epoch) == (1, 48, 1)
    alert_again = wire.records(True)[1]
    assert alert.epoch == alert_again.epoch == 1, "something was sent in epoch 1"
    ours = client(steps({"send": "alert", "level": 1, "code": 90}))
    (alert,) = shake(ours, server()).records(True)
    seen = parse_alert(alert.fragment)
    assert (alert.epoch, seen.level, seen.code) == (0, 1, 90)


def test_numbers_go_on_from_step_to_step() -> None:
    wire = shake(client(steps({"send": "certificate"}, {"send": "client-key-exchange"}, {"send": "data"})), server())
    assert [f.message_seq for f in wire.fragments(True)] == [0, 1]
    assert [(r.epoch, r.seq) for r in wire.records(True)] == [(0, 0), (0, 1), (1, 0)]


def test_what_the_other_side_repeats_is_not_followed_twice() -> None:
    ours = server(steps(*SERVER))
    repeating = edited(["client-hello", "client-hello-cookie", "client-key-exchange"], repeat=2, datagram="new")
    theirs = client(repeating)
    theirs.send(b"hello")
    wire = shake(theirs, ours, drop=lambda number, side, datagram: "Finished" in describe(datagram))
    assert not ours.established
    wire.drop = lambda number, side, datagram: False
    wire.run(8_000)
    assert wire.now == 7_000
    assert ours.established and ours.received == [b"hello"] and theirs.received == [b"\xcc"]


def test_a_fork_goes_its_own_way() -> None:
    ours = client(steps({"send": "client-hello"}, {"wait": 5}, {"send": "raw", "hex": "01"}))
    ours.start(0)
    branch = ours.fork()
    ours.on_time(5)
    assert ours.outgoing()[-1] == b"\1" and branch.deadline() == 5
    branch.on_time(5)
    assert branch.outgoing()[-1] == b"\1"
