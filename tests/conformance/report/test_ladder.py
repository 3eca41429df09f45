from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from conformance.report.ladder import around, lay_out, seconds, svg_ladder, text_ladder
from conformance.results import LadderFrame, Report

LOST = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def frames(report: Report) -> list[LadderFrame]:
    return report.cases[1].ladder


def frame(link: str, source: int, target: int, **more: str) -> LadderFrame:
    return LadderFrame(0, 0, link, source, target, "label", 1, **more)


def ends(*frames: LadderFrame, iut: int | None = 10) -> list[tuple[str, str]]:
    ladder = lay_out(frames, iut)
    return [(ladder.lanes[rung.start], ladder.lanes[rung.end]) for rung in ladder.rungs]


def test_text_is_drawn_like_this(frames: list[LadderFrame]) -> None:
    assert text_ladder(lay_out(frames, 10), width=110, mark=8) == [
        "   time (s)     CPU     SED 10   SED 11    FAA      SSS     radio",
        "      0.000      ├───────▶│        │        │        │        │     message for 11, 16 B",
        "                 │        ├───────▶│        │        │        │     ClientHello",
        "                 │        │◀───────┤        │        │        │     HelloVerifyRequest",
        f"                 │        ├────{LOST}   │        │        │        │     ClientHello with cookie, lost",
        "      7.000      │        ├───────▶│        │        │        │     ClientHello with cookie, retransmission",
        "                 │        │◀───────┤        │        │        │     flight 4 (1 of 2)",
        "                 │        │◀───────┤        │        │        │     flight 4 (2 of 2), duplicate",
        "                 │        ├───────▶│        │        │        │     flight 5 (1 of 2)",
        "                 │        ├───────▶│        │        │        │     flight 5 (2 of 2)",
        "      7.200      │        │◀───────┼────────┼────────┼────────┤     alert, injected as SED 12",
        "      7.300      │        │◀───────┼────────┼────────┤        │     ServerHello",
        "                 │        │◀───────┼────────┤        │        │     FAA, 16 B, broadcast",
        "                 │◀───────┤        │        │        │        │     FAA, 16 B",
        "▸     7.400      │        ├───────▶│        │        │        │     alert",
    ]


@pytest.mark.parametrize("width", [60, 72, 100, 140])
def test_text_keeps_to_its_width(frames: list[LadderFrame], width: int) -> None:
    for ascii_only in (False, True):
        lines = text_ladder(lay_out(frames, 10), width=width, ascii_only=ascii_only)
        assert len(lines) == len(frames) + 1
        assert max(map(len, lines)) <= width
        assert "retr" in "".join(lines) or width < 100
        if ascii_only:
            "".join(lines).encode("ascii")


def test_who_sends_and_who_gets() -> None:
    iut = "SED 10 (IUT)"
    assert ends(frame("cpu", 0, 10), frame("cpu", 10, 0)) == [("CPU", iut), (iut, "CPU")]
    assert ends(frame("sss", 10, 1), frame("sss", 1, 10), frame("sss", 7, 10)) == [
        (iut, "SSS"),
        ("SSS", iut),
        ("SSS", iut),
    ]
    assert ends(frame("radio", 10, 2), frame("radio", 2, 0)) == [(iut, "FAA"), ("FAA", iut)]
    assert ends(frame("radio", 10, 0)) == [(iut, "radio")]
    assert ends(frame("radio", 11, 12)) == [("SED 11", "SED 12")]
    assert ends(frame("radio", 11, 10, fate="injected")) == [("radio", iut)]
    assert ends(frame("radio", 10, 10, fate="injected")) == [("radio", iut)]


def test_lanes_stand_in_the_order_of_the_bus() -> None:
    frames = [frame("radio", 100, 10), frame("radio", 11, 10), frame("radio", 2, 0), frame("sss", 1, 10)]
    frames.append(frame("radio", 10, 0))
    assert lay_out(frames, 10).lanes == ("SED 10 (IUT)", "SED 11", "SED 100", "FAA", "SSS", "radio")


def test_a_frame_to_its_own_sender_is_drawn() -> None:
    ladder = lay_out([frame("radio", 11, 11)], 10)
    assert "┼" in text_ladder(ladder)[1]
    assert "<circle" in svg_ladder(ladder)


def test_around_takes_what_led_to_the_step(frames: list[LadderFrame]) -> None:
    many = [LadderFrame(n, n, "cpu", 0, 10, str(n), 0) for n in range(50)]
    assert [f.step for f in around(many, 30)] == list(range(22, 34))
    assert [f.step for f in around(many, 2)] == list(range(6))
    assert [f.step for f in around(many, None, 5)] == list(range(45, 50))
    assert [f.step for f in around(many, 99, 3)] == [47, 48, 49]
    assert around([], 3) == []


def test_seconds_are_exact() -> None:
    assert [seconds(ms) for ms in (0, 5, 7_000, 165_001)] == ["0.000", "0.005", "7.000", "165.001"]


def test_svg_holds_every_frame_and_no_style(frames: list[LadderFrame]) -> None:
    text = svg_ladder(lay_out(frames, 10), mark=8, title="A <title>")
    root = ET.fromstring(text)
    rungs = [group for group in root.iter(f"{SVG}g") if "rung" in group.get("class", "")]
    assert len(rungs) == len(frames)
    assert [group.get("class") for group in rungs if group.find(f"{SVG}path[@class='cross']") is not None] == [
        "rung lost on-radio"
    ]
    assert len(root.findall(f"{SVG}rect[@class='here']")) == 1
    assert not [node for node in root.iter() if node.get("style")]
    assert root.find(f"{SVG}title").text == "A <title>"
    assert [node.text for node in root.iter(f"{SVG}text") if node.get("class") == "time"][:3] == [
        "0.000",
        "7.000",
        "7.200",
    ]


def test_svg_stays_inside_its_box(frames: list[LadderFrame]) -> None:
    root = ET.fromstring(svg_ladder(lay_out(frames * 4, 10)))
    _, _, width, height = map(int, root.get("viewBox").split())
    for node in root.iter():
        for name, limit in (("x", width), ("x1", width), ("x2", width), ("y", height), ("y1", height), ("y2", height)):
            assert 0 <= float(node.get(name, 0)) <= limit


def test_svg_breaks_what_is_wider_than_its_arrow() -> None:
    label = "ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone"
    root = ET.fromstring(
        svg_ladder(lay_out([LadderFrame(0, 0, "radio", 11, 10, label, 1, note="retransmission after 7 s")], 10))
    )
    (rung,) = [group for group in root.iter(f"{SVG}g") if "rung" in group.get("class", "")]
    one, two = (int(lane.find(f"{SVG}line").get("x1")) for lane in root.findall(f"{SVG}g[@class]")[:2])
    lines = [text for text in rung.iter(f"{SVG}text") if text.get("class") != "time"]
    assert len(lines) > 2
    assert all(len("".join(text.itertext())) * 7.2 < abs(two - one) for text in lines)
    in_order = sorted(lines, key=lambda text: int(text.get("y")))
    assert " ".join("".join(text.itertext()).strip() for text in in_order) == f"{label} retransmission after 7 s"


def test_svg_escapes_labels() -> None:
    hostile = LadderFrame(0, 0, "radio", 11, 10, "<b>&", 1, fate='x" onload="', note="<i>")
    root = ET.fromstring(svg_ladder(lay_out([hostile], 10)))
    assert not list(root.iter(f"{SVG}b")) and not [n for n in root.iter() if n.get("onload")]
