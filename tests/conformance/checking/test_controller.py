from __future__ import annotations

from types import SimpleNamespace

import pytest

from conformance.checking import controller
from conformance.checking.backend import Scope, load
from conformance.checking.controller import describe_controller, graph_of
from conformance.checking.results import BoundRow, CheckReport
from model.profile import HARDENED
from model.system.base import Action, Step, System, Variable
from model.walk import Graph


def test_states_and_edges(report: CheckReport) -> None:
    assert [state.id for state in report.states] == [
        "IDLE",
        "SENDING_MESSAGE/HELLO",
        "RECEIVING_MESSAGE/ACCEPT",
        "SENDING_MESSAGE/COOKIE",
        "RECEIVING_MESSAGE/LISTEN",
        "SENDING_MESSAGE/KEYS",
    ]
    edges = {(edge.start, edge.end): edge.rules for edge in report.edges}
    assert edges["SENDING_MESSAGE/KEYS", "IDLE"] == ["DTL-6.timeout", "SES-2.records"]
    assert edges["RECEIVING_MESSAGE/ACCEPT", "RECEIVING_MESSAGE/LISTEN"] == ["SES-3.listen"]
    assert edges["SENDING_MESSAGE/HELLO", "SENDING_MESSAGE/HELLO"] == ["SES-7.noise"]  # time is nobody's rule
    assert ("IDLE", "SENDING_MESSAGE/KEYS") not in edges and len(edges) == 15


def test_the_compiled_graph_is_the_plain_one(toys: SimpleNamespace) -> None:
    plain, compiled = Graph.of(toys.alone(HARDENED)), graph_of(toys.alone(HARDENED), lambda tick: None)
    assert (plain.states, plain.targets, plain.actions) == (compiled.states, compiled.targets, compiled.actions)


def test_how_long_a_session_lasts(report: CheckReport) -> None:
    """Three flights of 7 s, each answered in its last second; 7 s and then 60 s of silence."""
    found = {(row.profile, row.what): row.milliseconds for row in report.bounds}
    assert found == {
        ("hardened", "one session as sender"): 6_000 + 6_000 + 7_000,
        ("hardened", "one session as receiver"): 6_000 + 60_000,
        ("historic", "one session as sender"): 19_000,
        ("historic", "one session as receiver"): None,
    }
    for row in report.bounds:
        assert row.path is not None and row.scope == "alone"
        assert row.milliseconds in (None, sum(step.elapsed for step in row.path.steps))


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], BoundRow]:
    """What is measured of the real controller, by profile and what."""
    picture = describe_controller([load().scopes["controller"]], {"controller": 1}, "hardened", lambda tick: None)
    return {(row.profile, row.what): row for row in picture.bounds}


def test_how_long_sessions_of_the_real_controller_last(rows: dict[tuple[str, str], BoundRow]) -> None:
    """SES-7: 165 s for each flight of ours, 60 s for each authenticated record (there are 3) and 60 s of silence.

    Who prolongs a session acts a millisecond before each deadline.
    """
    found = {what: row.milliseconds for (profile, what), row in rows.items() if profile == "hardened"}
    assert found["one session as sender"] == 2 * 164_999 + 165_000
    assert found["one session as receiver"] == 164_999 + 3 * 59_999 + 60_000
    assert found["one session with the SSS"] == 3 * 164_999 + 3 * 59_999 + 60_000
    historic = [row.milliseconds for (profile, what), row in rows.items() if (profile, what[:3]) == ("historic", "one")]
    assert historic == [None] * 3  # no timer after the handshake


