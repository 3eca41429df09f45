"""Honest ends: with each other and with Mbed TLS; lost datagrams, forks, and whatever else comes in."""

from __future__ import annotations

import functools
import pickle
from dataclasses import replace

import pytest
from ends import CLIENT, Mbed, Wire, client, edited, server, shake, steps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.peer.endpoint import AES_128, AES_256, Endpoint
from conformance.peer.listening import MAX_MESSAGES, MAX_RECEIVED
from conformance.peer.script import HONEST, Script, parse
from conformance.peer.speaking import repeat_flight
from conformance.peer.state import HELD_RECORDS, KEPT_DATAGRAMS, KEPT_ENTRIES
from conformance.wire.describe import describe
from conformance.wire.handshake import HandshakeType
from conformance.wire.records import ContentType, parse_alert
from reference.dtls import Kind

BOTH = pytest.mark.parametrize("suite", [AES_256, AES_128], ids=["aes256", "aes128"])
LONG = bytes(range(256)) * 10


class TestWithMbedTls:
    @BOTH
    def test_our_client(self, suite: int) -> None:
        ours, theirs = client(suite=suite), Mbed(is_server=True, suite=suite)
        theirs.send(b"from theirs")
        ours.send(LONG)
        wire = shake(ours, theirs)
        ours.close()
        wire.run()
        assert b"".join(theirs.received) == LONG and ours.received == [b"from theirs"]
        assert theirs.kinds[-1] is Kind.CLOSED and ours.peer_closed and ours.closed
        assert ours.secrets() == theirs.secret_pairs != []

    @BOTH
    def test_our_server(self, suite: int) -> None:
        theirs, ours = Mbed(is_server=False, suite=suite), server(suite=suite)
        theirs.send(b"from theirs")
        ours.send(LONG)
        wire = shake(theirs, ours)
        theirs.close()
        wire.run()
        assert b"".join(theirs.received) == LONG and ours.received == [b"from theirs"]
        assert ours.ended == "the other side closed" and theirs.kinds[-1] is Kind.CLOSED
        assert ours.secrets() == theirs.secret_pairs != []

    @pytest.mark.parametrize("extended", [True, False])
    def test_the_master_secret_is_extended_if_both_want_it(self, extended: bool) -> None:
        ours = client(replace(HONEST, extended_master_secret=extended))
        wire = shake(ours, Mbed(is_server=True))
        assert ours.established
        assert wire.body(False, HandshakeType.SERVER_HELLO).extended_master_secret is extended

    @pytest.mark.parametrize("lost", range(8))
    @pytest.mark.parametrize("ours_is_client", [True, False], ids=["client", "server"])
    def test_any_lost_datagram_is_made_good(self, lost: int, ours_is_client: bool) -> None:
        ours = client() if ours_is_client else server()
        theirs = Mbed(is_server=ours_is_client)
        ends = (ours, theirs) if ours_is_client else (theirs, ours)
        wire = shake(*ends, until=200_000, drop=lambda number, side, datagram: number == lost)
        assert ours.established and theirs.established
        assert wire.now == (7_000 if lost < 6 else 0)


