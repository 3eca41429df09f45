"""What both directions of the abstraction share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from conformance.abstraction.session import Identity, Session
from conformance.wire.handshake import Message
from conformance.wire.records import Record
from conformance.wire.secrets import KeyLog


@dataclass(frozen=True, slots=True)
class Hello:
    """A ClientHello with a valid cookie, and the number of the record that it came in."""

    client_random: bytes
    message: Message
    record: Record


@dataclass
class Memory:
    """Everything that was seen of one IUT since its boot."""

    identity: Identity
    keylog: KeyLog
    sessions: dict[int, Session] = field(default_factory=dict)
    """The latest session with each peer."""
    cookies: dict[int, set[bytes]] = field(default_factory=dict)
    """Cookies that the IUT gave, by peer."""
    hellos: dict[int, Hello] = field(default_factory=dict)
    """The latest valid-cookie hello, by peer."""
    refused: set[int] = field(default_factory=set)
    """Who has just sent a hello with a valid cookie that nobody can agree to: it may be told so, and no more."""
    complete: dict[int, bytes] = field(default_factory=dict)
    """Plaintext of the latest message whose close_notify came, by peer."""
    asked: int = 0
    """The op of the latest request that went to the SSS."""
    offered: tuple[bytes, bytes] | None = None
    """CA certificate and public key of the latest usable response, until the CPU is told that it is in force."""
    messages: dict[int, list[bytes]] = field(default_factory=dict)
    """Messages that the IUT's CPU gave, by destination."""
    faa_out: list[bytes] = field(default_factory=list)
    """FAA frames that the CPU gave and the radio has not shown yet."""
    faa_in: list[bytes] = field(default_factory=list)
    """FAA frames that the radio gave and the CPU has not got yet."""
    _handshakes: dict[bytes, int] = field(default_factory=dict)

    def forget_sessions(self, but: set[int]) -> None:
        """The IUT has no session any more, but with these peers: what the others send meets no replay window."""
        for peer in self.sessions.keys() - but:
            del self.sessions[peer]

    def rest(self) -> None:
        """The IUT is IDLE and nothing waits in it: forget what only a session that runs can need, so that nothing
        grows with time. The numbers of handshakes begin anew, too."""
        for kept in (self.sessions, self.hellos, self.complete, self.messages, self._handshakes):
            kept.clear()

    def fork(self) -> Memory:
        """An independent copy; the identity and the key log stay shared."""
        return replace(
            self,
            sessions={peer: session.fork() for peer, session in self.sessions.items()},
            cookies={peer: set(given) for peer, given in self.cookies.items()},
            hellos=dict(self.hellos),
            refused=set(self.refused),
            complete=dict(self.complete),
            messages={to: list(given) for to, given in self.messages.items()},
            faa_out=list(self.faa_out),
            faa_in=list(self.faa_in),
            _handshakes=dict(self._handshakes),
        )

    def handshake(self, client_random: bytes) -> int:
        """The number of a client's handshake, from 1 in the order of their coming."""
        return self._handshakes.setdefault(client_random, len(self._handshakes) + 1)
