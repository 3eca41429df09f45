"""All controllers of a capture, judged in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from conformance.capture.context import Context
from conformance.capture.frame import CapturedFrame
from conformance.onlooker.device import Watch
from conformance.onlooker.identity import SeenIdentity
from conformance.onlooker.passing import Terrain
from conformance.onlooker.reading import Reading
from conformance.onlooker.verdict import DeviceVerdict, Standing
from conformance.wire.frames import whole_frame
from conformance.wire.secrets import KeyLog
from model.alphabet import LOWEST_SED_ID, SSS_ID, Link
from model.profile import PROFILES, Setting

TOLERANCE_US = 500_000
"""How much a timer may be off in a capture with a real clock."""
MOST_DEVICES = 256
"""Devices that are judged; a capture that names more of them is hostile or huge."""
MOST_BOOTS = 256
"""Power-ups of one device that are believed; a context that names more of them is hostile."""


def judge_capture(
    frames: Iterable[CapturedFrame],
    keylog: KeyLog,
    context: Context | None = None,
    *,
    profile: str | None = None,
    tolerance_us: int | None = None,
    lossless: bool = False,
) -> list[DeviceVerdict]:
    """Judge every device of a capture, in the order of their ids.

    `profile` is the model's; if None, the context's, else `hardened`. `tolerance_us` is how much timers may be off; if
    None, 0 where the context says that times are virtual, else 500 ms. `lossless` says that on the links that the
    capture has, no frame is missing; of the devices in `context.boots` it is known. Raises ValueError for a profile
    that does not exist.
    """
    facts = context or Context()
    name = profile or facts.profile
    if name not in PROFILES:
        raise ValueError(f"no profile {name!r}; there are {', '.join(PROFILES)}")
    if tolerance_us is None:
        tolerance_us = 0 if facts.virtual else TOLERANCE_US
    watches: dict[tuple[int, bool], Watch] = {}

    def watch(sed: int, aside: bool) -> Watch | None:
        found = watches.get((sed, aside))
        if found is None and len(watches) < MOST_DEVICES:
            boots = () if aside else tuple(facts.boots.get(sed, ()))[:MOST_BOOTS]
            identity = SeenIdentity.of(sed, facts)
            reading = Reading(identity, keylog, complete=bool(boots))
            terrain = Terrain(boots, bool(boots) or lossless, tolerance_us, aside)
            found = watches[sed, aside] = Watch(sed, reading, Setting(sed, PROFILES[name]), terrain)
        return found

    others: dict[int, str] = {}
    for number, captured in enumerate(frames, 1):
        number = captured.number or number
        if captured.link is Link.SSS:
            others[SSS_ID] = "The model's judge is for controllers."
        if captured.sed < LOWEST_SED_ID:
            others.setdefault(captured.sed, "No controller has this id.")
            continue
        if own := watch(captured.sed, False):
            own.feed(captured, number)
        else:
            others[captured.sed] = f"The capture has more than {MOST_DEVICES} devices."
        peer = _peer(captured)
        if peer is not None and (other := watch(peer, True)):
            other.feed(replace(captured, sed=peer, towards=not captured.towards), number)
    verdicts = [w.verdict() for (sed, aside), w in watches.items() if not aside or (sed, False) not in watches]
    verdicts += [DeviceVerdict(sed, Standing.UNKNOWN, text) for sed, text in others.items()]
    return sorted(verdicts, key=lambda v: v.sed)


def _peer(captured: CapturedFrame) -> int | None:
    """The SED at the other end of a radio frame, if it was one between two SEDs."""
    if captured.link is not Link.RADIO:
        return None
    frame = whole_frame(captured.frame)
    if frame is None:
        return None
    peer = frame.source if captured.towards else frame.target
    other = frame.target if captured.towards else frame.source
    return peer if peer >= LOWEST_SED_ID and other == captured.sed != peer else None