class TestWithEachOther:
    @BOTH
    def test_the_datagrams_are_the_flights(self, suite: int) -> None:
        one, other = client(suite=suite), server(suite=suite)
        one.send(b"data")
        one.close()
        wire = shake(one, other)
        keys = wire.keys(one.secrets())
        assert [(side, describe(d, keys)) for _, side, d in wire.datagrams] == [
            (True, "ClientHello"),
            (False, "HelloVerifyRequest"),
            (True, "ClientHello with cookie"),
            (False, "ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone"),
            (True, "Certificate, ClientKeyExchange, CertificateVerify, CCS, Finished"),
            (False, "CCS, Finished"),
            (True, "data #1, 4 B"),
            (True, "close_notify"),
            (False, "close_notify"),
        ]
        assert max(len(d) for _, _, d in wire.datagrams) <= 1_000

    def test_the_answer_to_a_hello_takes_its_record_number(self) -> None:
        wire = shake(client(edited("client-hello-cookie", sequence=9)), server())
        assert [r.seq for r in wire.records(False)[:3]] == [0, 9, 10]
        assert [f.message_seq for f in wire.fragments(False)] == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize(("wanted", "extensions"), [(True, {0xFF01, 11, 23}), (False, {0xFF01, 11})])
    def test_the_server_agrees_to_what_is_offered(self, wanted: bool, extensions: set[int]) -> None:
        wire = shake(client(replace(HONEST, extended_master_secret=wanted)), server())
        assert set(wire.body(False, HandshakeType.SERVER_HELLO).extensions) == extensions
        assert wire.client.established

    def test_no_record_number_is_used_twice(self) -> None:
        wire = shake(client(), server(edited("hello-verify-request", repeat=3)))
        assert wire.client.established
        assert [(r.epoch, r.seq) for r in wire.records(False)][:5] == [(0, n) for n in range(5)]

    def test_same_seed_same_bytes(self) -> None:
        def run() -> list[bytes]:
            return [d for _, _, d in shake(client(), server()).datagrams]

        assert run() == run()
        other = shake(Endpoint("client", CLIENT, seed=b"another"), server())
        assert [d for _, _, d in other.datagrams] != run()

    def test_an_unanswered_flight_goes_out_at_the_times_of_dtl_6(self) -> None:
        for end, heard in ((client(), 0), (server(), 3)):
            ends = (end, server()) if heard == 0 else (client(), end)
            wire = shake(*ends, until=1_000_000, drop=lambda number, side, datagram, heard=heard: number >= heard)
            flight = wire.times(heard == 0)[1 if heard else 0 :]
            assert flight[:5] == [0, 7_000, 21_000, 49_000, 105_000]
            assert end.ended == "the other side does not answer" and end.deadline() is None
            assert wire.now == 165_000

    def test_a_cookie_is_bound_to_its_client(self) -> None:
        cookies = [
            shake(client(), server(bound=b)).body(False, HandshakeType.HELLO_VERIFY_REQUEST).cookie
            for b in (b"3", b"5")
        ]
        assert cookies[0] != cookies[1]
        wire = shake(client(edited("client-hello-cookie", set={"cookie": cookies[1].hex()})), server())
        assert wire.types(False) == [HandshakeType.HELLO_VERIFY_REQUEST] * 2

    @pytest.mark.parametrize(("data", "answers"), [(b"", 2), (b"x", 1)])
    def test_a_repeated_finished_is_answered_until_data_came(self, data: bytes, answers: int) -> None:
        one, other = client(), server()
        one.send(data)
        wire = shake(one, other)
        again = one.fork()
        repeat_flight(again._state, 0)
        for datagram in again.outgoing():
            other.receive(datagram, 0)
        wire.move()
        assert [describe(d) for d in wire.sent(False)].count("CCS, Finished (sealed)") == answers


class TestOvertaking:
    """Records of epoch 1 wait for what must come before them."""

    @pytest.mark.parametrize(("omitted", "received"), [("alert", [b"\xaa"]), ("finished", [])])
    def test_data_waits_for_the_finished(self, omitted: str, received: list[bytes]) -> None:
        early = {"at": "finished", "insert_before": [{"send": "data", "hex": "aa"}]}
        other = server()
        shake(client(parse({"edits": [early, {"at": omitted, "omit": True}]})), other)
        assert other.received == received and other.established is bool(received)

    @pytest.mark.parametrize(
        ("edit", "established"),
        [
            ({"at": "finished", "move_before": "change-cipher-spec"}, True),
            ({"at": "change-cipher-spec", "omit": True}, False),
        ],
    )
    def test_the_finished_waits_for_the_change_cipher_spec(self, edit: dict[str, object], established: bool) -> None:
        other = server()
        shake(client(parse({"edits": [edit]})), other)
        assert other.established is established

    def test_nothing_counts_after_the_close_notify(self) -> None:
        after = {"at": "close-notify", "insert_after": [{"send": "data", "hex": "aa", "datagram": "same"}]}
        one, other = client(parse({"edits": [after]})), server()
        one.send(b"before")
        one.close()
        wire = shake(one, other)
        assert "alert #2 (sealed), data #3, 1 B (sealed)" in map(describe, wire.sent(True))
        assert other.received == [b"before"]

    def test_a_close_notify_in_plaintext_closes_nothing(self) -> None:
        other = server()
        shake(client(steps({"send": "close-notify", "epoch": 0})), other)
        assert other.ended == "the other side closed" and not other.peer_closed

    def test_plaintext_counts_for_nothing_afterwards(self) -> None:
        one, other = client(), server()
        wire = shake(one, other)
        stranger = client(
            steps({"send": "alert"}, {"send": "data", "hex": "aa", "epoch": 0}, {"send": "close-notify", "epoch": 0})
        )
        stranger.start(0)
        for datagram in stranger.outgoing():
            other.receive(datagram, 0)
        assert (other.received, other.ended, other.peer_closed) == ([], "", False)
        one.send(b"still there")
        wire.move()
        assert other.received == [b"still there"]


