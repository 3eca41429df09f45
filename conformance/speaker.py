"""Says things to an IUT by name, in a run: the `say` steps of a purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance.judge import Judge
from conformance.sayings import HELLOS, SAYINGS
from conformance.voice import Voice, link_of
from conformance.wire.frames import Frame
from model.alphabet import Link
from model.state import State, Step
from model.system.alone import ME

RECORD_NUMBERS: Final = 16
"""Plaintext record numbers for each saying: more than one has records."""


class CannotSay(Exception):
    """There is no session in which it could be said, or no cookie for it; the text says which."""


class Speaker:
    """Says things to one IUT."""

    def __init__(self, voice: Voice, judge: Judge) -> None:
        self._voice, self._judge = voice, judge
        self._number = 0
        self._handshakes = 0

    def stimuli(self, what: str, source: int = 0, variant: int = 0) -> Iterator[tuple[Link, bytes]]:
        """The frames of a saying, one after the other, each to be given before the next is asked for.

        `source` is who says a hello, `variant` which forgery it is. Raises CannotSay.
        """
        self._number += RECORD_NUMBERS
        state = self._judge.oracle.states[0]
        if what in HELLOS:
            yield Link.RADIO, Frame(ME, source, self._hello(what, source, state)).encode()
            return
        session = self._judge.abstraction.memory.sessions.get(state.peer)
        if session is None or not SAYINGS[what].fits(state):
            raise CannotSay(f"{what} cannot be said to an IUT in {state.describe()}.")
        self._voice.keys(session)
        event = SAYINGS[what].events(state)[-1]
        for datagram in self._voice.says(event, state, session, self._number, variant=variant):
            yield link_of(state.peer), Frame(ME, state.peer, datagram).encode()

    def _hello(self, what: str, source: int, state: State) -> bytes:
        memory = self._judge.abstraction.memory
        session = memory.sessions.get(source)
        if what == "hello-cookie" and state.step == Step.ACCEPT and state.peer == source and session is not None:
            random = session.client_random
        else:
            self._handshakes += 1
            random = self._voice.client_random(source, self._handshakes)
        if what == "hello":
            return self._voice.hello(random, b"", self._number)
        cookies = memory.cookies.get(source)
        if not cookies:
            raise CannotSay(f"{source} has no cookie of the IUT; it says a hello first.")
        return self._voice.hello(random, max(cookies), self._number)
