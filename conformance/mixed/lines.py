"""What happens in a lab as lines: words for people, JSON for programs."""

from __future__ import annotations

import json
from typing import Any, Final

from conformance.mixed.world import World
from conformance.report.ladder import seconds
from model.alphabet import BROADCAST, DEREGISTER, FAA_ID, REFUSED, REGISTER, SSS_ID

_NAMES: Final = {BROADCAST: "all", SSS_ID: "SSS", FAA_ID: "FAA"}


def json_line(now: int, kind: str, facts: dict[str, Any]) -> str:
    """One event as a JSON object: `t` in milliseconds of virtual time, `event`, and what belongs to it."""
    return json.dumps({"t": now, "event": kind, **facts})


def text_line(now: int, kind: str, facts: dict[str, Any]) -> str | None:
    """One event in words; None for what would only be noise to a person."""
    words = _words(kind, facts)
    return None if words is None else f"{seconds(now):>12}  {words}"


def _words(kind: str, facts: dict[str, Any]) -> str | None:
    match kind:
        case "sent":
            fate = "" if facts["fate"] == "delivered" else f" ({facts['fate']})"
            return f"{_id(facts['from']):>5} -> {_id(facts['to']):5}  {facts['link']:5}  {facts['what']}{fate}"
        case "arrives" if facts["fate"] in ("injected", "duplicate"):
            return (
                f"{_id(facts['from']):>5} -> {_id(facts['to']):5}  {facts['link']:5}  {facts['what']} ({facts['fate']})"
            )
        case "cpu-sends":
            return f"  CPU -> {facts['device']:<5}  cpu    {facts['what']} for {_id(facts['to'])}"
        case "cpu-gets":
            return f"{facts['device']:>5} -> CPU    cpu    {facts['what']} from {_id(facts['from'])}"
        case "state":
            return f"{facts['device']:>5}    {facts['model']}" if facts["model"] else None
        case "power-cycle":
            return f"{facts['device']:>5}    power cycle"
        case "sss-restarts":
            return "  SSS    starts again"
        case "injected":
            return f"{facts['device']:>5}    {facts['bytes']} B injected on its {facts['link']} link"
        case "unmet":
            return f"expectation not met: {facts['why']}"
    return None


def _id(device: int) -> str:
    return _NAMES.get(device, str(device))


def counts_facts(world: World) -> dict[str, Any]:
    """The figures of a lab."""
    counts = world.counts
    return {
        "steps": counts.steps,
        "frames": counts.frames,
        "given": counts.given,
        "delivered": counts.delivered,
        "payload_bytes": counts.payload,
        "registered": counts.answers[REGISTER],
        "deregistered": counts.answers[DEREGISTER],
        "refused": counts.answers[REFUSED],
    }