class TestBounds:
    """What the other side can make a peer keep."""

    def test_messages(self) -> None:
        flood = [{"send": "handshake", "type": 11, "hex": ""} for _ in range(100)]
        hello = [{"send": "client-hello"}, {"await": "hello-verify-request"}, {"send": "client-hello-cookie"}]
        other = server(replace(HONEST, verify=False))
        shake(client(steps(*hello, *flood)), other)
        assert len(other._state.assembler.messages) == MAX_MESSAGES

    def test_data(self) -> None:
        one, other = client(edited("data", nth=0, size=16_000)), server()
        one.send(bytes(963 * 70))
        shake(one, other)
        assert len(other.received) == MAX_RECEIVED // 16_000
        assert sum(map(len, other.received)) == MAX_RECEIVED // 16_000 * 16_000

    def test_records_that_wait_the_log_and_the_datagrams(self) -> None:
        wire = shake(client(), server())
        other = server()
        for number in range(3_000):
            other.receive(b"\x17\xfe\xfd\0\1" + number.to_bytes(6, "big") + b"\0\1x", 0)
        state = other._state
        assert (len(state.held), len(state.log)) == (HELD_RECORDS, KEPT_ENTRIES)
        assert {k: len(v) for k, v in state.datagrams.items()} == {("got", "data"): KEPT_DATAGRAMS}
        for datagram in wire.sent(True)[:1]:
            other.receive(datagram, 0)
        assert len(other.outgoing()) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("certificate", "signature", "code"),
        [
            ("empty", "own", 40),
            ("stranger", "own", 48),
            ("damaged", "own", 48),
            ("chain", "own", 48),
            ("wrong-name", "own", 42),
            ("other", "own", 51),
            ("own", "other-key", 51),
            ("own", "other-transcript", 51),
        ],
    )
    @pytest.mark.parametrize("by_client", [True, False], ids=["client", "server"])
    def test_wrong_credentials(self, certificate: str, signature: str, code: int, by_client: bool) -> None:
        script = replace(HONEST, certificate=certificate, signature=signature)
        wrong, other = (client(script), server()) if by_client else (server(script), client())
        wire = shake(wrong, other) if by_client else shake(other, wrong)
        assert not other.established
        alerts = [parse_alert(r.fragment) for r in wire.records(not by_client) if r.content_type is ContentType.ALERT]
        assert [(a.level, a.code) for a in alerts] == [(2, code)]
        assert wrong.ended == f"alert {code} of the other side"

    @pytest.mark.parametrize("certificate", ["expired", "p384", "rsa"])
    def test_credentials_that_we_take(self, certificate: str) -> None:
        other = server()
        shake(client(replace(HONEST, certificate=certificate)), other)
        assert other.established

    def test_a_finished_in_plaintext(self) -> None:
        other = server()
        shake(client(edited("finished", epoch=0)), other)
        assert not other.established
        assert "finished in epoch 0" in [e.what[0] for e in other.log]

    def test_messages_out_of_order(self) -> None:
        other = server()
        shake(client(edited("certificate-verify", omit=True)), other)
        assert other.ended == "finished comes after client-key-exchange"

    def test_a_peer_that_takes_anything(self) -> None:
        other = server(replace(HONEST, verify=False))
        shake(client(replace(edited("finished", body="00" * 12), certificate="stranger")), other)
        assert other.established


