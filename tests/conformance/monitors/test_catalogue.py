"""Each monitor alarms on a stream that has its bug, and is silent on the nearest honest one."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from streams import ME, PEER, signs, watch

from conformance.monitors import CATALOGUE, Basis, Fault, Monitor, Monitors, Need
from conformance.monitors.automaton import BUG, START
from conformance.monitors.catalogue import GROUPS
from conformance.monitors.signs import FACTS, FIELDS
from conformance.report.requirements import load_requirements


class Pair(NamedTuple):
    """A monitor's bug and the nearest honest stream."""

    monitor: str
    client: str
    bug: str
    honest: str


FLIGHT_5 = "peer certificate empty=no seq=2; peer client-key-exchange seq=3; peer certificate-verify seq=4; "

PAIRS = [
    # order
    Pair("finished-before-ccs", "me", "me finished 0/5", "me ccs 0/5; me finished 1/0"),
    Pair("finished-before-ccs", "me", "me ccs 0/5; me finished 0/6", "me finished 1/0 lossy"),
    Pair("finished-before-ccs", "me", "me finished 1/0", "me ccs 0/5; me finished 1/0; me ccs 0/6; me finished 1/1"),
    Pair("early-finished-accepted", "peer", "peer finished 0/5; me ccs", "peer finished 0/5; peer ccs; me ccs"),
    Pair(
        "early-finished-accepted", "me", "me ccs; peer finished 0/5; me data 1/1", "me ccs; peer finished 1/0; me data"
    ),
    Pair(
        "ccs-twice", "me", "me ccs 0/4; me ccs 0/5 frame=1", "me ccs 0/4; me finished 1/0; me ccs 0/5; me finished 1/1"
    ),
    Pair("ccs-twice", "me", "me ccs 0/4; me ccs 0/5", "me ccs 0/4; me ccs 0/5 lossy"),
    Pair("ccs-twice", "me", "me ccs 0/4; me finished 1/0; me ccs 1/1", "me ccs 0/4; me finished 1/0"),
    Pair(
        "finished-resent-without-ccs",
        "me",
        "me finished 1/0; me finished 1/1",
        "me finished 1/0; me ccs; me finished 1/1",
    ),
    Pair("early-ccs-accepted", "peer", "peer ccs; me ccs", "peer client-key-exchange; peer ccs; me ccs"),
    Pair(
        "missing-certificate-verify-accepted",
        "peer",
        "peer certificate empty=no; peer client-key-exchange; peer ccs; me ccs",
        FLIGHT_5 + "peer ccs; me ccs",
    ),
    Pair(
        "missing-certificate-verify-accepted",
        "peer",
        "peer certificate empty=no; me finished 1/0",
        "peer certificate empty=no; peer ccs gapless=no; me ccs lossy",
    ),
    Pair(
        "unauthenticated-client-accepted",
        "peer",
        "peer certificate empty=yes; peer ccs; me ccs",
        "peer certificate empty=yes; peer ccs; peer certificate empty=no; me ccs",
    ),
    Pair(
        "unauthenticated-client-accepted", "peer", "peer ccs lossy; me ccs lossy", "peer ccs gapless=no; me ccs lossy"
    ),
    Pair(
        "client-certificate-not-requested",
        "peer",
        "me server-hello; me server-hello-done",
        "me server-hello; me certificate-request; me server-hello-done",
    ),
    Pair(
        "unauthenticated-server-accepted",
        "me",
        "peer server-hello; peer server-hello-done; me client-key-exchange",
        "peer certificate empty=no; peer server-hello-done; me client-key-exchange",
    ),
    Pair(
        "unauthenticated-server-accepted",
        "me",
        "peer certificate empty=yes; me ccs",
        "peer server-hello-done gapless=no; me client-key-exchange",
    ),
    Pair(
        "missing-server-key-exchange-accepted",
        "me",
        "peer server-hello suite=0xC02C; peer server-hello-done; me client-key-exchange",
        "peer server-hello suite=0xC02C; peer server-key-exchange; peer server-hello-done; me client-key-exchange",
    ),
    Pair(
        "missing-server-key-exchange-accepted",
        "me",
        "peer server-hello suite=0xC02C; peer server-hello-done; me client-key-exchange",
        "peer server-hello suite=0x003D; peer server-hello-done; me client-key-exchange",
    ),
    Pair(
        "key-exchange-after-certificate-verify",
        "me",
        "me certificate-verify seq=3; me client-key-exchange seq=4",
        "me certificate-verify seq=4; me client-key-exchange seq=3",
    ),
    Pair(
        "key-exchange-after-certificate-verify",
        "me",
        "me client-key-exchange seq=4; me certificate-verify seq=3",
        "me client-key-exchange seq=3; me certificate-verify seq=4",
    ),
    Pair(
        "key-exchange-after-certificate-verify-accepted",
        "peer",
        "peer certificate-verify seq=3; peer client-key-exchange seq=4; me ccs",
        "peer certificate-verify seq=4; peer client-key-exchange seq=3; me ccs",
    ),
    Pair(
        "key-exchange-after-certificate-verify-accepted",
        "peer",
        "peer client-key-exchange seq=4; peer certificate-verify seq=3; me ccs",
        "peer client-key-exchange seq=4; peer certificate-verify seq=3; me alert fatal=yes",
    ),
    Pair(
        "wrong-finished-accepted",
        "peer",
        "peer finished 1/0 wrong=yes; me ccs",
        "peer finished 1/0 wrong=yes; peer finished 1/1 wrong=no; me ccs",
    ),
    Pair("epoch-skipped", "me", "me record 2/0", "me record 1/0"),
    # cookies
    Pair(
        "verify-request-record-sequence",
        "peer",
        "peer hello 0/3; me verify-request 0/0",
        "peer hello 0/3; me verify-request 0/3",
    ),
    Pair(
        "verify-request-record-sequence",
        "peer",
        "peer hello 0/3; me verify-request 0/0",
        "peer hello 0/3; peer hello 0/4; me verify-request 0/3; me verify-request 0/4",
    ),
    Pair(
        "verify-request-message-seq",
        "peer",
        "peer hello seq=0; me verify-request seq=1",
        "peer hello seq=0; me verify-request seq=0",
    ),
    Pair(
        "server-hello-record-sequence",
        "peer",
        "peer hello-with-cookie 0/1; me server-hello 0/0",
        "peer hello-with-cookie 0/1; me server-hello 0/1; me server-hello 0/9 t=7 again=yes",
    ),
    Pair(
        "server-hello-message-seq",
        "peer",
        "peer hello-with-cookie 0/1 seq=1; me server-hello seq=0",
        "peer hello-with-cookie 0/1 seq=1; me server-hello seq=1",
    ),
    Pair("hello-message-seq", "me", "me hello 0/0 seq=1", "me hello 0/0 seq=0; me hello-with-cookie 0/1 seq=1"),
    Pair("hello-message-seq", "me", "me hello-with-cookie 0/1 seq=0", "me hello-with-cookie 0/1 seq=1"),
    Pair(
        "no-cookie-exchange", "peer", "peer hello; me server-hello 0/0 seq=0", "peer hello; me server-hello 0/1 seq=1"
    ),
    Pair("no-cookie-exchange", "peer", "me server-hello seq=1 cookie=", "me server-hello seq=1 cookie= lossy"),
    Pair(
        "cookie-not-bound",
        "peer",
        "me verify-request to=peer cookie=a; other hello-with-cookie cookie=a; me server-hello to=other cookie=a",
        "me verify-request to=peer cookie=a; other hello-with-cookie cookie=a; me verify-request to=other cookie=b",
    ),
    Pair(
        "cookie-not-bound",
        "peer",
        "me verify-request to=peer cookie=a; other hello-with-cookie cookie=a; me server-hello to=other cookie=a",
        "me verify-request to=peer cookie=a; peer hello-with-cookie cookie=a; me server-hello to=peer cookie=a",
    ),
    Pair(
        "cookie-constant",
        "peer",
        "me verify-request to=peer cookie=a; me verify-request to=other cookie=a",
        "me verify-request to=peer cookie=a; me verify-request to=other cookie=b",
    ),
    Pair(
        "cookie-not-echoed",
        "me",
        "peer verify-request cookie=a; me hello-with-cookie cookie=b",
        "peer verify-request cookie=a; me hello-with-cookie cookie=a",
    ),
    Pair(
        "second-verify-request-answered",
        "me",
        "me hello-with-cookie cookie=a; peer verify-request cookie=b; me hello-with-cookie cookie=b",
        "me hello-with-cookie cookie=a; peer verify-request cookie=b; me hello-with-cookie cookie=a",
    ),
    Pair(
        "hello-changed",
        "me",
        "me hello offers=a; me hello-with-cookie cookie=a offers=b",
        "me hello offers=a; me hello-with-cookie cookie=a offers=a",
    ),
    Pair(
        "random-changed-after-verify-request",
        "me",
        "peer verify-request cookie=a; me hello-with-cookie cookie=a client_random=two session=2",
        "peer verify-request cookie=a; me hello-with-cookie cookie=a",
    ),
    Pair("client-random-repeated", "me", "me hello; me ccs; me hello session=2", "me hello; me hello t=7; me ccs"),
    Pair(
        "client-random-repeated",
        "me",
        "me hello; me hello to=other session=2",
        "me hello; me hello client_random=two to=other",
    ),
    Pair(
        "server-random-repeated",
        "peer",
        "me server-hello server_random=s; me server-hello server_random=s client_random=two session=2",
        "me server-hello server_random=s; me server-hello server_random=s t=7",
    ),
    # numbers
    Pair(
        "record-number-reused",
        "me",
        "me record 1/1 mark=a; me record 1/1 mark=b",
        "me record 1/1 mark=a; me record 1/2 mark=b",
    ),
    Pair(
        "record-number-reused",
        "me",
        "me record 0/1 mark=a verify_request=no; me record 0/1 mark=b verify_request=no",
        "me record 0/1 mark=a verify_request=yes; me record 0/1 mark=b verify_request=yes",
    ),
    Pair(
        "record-number-reused",
        "me",
        "peer record 1/1 mark=a verify_request=no; peer record 1/1 mark=b verify_request=no",
        "peer record 1/1 mark=a verify_request=no; peer record 1/1 mark=b sealed verify_request=no",
    ),
    Pair(
        "nonce-reused",
        "me",
        "me record 1/1 nonce=n mark=a; me record 1/2 nonce=n mark=b",
        "me record 1/1 nonce=n mark=a; me record 1/2 nonce=m mark=b",
    ),
    Pair(
        "record-sent-again-under-its-number",
        "me",
        "me record 0/1 mark=a; me record 0/1 mark=a",
        "peer record 0/1 mark=a; peer record 0/1 mark=a",
    ),
    Pair("record-number-falls", "me", "me record 1/5; me record 1/4", "me record 1/5; me record 0/4; me record 1/6"),
    Pair(
        "record-version",
        "me",
        "me server-hello hello_version=0xFEFD; me record 0/5 version=0xFEFF opening=no",
        "me server-hello hello_version=0xFEFD; me record 0/0 version=0xFEFF opening=yes",
    ),
    Pair(
        "message-seq-reused",
        "me",
        "me certificate seq=2 mark=a; me client-key-exchange seq=2 mark=b",
        "me certificate seq=2 mark=a; me client-key-exchange seq=3 mark=b; me certificate seq=2 mark=a",
    ),
    Pair(
        "message-seq-reused",
        "me",
        "me certificate seq=2 mark=a; me certificate seq=2 mark=b",
        "me certificate seq=2 mark=a; me certificate seq=2",
    ),
    Pair(
        "message-seq-leaps",
        "me",
        "me hello-with-cookie seq=1; me certificate seq=3",
        "me hello-with-cookie seq=1; me certificate seq=2; me client-key-exchange seq=4 gapless=no",
    ),
    Pair("fragment-contradicts", "me", "me record 0/4 contradicts=yes", "me record 0/4 contradicts=no"),
    Pair("datagram-over-mtu", "me", "me datagram size=1001", "me datagram size=1000"),
    Pair("data-over-record-limit", "me", "me data 1/1 size=964", "me data 1/1 size=963"),
    # negotiation
    Pair("suite-not-offered", "peer", "me server-hello suite_offered=no", "me server-hello suite_offered=yes"),
    Pair("weak-suite-chosen", "peer", "me server-hello suite=0x0003", "me server-hello suite=0xC02C"),
    Pair("weak-suite-offered", "me", "me hello offers_weak=yes", "me hello offers_weak=no"),
    Pair("no-forward-secrecy", "peer", "me server-hello suite=0x003D", "me server-hello suite=0xC02B"),
    Pair(
        "private-key-over-plain-rsa",
        "me",
        "sss data 1/1 ships_key=yes suite_in_use=0x003D",
        "sss data 1/1 ships_key=yes suite_in_use=0xC02C",
    ),
    Pair("version-downgraded", "peer", "me server-hello hello_version=0xFEFF", "me server-hello hello_version=0xFEFD"),
    Pair("compression-chosen", "peer", "me server-hello compression=1", "me server-hello compression=0"),
    Pair(
        "extension-not-offered",
        "peer",
        "me server-hello extensions_offered=no",
        "me server-hello extensions_offered=yes",
    ),
    Pair("session-resumed", "peer", "me server-hello resumes=yes", "me server-hello resumes=no"),
    Pair("ticket-issued", "peer", "me new-session-ticket", "me server-hello"),
    Pair("renegotiation-started", "me", "me hello 1/3", "me hello 0/0"),
    Pair(
        "renegotiation-answered",
        "peer",
        "peer hello 1/3; me server-hello 1/3",
        "peer hello 0/3; me server-hello 0/3 seq=1",
    ),
    # data
    Pair("data-in-the-clear", "me", "me data 0/5", "me ccs; me finished 1/0; me data 1/1"),
    Pair("data-in-the-clear-after-finished", "me", "me finished 1/0; me data 0/6", "me finished 1/0; me data 1/1"),
    Pair("plaintext-data-delivered", "peer", "me deliver lone_plaintext=yes", "me deliver lone_plaintext=no"),
    Pair("data-before-finished", "me", "me data 1/0", "me finished 1/0; me data 1/1"),
    Pair(
        "data-before-peers-finished",
        "me",
        "me finished 1/0; me data 1/1",
        "me finished 1/0; peer finished 1/0; me data 1/1",
    ),
    Pair(
        "plaintext-handshake-answered",
        "peer",
        "peer finished 1/0; peer client-key-exchange 0/7; me alert 1/1",
        "peer finished 1/0; peer client-key-exchange 0/7; me close 1/1 t=60",
    ),
    Pair(
        "plaintext-handshake-answered",
        "peer",
        "peer finished 1/0; peer client-key-exchange 0/7; me ccs",
        "peer finished 1/0; peer client-key-exchange 0/7; peer finished 1/1; me ccs",
    ),
    Pair(
        "plaintext-alert-obeyed",
        "peer",
        "peer finished 1/0; peer alert 0/7 fatal=yes; me close 1/1",
        "peer finished 1/0; peer alert 0/7 fatal=yes; peer close 1/1; me close 1/1",
    ),
    Pair(
        "alert-in-the-clear-after-finished",
        "me",
        "me finished 1/0; me alert 0/9",
        "me alert 0/9; me finished 1/0; me close 1/1",
    ),
    Pair("speaks-after-fatal-alert", "me", "me alert 0/5 fatal=yes; me ccs", "me alert 0/5 fatal=yes; peer ccs"),
    Pair(
        "fatal-alert-ignored",
        "me",
        "peer alert 1/1 fatal=yes; me data 1/1 t=2",
        "peer alert 0/9 fatal=yes; me data 1/1 t=2",
    ),
    Pair("data-after-close", "me", "me close 1/2; me data 1/3", "me data 1/2; me close 1/3"),
    Pair("close-sent-twice", "me", "me close 1/2; me close 1/3", "me close 1/2; peer close 1/3"),
    Pair(
        "close-not-answered",
        "peer",
        "me finished 1/0; peer close 1/2; peer datagram t=6 size=1",
        "me finished 1/0; peer close 1/2; me close 1/1; peer datagram t=6 size=1",
    ),
    Pair(
        "close-not-answered",
        "peer",
        "me finished 1/0; peer close 1/2; peer datagram t=6 size=1",
        "me finished 1/0; peer close 1/2; me boot; peer datagram t=6 size=1",
    ),
    Pair(
        "idle-session-not-closed",
        "peer",
        "me finished 1/0; peer record 1/1; peer record 1/2 t=60; peer datagram t=127 size=1",
        "me finished 1/0; peer record 1/1; peer record 1/2 t=60; me close 1/1 t=120; peer datagram t=127 size=1",
    ),
    Pair("message-over-limit", "me", "me close 1/19 carried=16385", "me close 1/19 carried=16384"),
    Pair("delivered-with-a-gap", "peer", "me deliver gap=yes", "me deliver gap=no"),
    Pair("delivered-out-of-order", "peer", "me deliver disordered=yes", "me deliver disordered=no"),
    Pair("replay-delivered", "peer", "me deliver twice=yes", "me deliver twice=no"),
    Pair("delivered-differs", "peer", "me deliver intact=no", "me deliver intact=yes"),
    Pair(
        "delivered-twice",
        "peer",
        "me deliver mark=a; me deliver mark=a",
        "me deliver mark=a; peer hello-with-cookie cookie=c session=2; me deliver mark=a",
    ),
    Pair("delivered-without-session", "peer", "me deliver", "me finished 1/0; me deliver"),
    Pair(
        "delivered-without-session",
        "peer",
        "me finished 1/0; me deliver; me deliver",
        "me deliver lossy",
    ),
    Pair("sent-differs", "me", "me close 1/2 as_given=no", "me close 1/2 as_given=yes"),
    # timing
    Pair(
        "flight-1-resent-early",
        "me",
        "me hello; me hello t=1",
        "me hello; me hello t=7; me hello t=21; me hello t=49; me hello t=105",
    ),
    Pair(
        "flight-1-resent-early", "me", "me hello; me hello t=7; me hello t=14", "me hello; me hello t=21; me hello t=49"
    ),
    Pair(
        "flight-3-resent-early",
        "me",
        "me hello-with-cookie cookie=a; me hello-with-cookie cookie=a t=1",
        "me hello-with-cookie cookie=a; peer verify-request cookie=a t=1; me hello-with-cookie cookie=a",
    ),
    Pair(
        "flight-4-resent-early",
        "peer",
        "me server-hello; me server-hello t=7; me server-hello t=14",
        "me server-hello; peer hello-with-cookie cookie=a t=1; me server-hello; me server-hello t=7",
    ),
    Pair("flight-5-resent-early", "me", "me ccs; me ccs t=3", "me ccs; me ccs t=7; me ccs t=22"),
    Pair(
        "flight-sent-after-giving-up",
        "me",
        "me hello; me hello t=217",
        "me hello; me hello t=165",
    ),
    Pair(
        "request-not-answered",
        "me",
        "me request to=sss; me hello to=sss; peer datagram t=901 size=1",
        "me request to=sss; me hello to=sss; me answer to=sss; peer datagram t=901 size=1",
    ),
    Pair(
        "request-not-answered",
        "me",
        "me request to=sss; me hello to=sss; me hello client_random=two session=2",
        "me request to=sss; me hello to=sss; me boot; me hello client_random=two session=2",
    ),
    Pair(
        "answered-more-than-once",
        "me",
        "me request to=sss; me answer to=sss; me answer to=sss",
        "me request to=sss; me request to=sss; me answer to=sss; me answer to=sss",
    ),
    Pair(
        "radio-answered-while-talking-to-sss",
        "me",
        "me hello to=sss; peer hello session=2; me verify-request to=peer session=2",
        "me hello to=sss; peer hello session=2; me answer to=sss; me verify-request to=peer session=2",
    ),
    Pair(
        "overheard-hello-answered",
        "peer",
        "peer hello to=other; me verify-request to=peer",
        "peer hello to=other; peer hello; me verify-request to=peer",
    ),
    Pair("own-hello-answered", "me", "me verify-request to=me", "me verify-request to=peer"),
]


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{n}-{p.monitor}" for n, p in enumerate(PAIRS)])
def test_a_monitor_tells_its_bug_from_the_nearest_honest_stream(pair: Pair) -> None:
    alarms = watch(pair.bug, client=pair.client, selection=[pair.monitor])
    assert [a.monitor for a in alarms] == [pair.monitor]
    assert 0 < alarms[0].frames[-1] <= pair.bug.count(";") + 1
    assert alarms[0].basis is not Basis.CLAIM
    assert alarms[0].text.startswith(f"{alarms[0].party}: {CATALOGUE[pair.monitor].says}")
    assert watch(pair.honest, client=pair.client, selection=[pair.monitor]) == []


