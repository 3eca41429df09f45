"""What the outputs of a rule, and the end of a session, do to what is on its way."""

from __future__ import annotations

import pytest
from drafts import draft

from model.alphabet import SSS_ID, Ca
from model.rules.base import Effect, Emit
from model.rules.sss import GONE
from model.state import Mode, Step
from model.system.layout import Chosen, Draft, Proof, Reply
from model.system.links import Slot, carry_out, carry_out_wire
from model.system.scope import ABSENT, STRANGER

SENDING = {"s3_mode": Mode.SENDING_MESSAGE, "s3_peer": 4}
SERVED = {**SENDING, "s4_mode": Mode.RECEIVING_MESSAGE, "s4_peer": 3, "s4_handshake": 1}
"""SED 4 serves the present session of SED 3."""
TALKING = {"s3_mode": Mode.TALKING_TO_SSS, "s3_peer": SSS_ID, "w3_handshake": 1}
"""The SSS serves the present session of SED 3."""
OVER = {"mode": Mode.IDLE, "step": Step.NONE, "peer": 0, "handshake": 0}


def changed(d: Draft) -> dict[str, int]:
    """What is not as it was."""
    return {name: value for name, value in d.update.items() if value != d.before()[name]}


def emits(d: Draft, i: int, *outputs: tuple[str, tuple[int, ...]], update: dict[str, int] | None = None) -> None:
    carry_out(d, i, Effect(True, update or {}, tuple(Emit(kind, args) for kind, args in outputs)))


def emits_sss(d: Draft, i: int, *outputs: tuple[str, tuple[int, ...]], update: dict[str, int] | None = None) -> None:
    carry_out_wire(d, i, Effect(True, update or {}, tuple(Emit(kind, args) for kind, args in outputs)))


# --- the end of a session --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("registered", "slot"), [(0, "s3_f4p"), (1, "s3_f4r")])
def test_a_server_that_leaves_strands_its_flight_4(registered: int, slot: str) -> None:
    d = draft({**SERVED, "s4_registered": registered, "s3_f4": 1})
    emits(d, 4, update=OVER)
    assert changed(d) == {"s3_f4": 0, slot: 1, "s4_mode": 0, "s4_peer": 0, "s4_handshake": 0}


def test_a_server_that_leaves_a_client_that_chose_it() -> None:
    d = draft({**SERVED, "s3_f4": 1, "s3_chosen": Chosen.CURRENT})
    emits(d, 4, update=OVER)
    assert changed(d) == {
        "s3_chosen": Chosen.OLD, "s3_f4": 0, "s4_mode": 0, "s4_peer": 0, "s4_handshake": 0,
    }  # fmt: skip


def test_a_server_that_leaves_a_session_that_is_nobodys() -> None:
    d = draft({**SERVED, "s4_handshake": 2, "s3_f4": 1, "s3_chosen": Chosen.CURRENT})
    emits(d, 4, update=OVER)
    assert changed(d) == {"s4_mode": 0, "s4_peer": 0, "s4_handshake": 0}


def test_a_client_that_leaves_a_server_that_goes_on() -> None:
    d = draft({**SERVED, "s3_f4": 1, "s3_chosen": Chosen.CURRENT, "s4_f5": Proof.SENT, "s4_fin": 1, "s4_d0": 1})
    emits(d, 3, update=OVER)
    assert changed(d) == {"s4_handshake": 2, "s3_mode": 0, "s3_peer": 0, "s3_f4": 0, "s3_chosen": 0}


@pytest.mark.parametrize(("peer", "left"), [(4, 4), (ABSENT, 0)])
def test_a_hello_of_a_session_that_its_client_left(peer: int, left: int) -> None:
    d = draft({**SENDING, "s3_peer": peer, "s3_hc": 1})
    emits(d, 3, update=OVER)
    assert (d["s3_hc"], d["s3_old"]) == (0, left)


def test_a_client_that_leaves_the_sss() -> None:
    d = draft({**TALKING, "s3_rsp": Reply.REGISTERED, "s3_f6n": 1, "w3_rq": 1})
    emits(d, 3, update=OVER)
    assert changed(d) == {"w3_handshake": 2, "s3_rsp": 0, "s3_f6n": 0, "s3_mode": 0, "s3_peer": 0}


def test_the_sss_that_leaves_a_client() -> None:
    d = draft({**TALKING, "s3_f4": 1, "w3_f5": 1, "w3_fin": 1, "w3_rq": 1, "w3_c": 1, "w3_step": Step.ACCEPT})
    emits_sss(d, 3, update=dict(GONE))
    assert changed(d) == {
        "s3_f4": 0, "s3_f4p": 1, "w3_f5": 0, "w3_fin": 0, "w3_rq": 0, "w3_c": 0, "w3_step": 0, "w3_handshake": 0,
    }  # fmt: skip


def test_the_sss_goes_from_handshake_to_request() -> None:
    d = draft({**TALKING, "s3_f4": 1, "w3_f5": 1, "w3_fin": 1, "w3_step": Step.ACCEPT})
    emits_sss(d, 3, update={"step": Step.LISTEN})
    assert changed(d) == {"w3_step": Step.LISTEN}


# --- outputs ---------------------------------------------------------------------------------------------------------


def test_records_are_of_the_session_that_ends_with_them() -> None:
    d = draft({**SERVED, "s3_chosen": Chosen.CURRENT}, records=2)
    emits(d, 3, ("data", (4, 2, 1)), ("close", (4,)), update=OVER)
    assert (d["s4_d0"], d["s4_d1"], d["s4_c"], d["sent34"]) == (1, 1, 1, 1)


