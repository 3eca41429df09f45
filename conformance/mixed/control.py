"""Running a lab: its pace, where it stops, and what a person may tell it. The wall clock is an argument.

Virtual time is exact however a lab is paused, stepped or paced: the wall clock only says when the next thing may be
done.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from conformance.mixed.file import duration
from conformance.mixed.steps import Acts, BadStep, Unmet, from_words
from conformance.mixed.words import help_lines
from conformance.mixed.world import World, flight_facts
from conformance.report.ladder import seconds
from model.alphabet import SSS_ID

_REST: Final = -1
"""As a goal: until nothing more happens."""


class Control:
    """Runs one world."""

    def __init__(
        self, world: World, acts: Acts, *, pace: float, until: int | None, clock: Callable[[], float], stays: bool
    ) -> None:
        """`pace` is virtual seconds a wall second, 0 for any number; `clock` gives wall seconds. A lab that `stays`
        does not end because nothing more happens: somebody may still tell it something."""
        self.world, self._acts, self._clock, self._stays = world, acts, clock, stays
        self.pace, self._until = pace, until
        self.paused = False
        self.ended = False
        self.unmet: list[str] = []
        """Expectations of the script that were not met."""
        self._goal: int | None = None
        self._left = 0
        """Steps to do before standing still; 0: no such limit."""
        self._anchor = (clock(), world.now)

    # --- time

    def wait_s(self) -> float | None:
        """Wall seconds until `advance` may be called; None while only a command can go on."""
        if self.ended or self.paused:
            return None
        due = self._next()
        if due is None:
            return None if self._stays and self._goal is None else 0.0
        if not self.pace or self._left:
            return 0.0
        wall, virtual = self._anchor
        return max(0.0, wall + (due - virtual) / 1000 / self.pace - self._clock())

    def advance(self) -> None:
        """Do the next thing. Raises Diverged, IutFault, HarnessError."""
        limit, due = self._limit(), self.world.due()
        if due is None and limit is None:
            if self._goal is not None or self._stays:
                self._halt()
            else:
                self.ended = True
        elif limit is not None and (due is None or due > limit):
            self.world.pass_time(limit)
            if limit == self._until:
                self.ended = True
            self._halt()
        else:
            self._step()
            if self._left:
                self._left -= 1
                if not self._left:
                    self._halt()

    def shown_now(self) -> int:
        """The virtual time to show, milliseconds: between two things it goes with the wall clock."""
        if self.paused or self.ended or not self.pace:
            return self.world.now
        wall, virtual = self._anchor
        reached = virtual + int((self._clock() - wall) * 1000 * self.pace)
        due = self._next()
        return max(self.world.now, reached if due is None else min(due, reached))

    def _step(self) -> None:
        try:
            self.world.step()
        except Unmet as error:
            self.unmet.append(str(error))
            self.world.tell("unmet", {"why": str(error)})

    def _limit(self) -> int | None:
        limits = [t for t in (self._until, self._goal) if t is not None and t != _REST]
        return min(limits, default=None)

    def _next(self) -> int | None:
        times = [t for t in (self.world.due(), self._limit()) if t is not None]
        return min(times, default=None)

    def _halt(self) -> None:
        self.paused, self._goal, self._left = True, None, 0

    def _go_on(self) -> None:
        self.paused = False
        self._anchor = (self._clock(), self.world.now)

    # --- commands

    def command(self, line: str) -> list[str]:
        """Do what a person typed; what there is to say about it. Raises Diverged, IutFault, HarnessError."""
        word, _, rest = line.strip().partition(" ")
        self.world.pass_time(self.shown_now())
        try:
            match word:
                case "pause":
                    self._halt()
                case "go":
                    self._goal, self._left = None, 0
                    self._go_on()
                case "step":
                    self._left, self._goal = _count(rest, "step [N]", 1), None
                    self._go_on()
                case "run":
                    self._goal = self.world.now + duration(rest) if rest.strip() else _REST
                    self._left = 0
                    self._go_on()
                case "pace":
                    self._pace(rest)
                case "show":
                    return self.states()
                case "flying":
                    return self.flying() or ["nothing is on its way"]
                case "drop" | "double":
                    self._strike(word, _count(rest, f"{word} N", 0))
                case "help":
                    return help_lines()
                case "quit":
                    self.ended = True
                case _:
                    self._acts.do(from_words(line, self.world.devices))
        except (BadStep, ValueError) as error:
            return [f"not done: {error}"]
        except Unmet as error:
            self.unmet.append(str(error))
            self.world.tell("unmet", {"why": str(error)})
        return []

    def _pace(self, text: str) -> None:
        try:
            pace = float(text)
        except ValueError:
            pace = -1.0
        if not 0 <= pace <= 1_000_000:
            raise BadStep(f"pace {text.strip() or '?'}: it is 0 to 1000000 virtual seconds a second")
        self.pace = pace
        self._anchor = (self._clock(), self.world.now)

    def _strike(self, word: str, number: int) -> None:
        flying = self.world.links.flying
        found = next((d for d in flying if d.order == number and d.fate != "lost"), None)
        if found is None:
            raise BadStep(f"no frame {number} is on its way; `flying` lists those that are")
        if word == "double":
            self.world.links.fly(found.to, found.link, found.data, "duplicate", found.due)
        else:
            flying[flying.index(found)] = replace(found, fate="lost")
            heapq.heapify(flying)

    # --- to show

    def states(self) -> list[str]:
        """One line for each device, the SSS last."""
        rows = [self.row(number) for number in self.parties()]
        return [
            f"{who:>6}  {kind:8}  {real:32}  {model:48}  {timer}".rstrip() for who, kind, real, model, timer in rows
        ]

    def parties(self) -> list[int]:
        """The ids of all devices, and the SSS's, if there is one."""
        return [*self.world.devices, *([SSS_ID] if self.world.sss is not None else [])]

    def row(self, number: int) -> tuple[str, str, str, str, str]:
        """A device's id, kind, own state, state in the model, and next timer. Of the SSS: who is registered."""
        silent = " (silent)" if number in self.world.silent else ""
        if number == SSS_ID and self.world.sss is not None:
            registered = ", ".join(map(str, sorted(self.world.sss.registered))) or "nobody"
            return "1", "SSS" + silent, f"registered: {registered}", "", _timer(self.world.sss.deadline())
        device = self.world.devices[number]
        model = device.model_state() or "not watched"
        return str(number), device.kind + silent, device.real_state() or "not known", model, _timer(device.deadline)

    def flying(self) -> list[str]:
        """One line for each frame on its way, in the order of arrival."""
        lines = []
        for d in sorted(self.world.links.flying):
            facts = flight_facts(d)
            ends = f"{_name(facts['from'])} -> {_name(d.to)}"
            fate = "" if d.fate == "delivered" else f" ({d.fate})"
            lines.append(f"#{d.order}  at {seconds(d.due)} s  {ends}  {facts['link']}  {facts['what']}{fate}")
        return lines


def _timer(deadline: int | None) -> str:
    return "no timer" if deadline is None else f"timer at {seconds(deadline)} s"


def _name(device: int) -> str:
    return "SSS" if device == SSS_ID else str(device)


def _count(text: str, usage: str, least: int) -> int:
    word = text.strip().removeprefix("#")
    if not word and least:
        return least
    if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) >= least):
        raise BadStep(f"{text.strip() or 'nothing'} is no such number; it is `{usage}`")
    return int(word)
