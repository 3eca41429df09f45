"""Ladders of captures: lanes for each SED and its CPU, one rung for a frame that was captured at both ends."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from capture_kinds import made

from conformance.capture import write_capture
from conformance.inspection.keys import Keys
from conformance.inspection.ladder import MOST_LANES, LadderBuilder
from conformance.inspection.source import Source
from conformance.inspection.words import Clock
from conformance.sessions.seen import SeenFrame
from model.alphabet import Link

SVG = "{http://www.w3.org/2000/svg}"


def built(frames, **limits: int) -> LadderBuilder:
    builder = LadderBuilder(Clock(), **limits)
    for seen in frames:
        builder.feed(seen)
    return builder


def test_text_is_drawn_like_this(explained) -> None:
    lines = built(explained("register")).text(width=90, ascii_only=True)
    assert lines == [
        "   time (s)   CPU 10   10    SSS",
        "      0.000     |----->|      |    1 request: register 10",
        "                |      |----->|    2 ClientHello",
        "                |      |<-----|    3 HelloVerifyRequest",
        "                |      |----->|    4 ClientHello with cookie",
        "                |      |<-----|    5 ServerHello ... ServerHelloDone",
        "                |      |----->|    6 Certificate ... Finished",
        "                |      |<-----|    7 CCS, Finished",
        "                |      |----->|    8 data #1, 4 B, request: register 10",
        "                |      |<-----|    9 data #1, 844 B, response: registered 10, CA certif...",
        "                |      |----->|    10 close_notify",
        "                |<-----|      |    11 answer: registered 10",
        "                |      |<-----|    12 close_notify",
    ]


def test_a_frame_captured_at_both_ends_is_one_rung(tmp_path: Path) -> None:
    frames = []
    for frame in made("registered-16").frames:
        frames.append(frame)
        if frame.link is Link.RADIO:
            frames.append(replace(frame, sed=21 - frame.sed, towards=not frame.towards))
    write_capture(tmp_path / "a.pcapng", frames)
    entries = Source(tmp_path / "a.pcapng", Keys(), Clock()).entries()
    both = built(seen for seen in entries if isinstance(seen, SeenFrame)).ladder()
    assert len(both.rungs) == len(made("registered-16").frames) < len(frames)


def test_a_frame_that_comes_twice_at_one_end_is_two_rungs(explained) -> None:
    frames = explained("duplicate-flight-4")
    assert len(built(frames).ladder().rungs) == len(frames)


def test_broadcasts_faa_and_what_is_no_frame(explained) -> None:
    ladder = built(explained("faa-busy")).ladder()
    assert "FAA" in ladder.lanes and ladder.lanes[0] == "CPU 10" and ladder.lanes[1] == "SED 10"
    (seen, *_) = explained("register")
    broken = replace(seen, captured=replace(seen.captured, link=Link.RADIO), frame=None, problem="no frame, 3 B")
    ladder = built([broken]).ladder()
    assert ladder.lanes == ("SED 10", "radio")
    assert (ladder.rungs[0].start, ladder.rungs[0].end, ladder.rungs[0].label) == (1, 0, "1 no frame, 3 B")


def test_what_is_too_much_is_left_out_and_said(explained) -> None:
    frames = explained("register")
    builder = built(frames, most=5)
    assert len(builder.ladder().rungs) == 5
    assert builder.limits()[0].startswith("7 frames not drawn (at most 5 frames and 16 parties)")
    assert builder.text(width=80, ascii_only=True)[-1] == builder.limits()[0]
    assert built(frames).limits() == []
    (seen, *_) = explained("registered-16")
    crowd = [
        replace(
            seen,
            captured=replace(seen.captured, link=Link.RADIO, frame=bytes([n])),
            frame=replace(seen.frame, target=n),
        )
        for n in range(20, 60)
    ]
    builder = built(crowd)
    assert len(builder.ladder().lanes) == MOST_LANES and builder.left_out == 40 - (MOST_LANES - 1)


def test_nothing_to_draw() -> None:
    assert built([]).text(width=80, ascii_only=True) == ["   time (s)"]
    root = ET.fromstring(built([]).svg("empty"))
    assert int(root.get("width")) > 0 and not list(root.iter(f"{SVG}line"))


def test_the_picture_stands_alone(explained) -> None:
    builder = built(explained("register"))
    builder.marked = frozenset({9})
    root = ET.fromstring(builder.svg("a <capture>"))
    assert root.find(f"{SVG}title").text == "a <capture>"
    assert ".rung line" in root.find(f"{SVG}style").text
    assert len(root.findall(f"{SVG}rect[@class='here']")) == 1
    tips = [group.find(f"{SVG}title").text for group in root.iter(f"{SVG}g") if "rung" in group.get("class", "")]
    assert len(tips) == 12 and tips[3] == "0.000 s, frame 4, sss: 4 ClientHello with cookie, 135 B"