HONEST = [
    (
        "missing-certificate-verify-accepted",
        "peer",
        "peer certificate-verify; peer certificate empty=no; peer ccs; me ccs",
    ),
    (
        "missing-server-key-exchange-accepted",
        "me",
        "peer server-key-exchange; peer server-hello suite=0xC02C; peer server-hello-done; me client-key-exchange",
    ),
    ("early-finished-accepted", "me", "me ccs; me finished 1/0; peer finished 0/5; me finished 1/1"),
    ("early-finished-accepted", "peer", "peer ccs; peer finished 0/5; me ccs"),
    ("early-finished-accepted", "peer", "peer finished 1/0; me ccs"),
    ("early-finished-accepted", "peer", "peer finished 0/5; peer data 1/1"),
    ("early-finished-accepted", "me", "me ccs; peer finished 0/5; peer finished 1/0; me data 1/1"),
    ("wrong-finished-accepted", "me", "me ccs; peer finished 1/0 wrong=yes; me ccs; me finished 1/1"),
    ("wrong-finished-accepted", "me", "peer finished 1/0 wrong=yes; peer finished 1/1 wrong=no; me data 1/1"),
    ("ccs-twice", "me", "peer ccs 0/4; peer ccs 0/5"),
    ("finished-resent-without-ccs", "me", "me finished 1/0; me finished 1/1 lossy"),
    ("early-ccs-accepted", "peer", "peer ccs; peer ccs; me ccs"),
    ("early-ccs-accepted", "peer", "peer ccs; peer client-key-exchange; peer ccs; me ccs"),
    ("early-ccs-accepted", "peer", "peer ccs; peer client-key-exchange; me ccs"),
    ("no-cookie-exchange", "peer", "peer hello-with-cookie session=2; me server-hello seq=1 cookie="),
    ("no-cookie-exchange", "peer", "me server-hello seq=1 cookie= again=yes"),
    ("record-version", "me", "me record 0/5 version=0xFEFF opening=no"),
    ("early-ccs-accepted", "peer", "peer ccs; peer client-key-exchange; peer finished 1/0"),
    ("early-ccs-accepted", "peer", "me ccs; peer client-key-exchange; peer ccs"),
    ("missing-certificate-verify-accepted", "peer", "peer certificate empty=yes; peer ccs; me ccs"),
    (
        "missing-certificate-verify-accepted",
        "peer",
        "peer certificate empty=no; peer ccs; peer certificate-verify; me ccs",
    ),
    ("missing-certificate-verify-accepted", "peer", "peer certificate empty=no; peer ccs; peer finished 1/0; me alert"),
    ("missing-certificate-verify-accepted", "me", "me certificate empty=no; peer ccs gapless=no"),
    ("unauthenticated-client-accepted", "peer", "peer ccs; peer finished 1/0; me alert fatal=yes"),
    ("unauthenticated-client-accepted", "me", "me certificate empty=no; peer certificate empty=yes; peer finished 1/0"),
    ("client-certificate-not-requested", "peer", "me server-hello-done gapless=no"),
    ("unauthenticated-server-accepted", "me", "peer certificate empty=yes; peer certificate empty=no; me ccs"),
    ("unauthenticated-server-accepted", "me", "peer certificate empty=yes; peer data 1/1"),
    (
        "missing-server-key-exchange-accepted",
        "me",
        "peer server-hello suite=0xC02C; peer server-hello-done; peer server-key-exchange; me client-key-exchange",
    ),
    (
        "missing-server-key-exchange-accepted",
        "me",
        "peer server-hello suite=0xC02C; peer server-hello-done gapless=no; me client-key-exchange",
    ),
    (
        "key-exchange-after-certificate-verify-accepted",
        "peer",
        "peer client-key-exchange seq=3; peer certificate-verify seq=4; me ccs",
    ),
    ("wrong-finished-accepted", "peer", "peer finished 1/0 wrong=yes; peer data 1/1; me alert fatal=yes"),
    ("verify-request-record-sequence", "peer", "peer hello 0/3; me verify-request 0/0 t=1"),
    ("verify-request-record-sequence", "peer", "peer hello 0/3; me verify-request 0/3; me verify-request 0/2"),
    ("verify-request-record-sequence", "me", "me hello 0/3; peer verify-request 1/0 again=yes"),
    ("verify-request-message-seq", "peer", "peer hello seq=0; peer hello-with-cookie seq=1; me verify-request seq=0"),
    ("verify-request-message-seq", "peer", "peer hello seq=0; me verify-request seq=1 t=1"),
    ("server-hello-record-sequence", "peer", "peer hello-with-cookie 0/1; me server-hello 0/2 again=yes"),
    ("server-hello-record-sequence", "peer", "peer hello-with-cookie 0/1; me server-hello 0/2 t=1"),
    (
        "server-hello-record-sequence",
        "peer",
        "peer hello-with-cookie 0/1; peer hello-with-cookie 0/2; me server-hello 0/1",
    ),
    (
        "server-hello-message-seq",
        "peer",
        "peer hello-with-cookie seq=1; peer hello-with-cookie seq=2; me server-hello seq=2",
    ),
    ("hello-message-seq", "me", "me hello 1/3 seq=6"),
    ("no-cookie-exchange", "peer", "me server-hello 1/3 seq=0"),
    (
        "cookie-not-bound",
        "peer",
        "me verify-request to=peer cookie=a; other hello-with-cookie cookie=a; peer hello-with-cookie cookie=a; "
        "me server-hello to=peer cookie=a",
    ),
    (
        "cookie-not-bound",
        "peer",
        "me verify-request to=peer cookie=a; other hello-with-cookie cookie=a; me server-hello to=peer cookie=a",
    ),
    ("cookie-constant", "peer", "me verify-request to=peer cookie=a; me verify-request to=peer cookie=a"),
    ("cookie-not-echoed", "peer", "peer hello-with-cookie cookie=b"),
    (
        "random-changed-after-verify-request",
        "me",
        "peer verify-request cookie=a; peer verify-request cookie=a client_random=two session=2; "
        "me hello-with-cookie cookie=a client_random=two session=2",
    ),
    ("server-random-repeated", "peer", "me server-hello; me server-hello client_random=two session=2"),
    ("record-number-reused", "me", "me record 1/1 mark=a; me record 1/1 mark=a"),
    ("nonce-reused", "me", "me record 1/1 mark=a nonce=n; me record 1/1 mark=a nonce=n"),
    ("record-sent-again-under-its-number", "me", "me record 0/1 mark=a; me record 0/1 mark=b"),
    (
        "record-sent-again-under-its-number",
        "peer",
        "me record 0/0 mark=a verify_request=yes; me record 0/0 mark=a verify_request=yes",
    ),
    ("record-number-falls", "me", "peer record 1/5; peer record 1/4"),
    ("record-number-falls", "peer", "me record 0/5; me record 0/4 verify_request=yes"),
    ("record-version", "me", "me server-hello hello_version=0xFEFD; me record 0/5 version=0xFEFD opening=no"),
    (
        "message-seq-leaps",
        "me",
        "me certificate seq=2; me certificate-verify seq=3; me certificate seq=2; me certificate-verify seq=3",
    ),
    ("message-seq-leaps", "me", "peer certificate seq=2; peer certificate-verify seq=4"),
    ("datagram-over-mtu", "me", "peer datagram size=1001"),
    ("private-key-over-plain-rsa", "me", "sss data 1/1 ships_key=no suite_in_use=0x003D"),
    ("renegotiation-answered", "peer", "peer hello 1/3; me server-hello 0/3 seq=1"),
    ("renegotiation-answered", "peer", "peer hello 0/3; me server-hello 1/3 seq=1"),
    ("data-in-the-clear", "me", "me finished 1/0; me data 0/6"),
    ("data-in-the-clear", "me", "me data 1/1"),
    ("data-in-the-clear-after-finished", "me", "me finished 0/5; me data 0/6"),
    ("data-before-finished", "me", "me data 0/0"),
    ("data-before-peers-finished", "me", "peer data 1/1; me data 0/5"),
    ("plaintext-handshake-answered", "peer", "peer finished 1/0; peer client-key-exchange 0/7 again=yes; me ccs"),
    ("plaintext-handshake-answered", "peer", "peer finished 1/0; peer finished 1/1; me ccs"),
    ("plaintext-handshake-answered", "peer", "peer finished 1/0; peer client-key-exchange 0/7; me ccs t=1"),
    ("plaintext-handshake-answered", "me", "me finished 1/0; peer certificate 0/7; me alert 1/1"),
    ("plaintext-alert-obeyed", "peer", "peer finished 1/0; peer alert 1/1 fatal=no; me close 1/1"),
    ("plaintext-alert-obeyed", "peer", "peer finished 1/0; peer alert 0/7 fatal=yes; me close 1/1 t=1"),
    ("plaintext-alert-obeyed", "me", "me finished 1/0; peer alert 0/7 fatal=yes; me alert 0/8"),
    ("alert-in-the-clear-after-finished", "me", "me finished 0/5; me alert 0/9"),
    ("speaks-after-fatal-alert", "me", "me alert 0/5 fatal=no; me ccs"),
    ("speaks-after-fatal-alert", "me", "me alert 0/5 fatal=yes; me ccs 0/6 frame=1"),
    ("fatal-alert-ignored", "me", "peer alert 1/1 fatal=no; me data 1/1 t=2"),
    ("fatal-alert-ignored", "me", "peer alert 1/1 fatal=yes; me data 1/1"),
    ("fatal-alert-ignored", "me", "peer alert 1/1 fatal=yes; peer data 1/2 t=2"),
    ("data-after-close", "me", "me close 1/5; me data 1/3"),
    ("data-after-close", "me", "me close 0/2; me data 1/3"),
    ("close-sent-twice", "me", "me close 1/2; me close 1/2"),
    ("close-sent-twice", "me", "me close 0/9; me close 1/2"),
    ("close-not-answered", "peer", "me finished 1/0; me close 1/1; peer close 1/2; peer datagram t=6 size=1"),
    ("close-not-answered", "peer", "me finished 1/0; peer alert 1/1; peer close 1/2; peer datagram t=6 size=1"),
    ("close-not-answered", "peer", "me finished 1/0; peer close 0/9; peer datagram t=6 size=1"),
    ("close-not-answered", "me", "me finished 1/0; peer close 1/2; peer datagram t=6 size=1"),
    ("close-not-answered", "peer", "me finished 1/0 lossy; peer close 1/2 lossy; peer datagram t=6 size=1"),
    ("idle-session-not-closed", "me", "me finished 1/0; peer record 1/1; peer datagram t=67 size=1"),
    ("idle-session-not-closed", "peer", "me finished 1/0; peer alert 1/1; peer datagram t=67 size=1"),
    ("idle-session-not-closed", "peer", "me finished 1/0; me close 1/1 t=60; peer datagram t=127 size=1"),
    (
        "idle-session-not-closed",
        "peer",
        "me finished 1/0; peer record 1/1; me close 1/1 t=60; peer datagram t=127 size=1",
    ),
    ("idle-session-not-closed", "peer", "me finished 1/0; peer record 1/1; peer alert 1/2; peer datagram t=67 size=1"),
    ("delivered-twice", "peer", "me deliver mark=a; me deliver mark=b"),
    ("sent-differs", "peer", "me close 1/2 as_given=no"),
    ("flight-3-resent-early", "me", "me hello-with-cookie; me hello-with-cookie t=7; me hello-with-cookie t=21"),
    (
        "flight-4-resent-early",
        "peer",
        "me server-hello; me server-hello t=7; peer hello-with-cookie t=8; me server-hello; me server-hello t=21",
    ),
    ("flight-5-resent-early", "me", "me ccs; peer server-hello t=1; me ccs; me ccs t=7; peer server-hello t=8; me ccs"),
    ("flight-5-resent-early", "peer", "me ccs; me ccs t=1; me ccs t=2"),
    (
        "request-not-answered",
        "me",
        "me request to=sss; me answer to=sss; me request to=sss; me answer to=sss; peer datagram t=901 size=1",
    ),
    ("request-not-answered", "me", "me request to=sss; me boot; peer datagram t=901 size=1"),
    ("request-not-answered", "me", "me request to=sss; me hello; peer datagram t=800 size=1"),
    ("request-not-answered", "me", "me request to=sss; me hello to=sss; me hello to=sss t=7"),
    ("request-not-answered", "me", "me request to=sss lossy; peer datagram t=901 size=1 lossy"),
    ("answered-more-than-once", "me", "me request to=sss; me boot; me answer to=sss; me answer to=sss"),
    ("answered-more-than-once", "me", "me request to=sss; me answer to=sss; me request to=sss; me answer to=sss"),
    ("radio-answered-while-talking-to-sss", "me", "me hello; peer hello session=2; me verify-request session=2"),
    ("overheard-hello-answered", "peer", "peer hello; me verify-request"),
    ("overheard-hello-answered", "peer", "peer hello to=other; me verify-request to=other"),
    ("overheard-hello-answered", "peer", "peer hello to=other; me verify-request t=1"),
]
"""More honest streams, each near to a bug by another way."""

