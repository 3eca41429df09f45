"""Each monitor alarms on a stream that has its bug, and is silent on the nearest honest one."""

from __future__ import annotations

import re

import pytest
from further_streams import HONEST, WRONG
from pairs import OF_HANDSHAKES, Pair
from pairs_of_data import OF_DATA
from streams import ME, PEER, signs, watch

from conformance.monitors import CATALOGUE, Basis, Fault, Monitor, Monitors, Need
from conformance.monitors.automaton import BUG, START
from conformance.monitors.catalogue import GROUPS
from conformance.monitors.signs import FACTS, FIELDS
from conformance.report.requirements import load_requirements

PAIRS = [*OF_HANDSHAKES, *OF_DATA]


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{n}-{p.monitor}" for n, p in enumerate(PAIRS)])
def test_a_monitor_tells_its_bug_from_the_nearest_honest_stream(pair: Pair) -> None:
    alarms = watch(pair.bug, client=pair.client, selection=[pair.monitor])
    assert [a.monitor for a in alarms] == [pair.monitor]
    assert 0 < alarms[0].frames[-1] <= pair.bug.count(";") + 1
    assert alarms[0].basis is not Basis.CLAIM
    assert alarms[0].text.startswith(f"{alarms[0].party}: {CATALOGUE[pair.monitor].says}")
    assert watch(pair.honest, client=pair.client, selection=[pair.monitor]) == []


@pytest.mark.parametrize(("monitor", "client", "stream"), HONEST)
def test_an_honest_stream_is_silent(monitor: str, client: str, stream: str) -> None:
    assert watch(stream, client=client, selection=[monitor]) == []


@pytest.mark.parametrize(("monitor", "client", "stream"), WRONG)
def test_a_wrong_stream_is_told(monitor: str, client: str, stream: str) -> None:
    assert [a.monitor for a in watch(stream, client=client, selection=[monitor])] == [monitor]


ABSENCE = [p for p in PAIRS if Need.ALL in CATALOGUE[p.monitor].needs]


@pytest.mark.parametrize("pair", ABSENCE, ids=[f"{n}-{p.monitor}" for n, p in enumerate(ABSENCE)])
def test_what_needs_all_frames_is_silent_without_them(pair: Pair) -> None:
    monitors = Monitors([pair.monitor])
    for sign in signs(pair.bug, client=pair.client):
        assert monitors.take(sign._replace(complete=False)) == []


def test_every_monitor_has_a_pair() -> None:
    assert {p.monitor for p in PAIRS} == set(CATALOGUE)
    assert len(CATALOGUE) >= 25


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{n}-{p.monitor}" for n, p in enumerate(PAIRS)])
def test_what_nothing_is_known_of_raises_no_alarm(pair: Pair) -> None:
    """The honest streams without any fact and without a number, in a capture that vouches for nothing."""
    monitors = Monitors([pair.monitor])
    for sign in signs(pair.honest, client=pair.client):
        dim = sign._replace(facts={}, complete=False, number=-1, message_seq=-1, mark=b"", client_random=b"")
        assert monitors.take(dim) == []
    assert monitors.end() == []


@pytest.mark.parametrize("monitor", CATALOGUE.values(), ids=list(CATALOGUE))
def test_an_automaton_is_well_formed(monitor: Monitor) -> None:
    states = {r.at for r in monitor.rules}
    assert START in states
    assert BUG not in states
    assert any(r.then == BUG for r in monitor.rules)
    reached = {START}
    for _ in monitor.rules:
        reached |= {r.then for r in monitor.rules if r.at in reached}
    assert states <= reached, "a state that nothing leads to"
    kept = {name for r in monitor.rules for name in r.keep}
    known = FIELDS | FACTS.keys()
    assert kept | set(monitor.key) <= known
    for rule in monitor.rules:
        for condition in rule.when:
            assert set(condition.reads) <= known, condition
            for name in re.findall(r"kept (\w+)", condition.says):
                assert name in kept, condition
    if any(r.after_us for r in monitor.rules):
        assert Need.ALL in monitor.needs
    if monitor.fault is Fault.ACCEPTOR and len(monitor.rules) > 1:
        assert monitor.needs & {Need.BOTH, Need.CPU}


def test_requirements_are_rules_of_the_page_or_sections() -> None:
    known = load_requirements()
    for monitor in CATALOGUE.values():
        assert monitor.requirements
        for requirement in monitor.requirements:
            assert requirement in known or re.fullmatch(r"RFC \d{4} §[\d.]+", requirement), (monitor.id, requirement)


def test_ids_are_unique() -> None:
    assert sum(map(len, GROUPS.values())) == len(CATALOGUE)


class TestBasis:
    """Who is blamed, and how certain it is."""

    def test_what_the_tap_saw_leave_is_its_own(self) -> None:
        (alarm,) = watch("me data 0/5", client="me", selection=["data-in-the-clear"])
        assert (alarm.party, alarm.basis, alarm.tap) == (ME, Basis.OWN, ME)

    def test_what_authenticates_is_its_senders(self) -> None:
        (alarm,) = watch("peer data 1/0", client="peer", selection=["data-before-finished"])
        assert (alarm.party, alarm.basis) == (PEER, Basis.AUTHENTICATED)

    def test_a_claim_raises_an_alarm_only_if_asked(self) -> None:
        claim = "peer data 0/5"
        assert watch(claim, client="peer", selection=["data-in-the-clear"]) == []
        (alarm,) = watch(claim, client="peer", selection=["data-in-the-clear"], claims=True)
        assert (alarm.party, alarm.basis) == (PEER, Basis.CLAIM)

    def test_a_pattern_is_as_certain_as_its_weakest_sign_of_the_party(self) -> None:
        stream = "peer close 1/2; peer data 1/3 sealed"
        assert watch(stream, client="peer", selection=["data-after-close"]) == []
        (alarm,) = watch(stream, client="peer", selection=["data-after-close"], claims=True)
        assert alarm.basis is Basis.CLAIM

    def test_an_acceptor_is_judged_by_what_it_did_whoever_sent_the_cause(self) -> None:
        (alarm,) = watch("peer finished 0/5; me ccs", client="peer", selection=["early-finished-accepted"])
        assert (alarm.party, alarm.basis, alarm.frames) == (ME, Basis.OWN, (1, 2))

    def test_a_claimed_ccs_does_not_use_up_the_alarm(self) -> None:
        stream = "me finished 0/5; peer ccs; peer finished 1/0"
        (alarm,) = watch(stream, client="me", selection=["early-finished-accepted"])
        assert (alarm.party, alarm.basis) == (PEER, Basis.AUTHENTICATED)

    def test_one_alarm_per_instance(self) -> None:
        assert len(watch("me data 0/5; me data 0/6", client="me", selection=["data-in-the-clear"])) == 1
