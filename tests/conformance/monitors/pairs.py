"""Of each monitor a stream with its bug, and the nearest honest one: those about handshakes."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """A monitor's bug and the nearest honest stream."""

    monitor: str
    client: str
    bug: str
    honest: str


FLIGHT_5 = "peer certificate empty=no seq=2; peer client-key-exchange seq=3; peer certificate-verify seq=4; "

OF_HANDSHAKES = [
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
]
