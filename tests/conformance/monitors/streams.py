"""A small language for streams of signs, so that a pattern is one line.

Signs are separated by `;`. A sign is `WHO KIND` and attributes. WHO is `me` (the tap's controller, id 10), `peer` (11)
or `other` (12). `0/3` and `1/3` are epoch and record number; epoch 1 means: opened, unless `sealed`. `seq=2` is
message_seq, `t=7` seconds, `lossy` says that the capture does not vouch for all frames. `NAME=VALUE` sets a field, or
else a fact. Where nothing is said, nothing is missing (`gapless`) and nothing comes again (`again`).
"""

from __future__ import annotations

from typing import Any

from conformance.monitors import Alarm, Monitors
from conformance.monitors.signs import CLIENT, FACTS, FIELDS, SERVER, Kind, Sign
from conformance.sessions.seen import Protection
from model.alphabet import Link

ME, PEER, OTHER = 10, 11, 12
WHO = {"me": ME, "peer": PEER, "other": OTHER, "sss": 1}
ON_CPU = {Kind.REQUEST, Kind.ANSWER, Kind.DELIVER}
BYTES = {"mark", "cookie", "client_random", "server_random", "offers", "nonce"}


def signs(text: str, *, client: str) -> list[Sign]:
    """The signs of a stream; `client` says who is the session's client."""
    words = [part.split() for part in text.split(";") if part.strip()]
    time_s, found = 0, []
    for number, (who, kind, *attributes) in enumerate(words, 1):
        by = WHO[who]
        own = who == "me" and kind not in ("request", "boot")
        fields: dict[str, Any] = {"client_random": b"one", "session": 1, "complete": True}
        facts: dict[str, Any] = {"gapless": True, "again": False}
        if kind == "record":
            facts |= {"opening": False, "verify_request": False}
        fields["role"] = CLIENT if who == client else SERVER if who in ("me", "peer", "sss") else ""
        to = ME if by != ME else PEER
        for word in attributes:
            name, _, value = word.partition("=")
            if name[0].isdigit():
                epoch, record = map(int, name.split("/"))
                fields |= {"epoch": epoch, "number": record}
                fields |= {"protection": Protection.OPENED} if epoch and "sealed" not in attributes else {}
            elif name == "sealed":
                fields["protection"] = Protection.SEALED
            elif name == "lossy":
                fields["complete"] = False
            elif name == "t":
                time_s = int(value)
            elif name == "to":
                to = WHO[value]
            elif name == "seq":
                fields["message_seq"] = int(value)
            else:
                assert name in FIELDS | FACTS.keys(), word
                (fields if name in FIELDS else facts)[name] = _value(name, value)
        link = Link.CPU if Kind(kind) in ON_CPU else Link.RADIO
        fields = {"frame": number, "link": link, **fields}
        found.append(Sign(Kind(kind), by, to, ME, own, time_s * 1_000_000, facts=facts, **fields))
    return found


def _value(name: str, value: str) -> Any:
    if name in BYTES:
        return value.encode()
    return {"yes": True, "no": False}[value] if value in ("yes", "no") else int(value, 0)


def watch(text: str, *, client: str, selection: list[str] | None = None, claims: bool = False) -> list[Alarm]:
    """The alarms of a stream."""
    monitors = Monitors(claims=claims) if selection is None else Monitors(selection, claims=claims)
    return [a for sign in signs(text, client=client) for a in monitors.take(sign)] + monitors.end()