def test_a_hello_is_of_the_session_that_begins_with_it() -> None:
    d = draft({"s3_hc": 1})
    emits(d, 3, ("hello", (4,)), update={"mode": Mode.SENDING_MESSAGE, "peer": 4})
    assert (d["s3_h"], d["s3_hc"]) == (1, 0)


def test_a_hello_to_nobody_is_lost() -> None:
    d = draft(SENDING)
    emits(d, 3, ("hello", (ABSENT,)), ("hello-cookie", (ABSENT,)))
    assert changed(d) == {}
    emits(d, 3, ("hello", (SSS_ID,)))
    assert changed(d) == {"s3_h": 1}


def test_data_for_a_session_that_its_server_has_left_is_lost_and_counts_as_sent() -> None:
    d = draft({**SERVED, "s3_chosen": Chosen.OLD})
    emits(d, 3, ("data", (4, 1, 1)), ("close", (4,)))
    assert changed(d) == {"sent34": 1}


@pytest.mark.parametrize(("to", "leaks"), [(4, {"leak": 1, "sent34": 1}), (STRANGER, {})])
def test_data_for_the_adversary_leaks_unless_it_is_meant_for_it(to: int, leaks: dict[str, int]) -> None:
    d = draft({**SENDING, "s3_peer": to, "s3_chosen": Chosen.ADVERSARY})
    emits(d, 3, ("data", (to, 1, 1)), ("close", (to,)))
    assert changed(d) == leaks


def test_a_servers_own_close_notify_is_of_no_account() -> None:
    d = draft(SERVED)
    emits(d, 4, ("close", (3,)))
    assert changed(d) == {}


def test_what_the_cpu_gets() -> None:
    d = draft({**SERVED, "sent34": 1})
    emits(d, 4, ("deliver", (3, 1, 1)))
    assert changed(d) == {"sent34": 0}
    emits(d, 4, ("deliver", (3, 1, 1)))
    emits(d, 4, ("deliver", (3, 1, 1)))
    assert changed(d) == {"sent34": -1}, "once too often is enough to know"
    emits(d, 4, ("deliver", (3, 2, 1)))
    assert changed(d) == {"sent34": -1, "broken": 1}


@pytest.mark.parametrize(("source", "alarm"), [(3, {"fake": 1}), (STRANGER, {})])
def test_what_the_cpu_gets_from_the_adversary(source: int, alarm: dict[str, int]) -> None:
    d = draft({**SERVED, "s4_f5": Proof.ADVERSARY})
    emits(d, 4, ("deliver", (source, 2, 0)))
    assert {name: d[name] for name in ("fake", "broken")} == {"fake": 0, "broken": 0, **alarm}


def test_finisheds_are_counted_and_the_last_are_lost() -> None:
    d = draft({**SERVED, "s3_chosen": Chosen.CURRENT, "s4_fin": 1}, finished=2)
    emits(d, 3, ("flight5", (4, Ca.PROVISIONING)))
    assert changed(d) == {"s4_f5": Proof.SENT, "s4_fin": 2}
    d.set("s4_f5", Proof.NONE)
    emits(d, 3, ("flight5", (4, Ca.PROVISIONING)))
    assert changed(d) == {"s4_fin": 2}


def test_finisheds_of_the_sss_are_counted_and_the_last_are_lost() -> None:
    d = draft({**TALKING, "s3_chosen": Chosen.CURRENT, "s3_f6n": 1}, finished=2)
    emits_sss(d, 3, ("flight6", (3,)))
    assert changed(d) == {"s3_f6": 1, "s3_f6n": 2}
    d.set("s3_f6", 0)
    emits_sss(d, 3, ("flight6", (3,)))
    assert changed(d) == {"s3_f6n": 2}


@pytest.mark.parametrize(("registered", "ca", "wrong"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
@pytest.mark.parametrize("kind", ["flight4", "flight5"])
def test_the_wrong_certificate_set_is_noted(kind: str, registered: int, ca: int, wrong: int) -> None:
    d = draft({**SERVED, "s3_registered": registered})
    emits(d, 3, (kind, (4, ca)))
    assert d["wrong"] == wrong


@pytest.mark.parametrize(
    ("args", "grant", "reply"),
    [
        ((0, 1), Reply.REGISTERED, Reply.REGISTERED),
        ((0, 1), Reply.UNUSABLE, Reply.UNUSABLE),
        ((1, 1), Reply.UNUSABLE, Reply.DEREGISTERED),
        ((-1, 1), Reply.UNUSABLE, Reply.REFUSED),
        ((-1, 0), Reply.REGISTERED, Reply.INCOMPLETE),
    ],
)
def test_the_response_of_the_sss(args: tuple[int, int], grant: Reply, reply: Reply) -> None:
    d = draft({**TALKING, "s3_chosen": Chosen.CURRENT, "s3_f6n": 2})
    carry_out_wire(d, 3, Effect(True, {}, (Emit("response", args),)), grant)
    assert changed(d) == {"s3_rsp": reply, "s3_rseq": 2}


def test_an_output_that_no_link_takes_is_an_error() -> None:
    with pytest.raises(ValueError, match="no link takes unknown"):
        emits(draft(), 3, ("unknown", (0,)))
    with pytest.raises(ValueError, match="no wire takes deliver"):
        emits_sss(draft(), 3, ("deliver", (0, 0, 0)))


# --- receiving -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "once", "left"), [(False, False, 0), (False, True, 0), (True, False, 1), (True, True, 0)]
)
def test_only_free_links_keep_what_was_taken(free: bool, once: bool, left: int) -> None:
    d = draft({"s3_hc": 1}, free=free)
    slot = Slot("s3_hc", once)
    assert slot.full(d)
    slot.take(d)
    assert d["s3_hc"] == left
    assert slot.full(d) == (left == 1)
