"""The oracle: what it allows, what it refuses, and what it says then; and the historic defects that the rules show."""

from __future__ import annotations

import pytest

from model.alphabet import Ca, Event, Output
from model.oracle import Oracle
from model.profile import HARDENED, HISTORIC, Setting
from model.state import Mode, State, Step

ME, PEER = 10, 11
PROV, RUN = Ca.PROVISIONING, Ca.RUNTIME


def drive(oracle: Oracle, *steps: tuple[Event, list[Output], int | None]) -> None:
    """Take steps that must be allowed. Deadlines are in milliseconds from now."""
    for event, outputs, timer in steps:
        now = oracle.now + (event.args[0] if event.kind == "time" else 0)
        assert oracle.step((event,), tuple(outputs), None if timer is None else now + timer) is None, event


def send(ca: Ca = PROV) -> list[tuple[Event, list[Output], int | None]]:
    """A whole session as client."""
    return [
        (Event("cpu-send", (PEER, 16)), [Output("hello", (PEER,))], 7_000),
        (Event("verify-request", (PEER,)), [Output("hello-cookie", (PEER,))], 7_000),
        (Event("certificate", (PEER, ca, PEER)), [], 7_000),
        (Event("flight4", (PEER,)), [Output("flight5", (PEER, ca))], 7_000),
        (Event("flight6", (PEER, 0)), [Output("data", (PEER, 16, 1)), Output("close", (PEER,))], None),
    ]


def accept(ca: Ca = PROV, source: int = PEER) -> list[tuple[Event, list[Output], int | None]]:
    """A session as server, up to the peer's Finished."""
    return [
        (Event("hello", (source,)), [Output("verify-request", (source,))], None),
        (Event("hello-cookie", (source, 1)), [Output("flight4", (source, ca))], 7_000),
        (Event("certificate", (source, ca, source)), [], 7_000),
        (Event("flight5", (source, 0)), [Output("flight6", (source,))], 60_000),
    ]


def register() -> list[tuple[Event, list[Output], int | None]]:
    return [
        (Event("cpu-request", (4, ME, 0)), [Output("hello", (1,))], 7_000),
        (Event("verify-request", (1,)), [Output("hello-cookie", (1,))], 7_000),
        (Event("certificate", (1, PROV, 1)), [], 7_000),
        (Event("flight4", (1,)), [Output("flight5", (1, PROV))], 7_000),
        (Event("flight6", (1, 0)), [Output("request", (ME, 0))], 60_000),
        (Event("data", (1, 1, 900)), [], 60_000),
        (Event("response", (0, 1, 1)), [Output("close", (1,)), Output("answer", (ME, 0))], None),
    ]


def test_whole_sessions_are_allowed_and_the_certificate_set_follows_registration() -> None:
    oracle = Oracle(Setting(ME))
    drive(oracle, *send(), *accept())
    drive(
        oracle,
        (Event("data", (PEER, 1, 16)), [], 60_000),
        (Event("close", (PEER, 2)), [Output("close", (PEER,)), Output("deliver", (PEER, 16, 1))], None),
        *register(),
        *send(RUN),
    )
    assert oracle.states[0].registered == 1


def test_the_ladder_of_retransmissions_is_0_7_21_49_105_165_seconds() -> None:
    oracle = Oracle(Setting(ME))
    drive(oracle, (Event("cpu-send", (PEER, 16)), [Output("hello", (PEER,))], 7_000))
    times = []
    while oracle.deadlines() != (None,):
        timer = oracle.states[0].timer
        (possibility,) = oracle.foresee((Event("time", (timer,)),))
        drive(oracle, (Event("time", (timer,)), list(possibility.outputs), possibility.state.timer or None))
        times.append(oracle.now)
    assert times == [7_000, 21_000, 49_000, 105_000, 165_000]


def test_a_wrong_set_is_told_with_its_rule() -> None:
    oracle = Oracle(Setting(ME))
    drive(oracle, *register())
    drive(oracle, (Event("cpu-request", (4, ME, 1)), [Output("hello", (1,))], 7_000))
    for timer, following in ((7_000, 14_000), (14_000, 28_000), (28_000, 56_000), (56_000, 60_000)):
        drive(oracle, (Event("time", (timer,)), [Output("hello", (1,))], following))
    drive(oracle, (Event("time", (60_000,)), [Output("answer", (ME, -1))], None))
    drive(oracle, *send()[:3])
    told = oracle.step((Event("flight4", (PEER,)),), (Output("flight5", (PEER, RUN)),), oracle.now + 7_000)
    assert told is not None
    assert {"CRT-3", "CRT-4"} <= set(told.requirements)
    assert "ca=runtime" in told.explanation
    assert "ca=provisioning" in told.explanation


def test_a_wrong_deadline_is_told_with_the_rule_behind_the_timer() -> None:
    oracle = Oracle(Setting(ME))
    drive(oracle, *accept()[:3])
    told = oracle.step((Event("flight5", (PEER, 0)),), (Output("flight6", (PEER,)),), None)
    assert told is not None
    assert told.requirements == ("SES-7",)
    oracle = Oracle(Setting(ME))
    drive(oracle, send()[0])
    told = oracle.step((Event("time", (7_000,)),), (Output("hello", (PEER,)),), 14_000)
    assert told is not None
    assert told.requirements == ("DTL-6",)
    assert "14000 ms" in told.explanation
    assert "21000 ms" in told.explanation


