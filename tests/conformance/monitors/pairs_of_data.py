"""Of each monitor a stream with its bug, and the nearest honest one: those about data, time and who is answered."""

from __future__ import annotations

from pairs import Pair

OF_DATA = [
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
