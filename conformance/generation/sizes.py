"""Messages of every size at which something changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from conformance.generation.scenarios import IUT, PEER
from conformance.purpose import Purpose, parse
from model.alphabet import MAX_MESSAGE, MAX_RECORD

SIZES: Final = tuple(
    sorted(
        {n + d for n in (MAX_RECORD, 2 * MAX_RECORD, 16 * MAX_RECORD, MAX_MESSAGE) for d in (-1, 0, 1)}
        | {0, 1, 2, 17 * MAX_RECORD, 17 * MAX_RECORD + 1, MAX_MESSAGE + MAX_RECORD, 0xFFFF}
    )
)
"""Around one, two and many full records, and around the largest message (FRM-2)."""


def sizes() -> Iterator[Purpose]:
    """Each size in both directions. One that is too large for a frame is given by the IUT's CPU, and dropped."""
    for size in SIZES:
        fits = size <= MAX_MESSAGE
        steps = [{"do": "send", "to": PEER, "size": size}, {"do": "wait", "until": "idle"}]
        if fits:
            steps.append({"do": "expect", "what": "message", "at": PEER, "from": IUT, "size": size})
            steps += [{"do": "send", "by": PEER, "to": IUT, "size": size}, {"do": "wait", "until": "idle"}]
            steps.append({"do": "expect", "what": "message", "at": IUT, "from": PEER, "size": size})
        else:
            steps += [{"do": "send", "to": PEER, "size": 16}, {"do": "wait", "until": "idle"}]
            steps.append({"do": "expect", "what": "message", "at": PEER, "from": IUT, "size": 16})
        document = {
            "title": f"A message of {size} bytes" + ("" if fits else ", more than a frame may have"),
            "requirements": ["FRM-2", "SES-2", "SES-3", "SES-8"],
            "iut": IUT,
            "peers": [{"id": PEER}],
            "steps": steps,
        }
        yield parse(f"size-{size}", document)
