"""What one wire of a watched SSS saw, kept as it comes; judged once more when something was wrong, and as a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from conformance.results import Divergence, LadderFrame
from conformance.watching.happenings import Device, Ended, Happening, Settled, SssFacts, Took, WireMoment
from conformance.watching.recording import TRACE_VERSION, WINDOW, Alarm, result_of, whole_number
from conformance.watching.wire import WireJudge
from conformance.wire.describe import describe
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import SSS_ID
from model.verdict import Verdict

LONGEST = 5_000
"""Steps of one session that are kept: of a longer one, only the latest are, and its trace cannot be told whole."""


class WireHistory:
    """The steps on a wire since it was quiet some time ago."""

    def __init__(self) -> None:
        self._old: list[WireMoment] = []
        self._new: list[WireMoment] = []

    def add(self, moment: WireMoment) -> None:
        """One more step."""
        self._new.append(moment)
        if len(self._new) > LONGEST:
            del self._new[0]

    @property
    def long(self) -> bool:
        """Whether it should begin anew as soon as no session is on the wire."""
        return len(self._new) >= WINDOW

    def begin(self) -> None:
        """No session is on the wire. The steps since the last beginning are kept until there are as many new ones."""
        self._old, self._new = self._new, []

    @property
    def moments(self) -> tuple[WireMoment, ...]:
        """All that is kept."""
        return (*self._old, *self._new)


def retell_wire(facts: SssFacts, cookies: Mapping[int, set[bytes]], moments: Sequence[WireMoment]) -> Alarm:
    """Judge a wire's steps from the first to the last, or up to what no rule allows."""
    keylog = KeyLog()
    given = {device: set(known) for device, known in cookies.items()}
    judge = WireJudge(facts, keylog, given)
    divergence: Divergence | None = None
    ladder: list[LadderFrame] = []
    lines: list[dict[str, Any]] = []
    for moment in moments:
        for random, master in moment.secrets:
            keylog.add(random, master)
        number = judge.steps
        ladder += _frames(judge, moment, number)
        divergence = judge.step(moment)
        lines.append(
            {
                "n": number,
                "t": moment.now,
                **_written(moment.what),
                "events": [[e.kind, *e.args] for e in judge.events],
                "said": [data.hex() for data in moment.said],
                "outputs": [[kind, *args] for kind, args in judge.said],
                "deadline": moment.deadline,
                "registered": moment.registered,
                "alone": moment.alone,
                "rules": list(judge.rules),
                "state": judge.describe(),
                "verdict": "FAIL" if divergence else "PASS",
                "secrets": [[random.hex(), master.hex()] for random, master in moment.secrets],
            }
        )
        if divergence is not None:
            break
    verdict = Verdict.PASS if divergence is None else Verdict.FAIL
    reason = "" if divergence is None else divergence.explanation
    now = moments[-1].now if moments else 0
    result = result_of(SSS_ID, verdict, reason, now, len(lines))
    result.divergence, result.ladder = divergence, ladder
    watched = {
        "node": SSS_ID,
        "ca": facts.ca.hex(),
        "runtime_ca": facts.runtime_ca.hex(),
        "devices": {str(i): key.hex() for i, key in facts.devices.items()},
        "suite": facts.suite,
        "cn_pattern": facts.cn_pattern,
        "wide_response": facts.wide_response,
        "timeouts": list(facts.timeouts),
        "lifetime_s": int(facts.lifetime.total_seconds()),
        "replace": facts.replace,
        "cookies": {str(i): sorted(c.hex() for c in known) for i, known in cookies.items()},
    }
    header = {
        "trace": TRACE_VERSION,
        "case": "watched-1",
        "target": "reference",
        "profile": "hardened",
        "watched": watched,
    }
    footer: dict[str, Any] = {"verdict": verdict.name, "reason": reason, "virtual_ms": now}
    footer |= {} if divergence is None else {"divergence": asdict(divergence)}
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [header, *lines, footer])
    return Alarm(SSS_ID, result, text)