def test_outputs_are_compared_link_by_link_and_in_order() -> None:
    for outputs, agrees in (
        ((Output("close", (PEER,)), Output("deliver", (PEER, 0, 1))), True),
        ((Output("deliver", (PEER, 0, 1)), Output("close", (PEER,))), True),
        ((Output("deliver", (PEER, 0, 0)), Output("close", (PEER,))), False),
        ((Output("deliver", (PEER, 0, 1)), Output("deliver", (PEER, 0, 1)), Output("close", (PEER,))), False),
        ((Output("close", (PEER,)),), False),
        ((Output("unknown", (0,)), Output("close", (PEER,)), Output("deliver", (PEER, 0, 1))), False),
    ):
        oracle = Oracle(Setting(ME))
        drive(oracle, *accept())
        assert (oracle.step((Event("close", (PEER, 1)),), outputs, None) is None) == agrees, outputs


def test_a_choice_left_to_the_implementation_keeps_both_ways_open() -> None:
    oracle = Oracle(Setting(ME))
    drive(oracle, *send()[:2])
    forged = (Event("forged", (PEER,)),)
    assert len(oracle.foresee(forged)) == 2
    assert oracle.step(forged, (Output("alert", (PEER,)),), None) is None
    assert oracle.states == (State(),)
    oracle = Oracle(Setting(ME))
    drive(oracle, *send()[:2])
    assert oracle.step(forged, (), 7_000) is None
    assert oracle.states[0].step == Step.COOKIE


def test_after_a_disagreement_the_oracle_goes_on_from_what_was_allowed() -> None:
    oracle = Oracle(Setting(ME))
    assert oracle.step((Event("cpu-send", (PEER, 16)),), (), None) is not None
    assert oracle.states[0].mode == Mode.SENDING_MESSAGE


def test_several_events_of_one_frame_are_taken_in_order() -> None:
    oracle = Oracle(Setting(ME))
    drive(oracle, *accept())
    events = (Event("data", (PEER, 1, 5)), Event("data", (PEER, 2, 6)), Event("close", (PEER, 3)))
    assert oracle.step(events, (Output("close", (PEER,)), Output("deliver", (PEER, 11, 1))), None) is None


class TestGlare:
    def test_a_message_put_aside_goes_first_and_then_the_waiting_frame(self) -> None:
        oracle = Oracle(Setting(ME))
        drive(oracle, send()[0])
        drive(oracle, (Event("cpu-send", (12, 5)), [], 7_000))
        drive(oracle, (Event("hello", (9,)), [Output("verify-request", (9,))], 7_000))
        drive(oracle, *accept(source=9)[1:])
        ended = [Output("close", (9,)), Output("hello", (PEER,)), Output("deliver", (9, 0, 1))]
        drive(oracle, (Event("close", (9, 1)), ended, 7_000))
        drive(oracle, *send()[1:4])
        last = [Output("data", (PEER, 16, 1)), Output("close", (PEER,)), Output("hello", (12,))]
        drive(oracle, (Event("flight6", (PEER, 0)), last, 7_000))

    def test_a_higher_id_is_not_yielded_to(self) -> None:
        oracle = Oracle(Setting(ME))
        drive(oracle, send()[0])
        drive(oracle, (Event("hello", (12,)), [], 7_000), (Event("hello-cookie", (12, 1)), [], 7_000))

    def test_yielding_in_vain_happens_once_per_message(self) -> None:
        oracle = Oracle(Setting(ME))
        drive(oracle, send()[0], (Event("hello-cookie", (9, 1)), [Output("flight4", (9, PROV))], 7_000))
        drive(oracle, (Event("time", (7_000,)), [Output("hello", (PEER,))], 7_000))
        drive(oracle, (Event("hello-cookie", (9, 2)), [], 7_000))


