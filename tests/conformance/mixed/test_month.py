"""Three days of a lab, as benchmarks/month.py lives through thirty, and that it would see what grows or drifts."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "benchmarks"))
import month  # noqa: E402
from memory import build  # noqa: E402

from conformance.targets.base import IutFault, Reaction  # noqa: E402
from conformance.targets.reference import ReferenceTarget  # noqa: E402
from reference.sss import Sss  # noqa: E402

NOWHERE = Path("none.elf")


def test_three_days_leave_nothing_behind() -> None:
    lived = month.Month(build(), {10: "firmware", 11: "python"}, 3, 4)
    figures = month.live(lived, 3)
    assert figures["same"], figures["grew"]
    assert figures["clocks_ms"] == {10: 3 * month.DAY, 11: 3 * month.DAY} and figures["virtual_s"] == 3 * 86_400
    assert figures["answers"]["0"] >= 3 * 4 and figures["done"]["judged steps"] > 300
    assert figures["midnights"][-1]["firmware_bytes"][10]["heap_used"] == [464]
    assert {"lose", "silence", "inject", "send", "register"} <= figures["done"].keys()


def python_days(days: int = 3) -> dict[str, Any]:
    return month.live(month.Month(NOWHERE, {12: "python", 13: "python"}, 1, 3), days)


def test_a_server_that_keeps_something_of_each_session_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Sss._end

    def hoarding(self: Sss, wire: int, **how: Any) -> None:
        self.__dict__.setdefault("_kept", []).append(bytes(100))
        honest(self, wire, **how)

    monkeypatch.setattr(Sss, "_end", hoarding)
    figures = python_days()
    assert not figures["same"] and figures["grew"][0].startswith("the SSS: ")


def test_a_clock_that_drifts_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every advance of more than an hour takes a millisecond too much."""
    honest = ReferenceTarget.advance

    def fast(self: ReferenceTarget, ms: int) -> Reaction:
        return honest(self, ms + (ms > month.HOUR))

    monkeypatch.setattr(ReferenceTarget, "advance", fast)
    with pytest.raises(IutFault, match="its clock shows"):
        python_days()


def test_a_device_that_cannot_talk_in_the_evening_is_seen() -> None:
    class Stubborn(set[int]):
        def clear(self) -> None:
            self.add(13)

    lived = month.Month(NOWHERE, {12: "python", 13: "python"}, 1, 3)
    lived.world.silent = Stubborn()
    with pytest.raises(month.Grew, match=r"SED 13, .* could not be registered"):
        month.live(lived, 1)


def test_what_grows_is_named() -> None:
    one = {
        "sss_bytes": 7_000,
        "controller_bytes": {12: 6_000},
        "firmware_bytes": {10: {"stack_peak": 2_800, "heap_peak": 9_100, "heap_used": [464]}},
        "process_kb": 80_000,
        "qemu_kb": {10: 39_000},
    }
    assert month.growth([one] * 30) == []
    for path, value, named in (
        (("sss_bytes",), 8_000, "the SSS"),
        (("controller_bytes", 12), 7_000, "controller 12"),
        (("firmware_bytes", 10, "heap_used"), [464, 480], "firmware 10: bytes of heap"),
        (("firmware_bytes", 10, "stack_peak"), 3_000, "firmware 10: stack_peak"),
        (("firmware_bytes", 10, "heap_peak"), 9_400, "firmware 10: heap_peak"),
        (("process_kb",), 99_000, "the process"),
        (("qemu_kb", 10), 50_000, "the QEMU of 10"),
    ):
        last: Any = copy.deepcopy(one)
        place = last
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (found,) = month.growth([one] * 29 + [last])
        assert found.startswith(named)