def read_wire(text: str) -> tuple[SssFacts, dict[int, set[bytes]], tuple[WireMoment, ...]]:
    """Read a trace back, for `retell_wire`. Raises ValueError, which says what is wrong with it."""
    try:
        header, *steps = [json.loads(line) for line in text.splitlines()]
        w = header["watched"]
        timeouts = w["timeouts"]
        facts = SssFacts(
            bytes.fromhex(w["ca"]),
            bytes.fromhex(w["runtime_ca"]),
            {int(i): bytes.fromhex(key) for i, key in w["devices"].items()},
            whole_number(w["suite"], 0xFFFF),
            str(w["cn_pattern"]),
            bool(w["wide_response"]),
            (whole_number(timeouts[0]), whole_number(timeouts[1]), whole_number(timeouts[2])),
            timedelta(seconds=whole_number(w["lifetime_s"], 10**9)),
            bool(w["replace"]),
        )
        cookies = {int(i): set(map(bytes.fromhex, known)) for i, known in w["cookies"].items()}
        moments = tuple(_moment(step) for step in steps if "n" in step)
        WireJudge(facts, KeyLog(), cookies)  # certificates that do not parse are found here
        for moment in moments:
            for random, master in moment.secrets:
                KeyLog().add(random, master)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        raise ValueError(f"it is not the trace of a watched SSS ({type(error).__name__}: {error})") from error
    return facts, cookies, moments


def _frames(judge: WireJudge, moment: WireMoment, number: int) -> Iterator[LadderFrame]:
    """The frames of a step, as the ladder has them: the SSS is the one in question."""
    came = [moment.what.frame] if isinstance(moment.what, Took) else []
    for frame in (*came, *moment.frames):
        label = describe(frame.payload, judge.session_keys(frame.source if frame in came else frame.target))
        yield LadderFrame(moment.now, number, "radio", frame.source, frame.target, label, len(frame.payload))


def _written(what: Happening) -> dict[str, Any]:
    if what is None:
        return {"what": "time"}
    if isinstance(what, Ended):
        return {"what": "ended", "goodbye": what.goodbye}
    device = asdict(what.device) | {"last_key": what.device.last_key.hex()}
    if isinstance(what, Settled):
        return {"what": "settled", "kept": what.kept, "device": device}
    return {
        "what": "took",
        "hex": what.frame.encode().hex(),
        "device": device,
        "date": what.date.isoformat(),
        "granted": what.granted,
    }


def _moment(step: dict[str, Any]) -> WireMoment:
    deadline = step["deadline"]
    return WireMoment(
        whole_number(step["t"]),
        _happening(step),
        tuple(bytes.fromhex(data) for data in step["said"]),
        None if deadline is None else whole_number(deadline),
        bool(step["registered"]),
        bool(step["alone"]),
        tuple((bytes.fromhex(random), bytes.fromhex(master)) for random, master in step["secrets"]),
    )


def _happening(step: dict[str, Any]) -> Happening:
    match step["what"]:
        case "time":
            return None
        case "ended":
            return Ended(bool(step["goodbye"]))
        case "settled":
            return Settled(bool(step["kept"]), _device(step["device"]))
        case "took":
            found = FrameReader().feed(bytes.fromhex(step["hex"]))
            if len(found) != 1 or not isinstance(found[0], Frame):
                raise ValueError("a frame that is none")
            date = datetime.fromisoformat(step["date"])
            if date.tzinfo is None:
                raise ValueError("a date without its zone")
            return Took(found[0], _device(step["device"]), date, bool(step["granted"]))
    raise ValueError(f"nothing is known of {step['what']!r}")


def _device(known: dict[str, Any]) -> Device:
    return Device(
        bool(known["registered"]), bool(known["undecided"]), bool(known["removed"]), bytes.fromhex(known["last_key"])
    )
