"""The terminal view of a lab: states, frames on their way, what happened, and a line for commands.

The world moves in `tick`, a little at a time, so that keys are heard while a lab runs as fast as it can.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, RichLog, Static

from conformance.judge import Diverged
from conformance.mixed.control import Control
from conformance.mixed.lines import text_line
from conformance.report.ladder import seconds
from conformance.targets.base import HarnessError, IutFault

_TICK_S: Final = 0.03
_BUDGET_S: Final = 0.02
"""Wall seconds of a tick in which the world may move on."""
_FLYING: Final = 6
"""Frames on their way that are shown; `flying` lists all."""
_LINES: Final = 2_000
"""Lines of what happened that can be scrolled back to."""
_COLUMNS: Final = ("id", "kind", "its own state", "the model's", "timer")


class View(App[None]):
    """Shows one lab and takes commands for it, until it is left."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #clock { height: 1; background: $primary; color: $text; padding: 0 1; }
    DataTable { height: auto; max-height: 40%; }
    #flying { height: auto; padding: 0 1; border-top: solid $primary; }
    RichLog { height: 1fr; border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "pause_or_go", "pause/go", priority=True),
        Binding("f8", "step", "step", priority=True),
        Binding("f1", "help", "commands", priority=True),
        Binding("f10", "leave", "quit", priority=True),
    ]

    def __init__(self, control: Control, budget: Callable[[], float] = time.monotonic) -> None:
        """`budget` is the clock by which a tick's share is measured, not that of the lab."""
        super().__init__()
        self.control = control
        self.stopped: Exception | None = None
        """Why the lab cannot go on: a device broke or did what no rule allows, or our side failed."""
        self._budget = budget
        self._happened: deque[str] = deque(maxlen=_LINES)
        self._shown: dict[int, tuple[int, tuple[str, ...]]] = {}
        self._clock = Static(id="clock")
        self._table: DataTable[Text] = DataTable(cursor_type="none", show_cursor=False)
        self._flying = Static(id="flying", markup=False)
        self._lines = RichLog(max_lines=_LINES, wrap=False)
        control.world.listeners.append(self._listen)

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        yield self._clock
        yield self._table
        yield self._flying
        yield self._lines
        yield Input(placeholder="a command, such as: send 10 11 64, lose flight=4, run 5s; F1 lists all")
        yield Footer()

    def on_mount(self) -> None:
        """Begin."""
        for name in _COLUMNS:
            self._table.add_column(name, key=name)
        for number in self.control.parties():
            self._table.add_row(*[Text()] * len(_COLUMNS), key=str(number))
        self.query_one(Input).focus()
        self.refresh_lab()
        self.set_interval(_TICK_S, self.tick)

    # --- the lab

    def tick(self) -> None:
        """Let the lab go on for a moment, and show what came of it."""
        until = self._budget() + _BUDGET_S
        while self.stopped is None and self.control.wait_s() == 0 and self._budget() < until:
            self._guarded(self.control.advance)
        self.refresh_lab()
        if self.control.ended:
            self.exit()

    def _guarded(self, act: Callable[[], Any]) -> Any:
        """What `act` returns; None once the lab cannot go on."""
        if self.stopped is not None:
            self._say("the lab has stopped; F10 ends it and shows all that is known")
            return None
        try:
            return act()
        except (Diverged, IutFault, HarnessError) as error:
            self.stopped = error
            self._say(f"SED {self.control.world.at}: {error}")
            self._say("the lab has stopped; F10 ends it and shows all that is known")
            return None

    def _listen(self, now: int, kind: str, facts: dict[str, Any]) -> None:
        line = text_line(now, kind, facts)
        if line is not None:
            self._say(line)

    def _say(self, line: str) -> None:
        self._happened.append("".join(c if c.isprintable() else "?" for c in line))

    # --- what is shown

    def refresh_lab(self) -> None:
        """Show the lab as it is now."""
        control, world = self.control, self.control.world
        how = "stopped" if self.stopped else "paused" if control.paused else f"pace {control.pace:g}"
        counts = world.counts
        self._clock.update(
            f"{seconds(control.shown_now())} s  {how}  {counts.delivered} of {counts.given} messages delivered  "
            f"{len(world.links.faults)} faults ordered"
        )
        for number in control.parties():
            device = world.devices.get(number)
            # A firmware is asked for its own state only when that can have changed. The SSS takes no steps of its own.
            seen = (device.steps if device else world.counts.steps) * 2 + (number in world.silent)
            if self._shown.get(number, (-1,))[0] == seen:
                continue
            row = control.row(number)
            self._shown[number] = (seen, row)
            for name, value in zip(_COLUMNS, row, strict=True):
                self._table.update_cell(str(number), name, Text(value), update_width=True)
        flying = control.flying()
        more = [f"and {len(flying) - _FLYING} more"] if len(flying) > _FLYING else []
        self._flying.update("\n".join([*flying[:_FLYING], *more]) or "nothing is on its way")
        while self._happened:
            self._lines.write(Text(self._happened.popleft()))

    # --- keys and commands

    @on(Input.Submitted)
    def command(self, event: Input.Submitted) -> None:
        """A line was typed."""
        line = event.value.strip()
        event.input.clear()
        if line:
            self._do(line)

    def _do(self, line: str) -> None:
        self._say(f"> {line}")
        for reply in self._guarded(lambda: self.control.command(line)) or ():
            self._say(reply)
        self.refresh_lab()

    def action_pause_or_go(self) -> None:
        """Stand still, or go on."""
        self._do("go" if self.control.paused else "pause")

    def action_step(self) -> None:
        """Do the next thing and stand still."""
        self._do("step")

    def action_help(self) -> None:
        """List the commands."""
        self._do("help")

    def action_leave(self) -> None:
        """End the lab."""
        self.control.ended = True
        self.exit()


def drive(control: Control) -> None:
    """Run a lab in the view until it ends or is left. Raises what stopped it."""
    view = View(control)
    view.run()
    if view.stopped is not None:
        raise view.stopped