WRONG = [
    ("early-finished-accepted", "me", "peer finished 0/5; me data 1/1"),
    ("wrong-finished-accepted", "me", "me ccs; peer finished 1/0 wrong=yes; me data 1/1"),
    ("ccs-twice", "me", "me ccs 0/4 lossy; me ccs 0/5 frame=1 lossy"),
    ("ccs-twice", "me", "me ccs 0/4; me ccs 1/1 lossy"),
    ("missing-certificate-verify-accepted", "peer", "peer certificate empty=no; peer ccs lossy; me ccs lossy"),
    ("unauthenticated-client-accepted", "peer", "peer certificate empty=yes; peer certificate empty=yes; me ccs lossy"),
    (
        "verify-request-record-sequence",
        "peer",
        "peer hello 0/3; me verify-request 0/3; peer hello 0/4; me verify-request 0/0",
    ),
    (
        "server-hello-record-sequence",
        "peer",
        "peer hello-with-cookie 0/3; peer hello-with-cookie 0/3; me server-hello 0/0",
    ),
    ("message-seq-reused", "me", "me certificate seq=2; me client-key-exchange seq=2"),
    ("message-seq-leaps", "me", "me certificate seq=2; me client-key-exchange seq=3; me finished seq=5"),
    ("record-number-falls", "me", "me record 0/1; me record 0/5; me record 0/4"),
    ("delivered-twice", "peer", "me deliver mark=a; me deliver mark=b; me deliver mark=b"),
    ("idle-session-not-closed", "peer", "me finished 1/0; peer record 1/1; peer datagram t=67 size=1"),
    ("idle-session-not-closed", "peer", "me finished 1/0; peer datagram t=67 size=1"),
    ("flight-1-resent-early", "me", "me hello; me hello t=7; me hello t=21; me hello t=35"),
    ("flight-1-resent-early", "me", "me hello; me hello t=7; me hello t=21; me hello t=49; me hello t=77"),
    (
        "flight-3-resent-early",
        "me",
        "me hello-with-cookie; peer verify-request; me hello-with-cookie; me hello-with-cookie t=1",
    ),
    ("flight-4-resent-early", "peer", "me server-hello; peer hello-with-cookie; me server-hello; me server-hello t=1"),
    ("flight-5-resent-early", "me", "me ccs; peer server-hello; me ccs; me ccs t=7; me ccs t=14"),
    ("request-not-answered", "me", "me request to=sss; peer datagram t=901 size=1"),
    ("answered-more-than-once", "me", "me request to=sss; me request to=sss; " + "me answer to=sss; " * 3),
    ("overheard-hello-answered", "peer", "other hello to=peer; peer hello to=other; me verify-request to=peer"),
    ("overheard-hello-answered", "peer", "peer hello to=other; other hello; me verify-request to=peer"),
]
"""More streams with the bug, each by another way through the automaton."""


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
