"""JSON lines: one object for each frame and each problem as it is met, then one for each result, then the summary.

The member `kind` tells them apart: `frame`, `problem`, `verdict`, `alarm`, `blind`, `summary`. Times are microseconds
as the file has them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.inspection.words import LINKS, label
from conformance.sessions.seen import SeenFragment, SeenFrame, SeenRecord
from conformance.wire.records import Malformed


def frame_document(seen: SeenFrame, fields: Iterable[tuple[str, str]] | None = None) -> dict[str, Any]:
    """One frame. `fields` are names and values of all layers, which the object has only if they are given."""
    captured, frame = seen.captured, seen.frame
    document: dict[str, Any] = {
        "kind": "frame",
        "number": captured.number,
        "offset": captured.offset,
        "time_us": captured.time_us,
        "sed": captured.sed,
        "towards": captured.towards,
        "link": LINKS[captured.link],
        "source": frame.source if frame else None,
        "target": frame.target if frame else None,
        "size": len(frame.payload) if frame else len(captured.frame),
        "what": label(seen),
        "problem": seen.problem or None,
        "session": seen.session.number if seen.session else None,
        "from_client": seen.from_client,
        "flight": seen.flight or None,
        "retransmission_of": seen.retransmission_of or None,
        "notes": list(seen.notes),
        "records": [_record(entry) for entry in seen.records],
    }
    if captured.comment:
        document["comment"] = captured.comment
    if fields is not None:
        document["fields"] = [list(field) for field in fields]
    return document


def _record(record: SeenRecord | Malformed) -> dict[str, Any]:
    if isinstance(record, Malformed):
        return {"malformed": record.why, "size": len(record.data)}
    return {
        "type": record.content_type.name.lower(),
        "version": f"0x{record.version:04X}",
        "epoch": record.epoch,
        "seq": record.seq,
        "length": record.length,
        "protection": record.protection.value,
        "replay_of": record.replay_of or None,
        "fragments": [_fragment(entry) for entry in record.fragments],
    }


def _fragment(fragment: SeenFragment | Malformed) -> dict[str, Any]:
    if isinstance(fragment, Malformed):
        return {"malformed": fragment.why, "size": len(fragment.data)}
    return {
        "type": fragment.type.name.lower(),
        "message_seq": fragment.message_seq,
        "length": fragment.length,
        "offset": fragment.offset,
        "size": fragment.size,
        "retransmission_of": fragment.retransmission_of or None,
        "contradicts": fragment.contradicts or None,
    }