class TestAnUnprovedPeer:
    """ADV-1, decision 0007: it has one retransmission period while something of our own waits."""

    REQUEST = Event("cpu-request", (4, ME, 0))
    FRAMES = (
        (Event("cpu-send", (12, 5)), [Output("hello", (12,))], 7_000),
        (REQUEST, [Output("hello", (1,))], 7_000),
        (Event("cpu-request", (3, ME, 0)), [Output("answer", (ME, -1))], None),
        (Event("cpu-other"), [], None),
    )

    @pytest.mark.parametrize("frame", FRAMES, ids=lambda f: str(f[0]))
    def test_a_frame_waits_for_the_first_timeout(self, frame: tuple[Event, list[Output], int | None]) -> None:
        event, outputs, timer = frame
        oracle = Oracle(Setting(ME))
        drive(oracle, *accept()[1:2], (Event("time", (1,)), [], 6_999), (event, [], 6_999))
        drive(oracle, (Event("time", (6_998,)), [], 1), (Event("time", (1,)), outputs, timer))

    @pytest.mark.parametrize("frame", FRAMES, ids=lambda f: str(f[0]))
    def test_a_frame_that_comes_later_does_not_wait(self, frame: tuple[Event, list[Output], int | None]) -> None:
        oracle = Oracle(Setting(ME))
        again = [Output("flight4", (PEER, PROV))]
        drive(oracle, *accept()[1:2], (Event("time", (7_000,)), again, 14_000), frame)

    def test_a_frame_waits_for_the_session_once_the_peer_has_proved_itself(self) -> None:
        oracle = Oracle(Setting(ME))
        drive(oracle, *accept()[1:2], (self.REQUEST, [], 7_000), *accept()[2:])
        drive(oracle, (Event("time", (7_000,)), [], 53_000))
        ended = [Output("close", (PEER,)), Output("deliver", (PEER, 0, 1)), Output("hello", (1,))]
        drive(oracle, (Event("close", (PEER, 1)), ended, 7_000))

    def test_it_cannot_start_over_while_a_frame_waits(self) -> None:
        oracle = Oracle(Setting(ME))
        drive(oracle, *accept()[1:2], (self.REQUEST, [], 7_000), (Event("time", (6_000,)), [], 1_000))
        drive(oracle, (Event("hello-cookie", (PEER, 2)), [], 1_000))
        drive(oracle, (Event("hello-cookie", (PEER, 1)), [Output("flight4", (PEER, PROV))], 1_000))
        drive(oracle, (Event("time", (1_000,)), [Output("hello", (1,))], 7_000))


class TestHistoricDefects:
    """What the historic profile allows, and the hardened one does not."""

    def historic(self) -> Oracle:
        return Oracle(Setting(ME, HISTORIC))

    def test_1_a_lost_close_notify_leaves_the_receiver_without_a_timer(self) -> None:
        oracle = self.historic()
        drive(oracle, *accept()[1:3])
        drive(oracle, (Event("flight5", (PEER, 0)), [Output("flight6", (PEER,))], None))
        assert oracle.states[0].mode == Mode.RECEIVING_MESSAGE

    def test_4_an_unproved_peer_holds_up_the_own_cpu(self) -> None:
        oracle = self.historic()
        drive(oracle, *accept()[1:2])
        drive(oracle, (Event("cpu-send", (12, 5)), [], 7_000))
        drive(oracle, (Event("time", (7_000,)), [Output("flight4", (PEER, PROV))], 14_000))

    def test_5_glare_loses_the_message(self) -> None:
        oracle = self.historic()
        drive(oracle, send()[0])
        drive(oracle, (Event("hello", (PEER,)), [], None))
        assert oracle.states == (State(),)

    def test_6_an_unreachable_sss_leaves_the_cpu_without_an_answer(self) -> None:
        oracle = self.historic()
        oracle.step((Event("cpu-request", (4, ME, 1)),), (Output("hello", (1,)),), 7_000)
        for timer, following in ((7_000, 14_000), (14_000, 28_000), (28_000, 56_000), (56_000, 60_000)):
            drive(oracle, (Event("time", (timer,)), [Output("hello", (1,))], following))
        drive(oracle, (Event("time", (60_000,)), [], None))

    def test_7_before_registration_seds_never_talk(self) -> None:
        oracle = self.historic()
        drive(oracle, *send()[:2])
        drive(oracle, (Event("certificate", (PEER, PROV, PEER)), [Output("alert", (PEER,))], None))

    def test_10_a_gap_is_delivered_over(self) -> None:
        oracle = self.historic()
        drive(oracle, *accept()[1:3])
        drive(oracle, (Event("flight5", (PEER, 0)), [Output("flight6", (PEER,))], None))
        drive(oracle, (Event("data", (PEER, 1, 963)), [], None), (Event("data", (PEER, 3, 963)), [], None))
        shortened = [Output("close", (PEER,)), Output("deliver", (PEER, 1_926, 1))]
        drive(oracle, (Event("close", (PEER, 4)), shortened, None))

    def test_unusable_credentials_end_in_fatal_error(self) -> None:
        oracle = self.historic()
        oracle.step((Event("cpu-request", (4, ME, 0)),), (Output("hello", (1,)),), 7_000)
        drive(oracle, *register()[1:4])
        drive(oracle, (Event("flight6", (1, 0)), [Output("request", (ME, 0))], None))
        drive(oracle, (Event("response", (0, 1, 0)), [], None))
        assert oracle.states[0].mode == Mode.FATAL_ERROR

    def test_the_hardened_profile_allows_none_of_it(self) -> None:
        oracle = Oracle(Setting(ME, HARDENED))
        drive(oracle, *accept()[1:4])
        drive(oracle, (Event("data", (PEER, 1, 963)), [], 60_000))
        told = oracle.step((Event("data", (PEER, 3, 963)),), (), oracle.now + 60_000)
        assert told is not None
        assert told.requirements[0] == "SES-8"


def test_alphabet_refuses_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="cpu-send"):
        Event("cpu-send", (1,))
    with pytest.raises(ValueError, match="hello"):
        Output("hello")
