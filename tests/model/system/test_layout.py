from __future__ import annotations

from dataclasses import replace

import pytest
import z3
from drafts import BASE, draft

from model.profile import HARDENED, HISTORIC, Profile
from model.state import Mode, Waiting
from model.system.layout import FALSE_ALARMS, Layout


def names(profile: Profile = HARDENED, **bounds: object) -> set[str]:
    return set(Layout(replace(BASE, **bounds), profile).variables)


def test_what_a_scope_does_not_use_is_no_variable() -> None:
    silent = names(sends={3: (4,)}, asks={3: (0,)})
    assert {"s3_todo", "s3_aside", "s3_op", "s3_rsp", "w3_step", "s4_f5", "sent34"} <= silent
    assert not {"s4_todo", "s4_aside", "s4_op", "s4_rsp", "w4_step", "s3_f5", "sent43"} & silent
    assert {"s3_mode", "s4_mode", *FALSE_ALARMS} - {"faa_lost"} <= silent
    assert set(FALSE_ALARMS) & names(sends={3: (4,)}, asks={}) == set(FALSE_ALARMS) - OF_FAA - OF_REQUESTS


OF_FAA, OF_REQUESTS = {"faa_lost"}, {"locked", "useless", "kept", "misanswered", "impostor"}


def test_what_only_some_links_have() -> None:
    prompt, free, forging = names(), names(free=True), names(free=True, forging=True)
    assert prompt - free == {"s3_old", "s4_old", "s3_al", "s4_al", "w3_al", "w4_al"}
    assert free - forging == {"s3_h", "s3_v", "s4_h", "s4_v"}


@pytest.mark.parametrize(
    ("bounds", "historic"),
    [
        ({"restarts": 1}, {"gen", "s3_gen", "s4_gen"}),
        ({"faults": frozenset({"half-frame"})}, {"frozen", "s3_gen", "s4_gen"}),
        ({"boots": 1}, {"s3_rec", "s3_first", "s4_rec", "s4_first", "s3_gen", "s4_gen"}),
    ],
)
def test_what_only_the_historic_profile_has(bounds: dict[str, object], historic: set[str]) -> None:
    assert names(HISTORIC, **bounds) - names(**bounds) == historic


def test_counts_without_bound_are_not_kept() -> None:
    bounded, unbounded = names(), names(messages=None, requests=None)
    assert bounded - unbounded == {"s3_todo", "s4_todo", "s3_asks", "s4_asks"}


def test_what_is_on_its_way() -> None:
    layout = Layout(replace(BASE, asks={3: (0,)}, records=2, faults=frozenset({"faa"})), HARDENED)
    seds = ["h", "v", "hc", "old", "f4", "f4p", "f4r", "f6"]
    received = ["f5", "d0", "d1", "c", "al"]
    expected = [f"s3_{slot}" for slot in (*seds, "rsp", "cl", *received)]
    expected += [f"w3_{slot}" for slot in ("f5", "rq", "c", "al")]
    expected += [f"s4_{slot}" for slot in (*seds, *received)]
    assert list(layout.pending) == expected
    assert layout.timers == ("s3_timer", "w3_timer", "s4_timer")
    assert layout.others == {3: (4,), 4: (3,)}


def test_a_draft_is_what_was_set_else_what_was() -> None:
    d = draft({"s3_mode": 1, "s3_peer": 4})
    d.set("s3_peer", 6)
    d.set("s3_mode", 2, d["s3_peer"] == 4)
    d.set("s3_step", 5, False)
    assert (d["s3_mode"], d["s3_peer"], d.sed(3).peer) == (1, 6, 6)
    assert d.before()["s3_peer"] == 4
    assert d.update == {"s3_peer": 6}


def test_a_draft_refuses_to_set_what_the_scope_fixes() -> None:
    d = draft(asks={})
    with pytest.raises(ValueError, match="scope base fixes s3_op, and something sets it to 1"):
        d.set("s3_op", 1)
    d.set("s3_op", 0)
    d.set("s3_op", 1, False)
    assert d["s3_op"] == 0
    assert d.update == {}


def test_terms_are_not_refused_for_they_may_never_apply() -> None:
    layout = Layout(replace(BASE, asks={}), HARDENED)
    d = layout.draft(type("Terms", (), {name: z3.Int(name) for name in layout.variables}))
    d.set("s3_op", z3.Int("s3_mode"))
    d.set("s3_peer", 4, d["s3_mode"] == 1)
    assert d["s3_op"] == 0
    assert z3.is_int(d.update["s3_peer"])
    assert list(d.update) == ["s3_peer"]


def test_a_sed_as_its_rules_see_it() -> None:
    d = draft({"s3_waiting": Waiting.REQUEST, "s4_waiting": Waiting.SEND}, records=2)
    assert (d.sed(3).waiting_size, d.sed(3).waiting_dev, d.sed(3).dev) == (4, 3, 3)
    assert (d.sed(4).waiting_size, d.sed(4).waiting_dev, d.sed(4).aside_size) == (2, 4, 2)


def test_an_update_is_plain_integers_without_what_follows_from_others() -> None:
    d = draft()
    d.change_sed(3, {"mode": Mode.IDLE, "began": True, "waiting_size": 99, "dev": 7})
    d.change_wire(3, {"step": Mode.RECEIVING_MESSAGE})
    assert d.update == {"s3_mode": 0, "s3_began": 1, "w3_step": 2}
    assert {type(value) for value in d.update.values()} == {int}