def test_how_long_things_wait_in_the_real_controller(rows: dict[tuple[str, str], BoundRow]) -> None:
    """ADV-1 gives an unproved peer 7 s while a CPU frame waits; peers that prove themselves may come again and again.

    A path that never ends by their doing returns to where it was, by a yield and a proof.
    """
    waits = {(p, what.removeprefix("the wait of a ")): row for (p, what), row in rows.items() if "wait" in what}
    assert {key: row.milliseconds for key, row in waits.items()} == {
        ("hardened", "CPU frame"): None,
        ("hardened", "CPU frame for an unproved peer"): 7_000,
        ("hardened", "message put aside"): 246_996,
        ("historic", "CPU frame"): None,
        ("historic", "CPU frame for an unproved peer"): None,
    }
    note = "authenticated lower peers can starve it; from one's proof to the next it lasts 1,071.993 s at most"
    assert {key: row.note for key, row in waits.items() if row.note} == {("hardened", "CPU frame"): note}
    path = waits["hardened", "CPU frame"].path
    assert path is not None and path.loop is not None
    assert {"SES-9.yield", "SES-3.finish"} <= {rule for step in path.steps[path.loop + 1 :] for rule in step.rules}


def test_what_has_too_many_states_is_not_measured(toys: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "LIMIT", 20)
    picture = describe_controller([toys.SCOPES["alone"]], {"alone": 89}, "hardened", lambda tick: None)
    assert {row.error for row in picture.bounds} == {"alone has more than 20 states"}


def test_which_scopes_are_taken(toys: SimpleNamespace) -> None:
    """The scope with one controller is taken by itself, wherever it stands; one without any adds nothing."""
    both = [toys.SCOPES["pair"], toys.SCOPES["alone"]]
    picture = describe_controller(both, {"pair": 18, "alone": 89}, "historic", lambda tick: None)
    assert list(dict.fromkeys(row.profile for row in picture.bounds)) == ["historic", "hardened"]
    none = describe_controller(both[:1], {"pair": 18}, "hardened", lambda tick: None)
    assert (none.states, none.edges, none.bounds) == ({}, [], [])
    assert describe_controller(both, {}, "hardened", lambda tick: None).states == {}
    mixed = describe_controller(
        [two_controllers(), toys.SCOPES["alone"]], {"two": 4, "alone": 89}, "hardened", lambda tick: None
    )
    assert {row.scope for row in mixed.bounds} == {"alone"}
    assert "DTL-6.give-up" not in {rule for rules in mixed.rules.values() for rule in rules}  # of the other scope


def two_controllers() -> Scope:
    """SED 3 opens and is back; SED 4 opens and nothing ends its session. A rule is its actor's alone."""

    def change(name: str, when: str, value: int, **update: int) -> Action:
        rule = name.partition(".")[2]
        kind = "timer" if rule.startswith("DTL-6") else "cpu"
        return Action(name, kind, (rule,), "", lambda v: Step(getattr(v, when) == value, dict(update)))

    actions = (
        change("3.SES-2.open", "s3_mode", 0, s3_mode=1, s3_step=1),
        change("3.SES-7.noise", "s3_mode", 0),
        change("3.DTL-6.give-up", "s3_mode", 1, s3_mode=0, s3_step=0),
        change("4.SES-3.open", "s4_mode", 0, s4_mode=2, s4_step=5),
    )
    variables = tuple(Variable(f"s{i}_{name}", 0, 6) for i in (3, 4) for name in ("mode", "step"))
    return Scope("two", "", lambda profile: System("two", variables, actions, ()), ("explore",))


def test_small_scopes_of_several_controllers_are_seen_together() -> None:
    scope = two_controllers()
    picture = describe_controller([scope], {"two": 4}, "hardened", lambda tick: None)
    assert picture.rules == {
        ("IDLE", "SENDING_MESSAGE/HELLO"): {"SES-2.open"},
        ("IDLE", "IDLE"): {"SES-7.noise"},
        ("SENDING_MESSAGE/HELLO", "IDLE"): {"DTL-6.give-up"},
        ("IDLE", "RECEIVING_MESSAGE/ACCEPT"): {"SES-3.open"},
    }
    assert picture.bounds == []
    assert describe_controller([scope], {"two": 20_001}, "hardened", lambda tick: None).states == {}