class TestForks:
    @pytest.mark.parametrize("after", range(9))
    def test_both_branches_go_on_by_themselves(self, after: int) -> None:
        one, other = client(), server()
        other.start(0)
        one.start(0)
        wire = Wire(one, other)
        queue = [(one, d) for d in one.outgoing()]
        for _ in range(after):
            if not queue:
                break
            sender, datagram = queue.pop(0)
            to = other if sender is one else one
            to.receive(datagram, 0)
            queue += [(to, d) for d in to.outgoing()]
        ends = {id(one): one.fork(), id(other): other.fork()}
        branch = Wire(ends[id(one)], ends[id(other)])
        for ours, theirs, message in ((wire, (one, other), b"left"), (branch, tuple(ends.values()), b"right")):
            for sender, datagram in queue:
                theirs[1 if sender is one else 0].receive(datagram, 0)
            theirs[0].send(message)
            ours.run()
            assert theirs[1].received == [message]

    def test_the_state_is_plain_data(self) -> None:
        one, other = client(), server()
        shake(one, other)
        copy = pickle.loads(pickle.dumps(one))
        copy.send(b"x")
        one.send(b"x")
        assert copy.outgoing() == one.outgoing() != []

    def test_no_text_form_shows_a_secret(self) -> None:
        one = client()
        shake(one, server())
        (_, master), state = one.secrets()[0], one._state
        text = repr(one) + repr(state) + repr(state.keys) + repr(state.ephemeral)
        for secret in (CLIENT.key, CLIENT.ca_key, master, state.seed, state.keys.client._key, state.ephemeral._secret):
            assert len(secret) >= 16
            assert repr(secret)[2:-1] not in text and secret.hex() not in text


DATAGRAMS = [d for _, _, d in shake(client(), server()).datagrams] + [
    d for _, _, d in shake(Mbed(is_server=False), server()).datagrams
]
DAMAGE = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), min_size=1, max_size=4)


def damaged(datagram: bytes, damage: list[tuple[int, int]]) -> bytes:
    made = bytearray(datagram)
    for at, value in damage:
        made[at % len(made)] = value
    return bytes(made)


HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(DATAGRAMS),
    st.builds(damaged, st.sampled_from(DATAGRAMS), DAMAGE),
    st.builds(lambda d, n: d[: n % len(d)], st.sampled_from(DATAGRAMS), st.integers(1, 999)),
)
SCRIPTS = [
    HONEST,
    replace(HONEST, verify=False),
    steps(
        {"send": "data"},
        {"await": "anything"},
        {"send": "finished"},
        {"await": "client-hello"},
        {"send": "server-hello"},
    ),
]


@functools.cache
def after(script: Script, is_client: bool, honest: int) -> Endpoint:
    """An end after so many rounds with an honest one."""
    end = (client if is_client else server)(script)
    other = (server if is_client else client)()
    other.start(0)
    end.start(0)
    for _ in range(honest):
        for datagram in end.outgoing():
            other.receive(datagram, 0)
        for datagram in other.outgoing():
            end.receive(datagram, 0)
    return end


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SCRIPTS),
    st.booleans(),
    st.integers(0, 4),
    st.lists(st.tuples(HOSTILE, st.sampled_from([0, 1, 7_000, 60_000])), min_size=1, max_size=8),
)
def test_nothing_that_comes_in_makes_it_raise(
    script: Script, is_client: bool, honest: int, hostile: list[tuple[bytes, int]]
) -> None:
    end, now = after(script, is_client, honest).fork(), 0
    for datagram, ms in hostile:
        now += ms
        end.on_time(now)
        end.receive(datagram, now)
        assert end.deadline() is None or end.deadline() > now
        assert len(end.outgoing()) < 100
