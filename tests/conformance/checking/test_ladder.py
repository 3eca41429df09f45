from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from conformance.checking.ladder import Name, lay_out, parse_name, steps_text, svg_ladder, text_ladder
from conformance.checking.results import PathResult, StepResult


def step(action: str, kind: str, elapsed: int = 0) -> StepResult:
    return StepResult(action, kind, "Says <so> & more.", [], elapsed, {"x": 1})


PATH = PathResult(
    [
        step("3.SES-2.open(cpu-send, to=4)", "cpu"),
        step("4.SES-6.verify(hello from 3)", "deliver"),
        step("time.to the next deadline", "time", 7_000),
        step("3.DTL-6.resend(timer)", "timer"),
        step("4.lost(flight5 from 3)", "lose"),
        step("4.SES-3.open(hello-cookie from 3, handshake=1)", "replay"),
        step("3.SES-5.alert(alert from 4)", "forge"),
        step("1.REG-7.open(hello-cookie from 3)", "deliver"),
        step("something else (entirely", "fault"),
    ],
    loop=6,
)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "3.SES-3.open(hello-cookie from 4, handshake=1)",
            ("3", "SES-3.open", "hello-cookie from 4, handshake=1", "4"),
        ),
        ("3.CRT-7.reject(certificate of 5 (other))", ("3", "CRT-7.reject", "certificate of 5 (other)", "")),
        ("1.REG-1.register(3)", ("1", "REG-1.register", "3", "")),
        ("3.SES-9.resume()", ("3", "SES-9.resume", "", "")),
        ("3.SES-9.resume", ("3", "SES-9.resume", "", "")),
        ("time.7000", ("", "time.7000", "", "")),
        ("lose.s4_f5", ("", "lose.s4_f5", "", "")),
        ("a (b", ("", "a (b", "", "")),
        ("", ("", "", "", "")),
    ],
)
def test_names_are_taken_apart(name: str, parts: tuple[str, ...]) -> None:
    assert parse_name(name) == Name(*parts)


def test_where_each_step_stands() -> None:
    ladder = lay_out(PATH)
    assert ladder.lanes == ("SED 3", "SED 4", "SSS", "adversary")
    assert [(rung.start, rung.end) for rung in ladder.rungs] == [
        (0, 0),
        (0, 1),
        (None, None),
        (0, 0),
        (0, 1),
        (3, 1),
        (3, 0),
        (0, 2),
        (None, None),
    ]
    assert [rung.time for rung in ladder.rungs] == [0, 0, 0, 7_000, 7_000, 7_000, 7_000, 7_000, 7_000]
    assert [n for n, rung in enumerate(ladder.rungs) if rung.first] == [0, 3]


TEXT = """\
   time (s)     SED 3      SED 4       SSS     adversary
      0.000       ●          │          │          │      cpu-send, to=4  [SES-2.open]
                  ├─────────▶│          │          │      hello  [SES-6.verify]
             ┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄ 7.000 s pass
      7.000       ●          │          │          │      timer  [DTL-6.resend]
                  ├─────────%│          │          │      flight5  [lost]
                  │          │◀─────────┼──────────┤      hello-cookie from 3, handshake=1  [SES-3.…
                  │◀─────────┼──────────┼──────────┤      alert from 4  [SES-5.alert]
             from here on again and again:
                  ├──────────┼─────────▶│          │      hello-cookie  [REG-7.open]
             ┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄┄┄┄┄┄│┄┄┄┄┄ something else (entirely
"""


def test_text() -> None:
    assert text_ladder(lay_out(PATH)) == TEXT.replace("%", "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}").splitlines()


def test_text_in_ascii_and_narrow() -> None:
    lines = text_ladder(lay_out(PATH), width=60, ascii_only=True)
    assert "\n".join(lines).isascii() and max(map(len, lines)) == 60
    assert lines[6].endswith("...") and "X|" in lines[5]


def test_svg_is_well_formed_and_has_what_the_text_has() -> None:
    svg = ET.fromstring(svg_ladder(lay_out(PATH), title="A <title>"))
    kinds = [g.get("class", "").removeprefix("rung ") for g in svg.iter("{http://www.w3.org/2000/svg}g")]
    assert [k for k in kinds if not k.startswith("lane")] == [*(step.kind for step in PATH.steps), "loop"]
    words = " ".join("".join(text.itertext()) for text in svg.iter("{http://www.w3.org/2000/svg}text"))
    for needed in ("SED 3", "SSS", "adversary", "hello  SES-6.verify", "7.000 s pass", "0.000"):
        assert needed in words
    assert len([p for p in svg.iter() if p.get("class") == "cross"]) == 1
    assert not [e for e in svg.iter() if e.get("style")]


def test_everything_stays_within_the_drawing() -> None:
    svg = ET.fromstring(svg_ladder(lay_out(PATH), title=""))
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    for line in svg.iter("{http://www.w3.org/2000/svg}line"):
        assert min(float(line.get(n, -1)) for n in ("x1", "x2")) >= 0
        assert max(float(line.get(n, 9e9)) for n in ("x1", "x2")) <= width
        assert max(float(line.get(n, 9e9)) for n in ("y1", "y2")) <= height


def test_a_path_of_no_component_and_an_empty_one_can_be_drawn() -> None:
    for path in (PathResult([step("something", "fault")]), PathResult([])):
        ET.fromstring(svg_ladder(lay_out(path), title=""))
        assert len(text_ladder(lay_out(path))) == 1 + len(path.steps)


def test_lengths_in_words() -> None:
    assert steps_text(PATH) == "9 steps, 7.000 s, the last 2 for ever"
    assert steps_text(PathResult(PATH.steps[:1])) == "1 step"
