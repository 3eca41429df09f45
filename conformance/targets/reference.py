"""The Python reference controller as a target: the harness judges it like any other implementation."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from model.alphabet import Link
from reference.controller import Controller
from reference.dialect import STANDARD, Dialect

T = TypeVar("T")


class ReferenceTarget(Target):
    """One `reference.controller.Controller` in this process, with the firmware's lines on the debug channel.

    `dialect` is what the deployment has settled differently. An exception out of the controller, or a timer
    that is due again the moment it has fired, is an IutFault.
    """

    def __init__(self, *, dialect: Dialect = STANDARD) -> None:
        self.name = "reference"
        self._dialect = dialect
        self._controller: Controller | None = None
        self._now = 0
        self._fatal_said = False

    @property
    def controller(self) -> Controller:
        """The controller itself, for tests that look inside. Raises HarnessError before `boot`."""
        if self._controller is None:
            raise HarnessError("the reference controller does not run; call boot() first")
        return self._controller

    def boot(self, image: bytes) -> Reaction:
        """Start from a provisioning image; a bad one shows as `scewl: fatal: NAME`."""
        self._now, self._fatal_said = 0, False
        self._controller = self._guarded(lambda: Controller(image, dialect=self._dialect))
        controller = self._controller
        ready = () if controller.fatal else (f"scewl: ready: id={controller.sed_id}",)
        return self._reaction(ready)

    def send(self, link: Link, data: bytes) -> Reaction:
        """Give it bytes of a stream at the present time."""
        controller = self.controller
        self._guarded(lambda: controller.receive(link, data, self._now))
        return self._reaction()

    def advance(self, ms: int) -> Reaction:
        """Let time pass; each timer fires exactly when it is due."""
        if ms < 0:
            raise HarnessError(f"time cannot go back by {-ms} ms")
        controller = self.controller
        end = self._now + ms
        while (due := controller.deadline()) is not None and due <= end:
            self._now = max(self._now, due)
            self._guarded(lambda: controller.on_time(self._now))
            again = controller.deadline()
            if again is not None and again <= self._now:
                raise IutFault(f"never quiescent: at {self._now} ms the timer is due again at {again} ms")
        self._now = end
        return self._reaction()

    def close(self) -> None:
        """Forget the controller."""
        self._controller = None

    def _reaction(self, debug: tuple[str, ...] = ()) -> Reaction:
        controller = self.controller
        controller.endings()  # nobody asks for them here; what is kept for somebody would look like growth
        links: dict[Link, bytearray] = {}
        for link, frame in controller.outgoing():
            links.setdefault(link, bytearray()).extend(frame)
        if controller.fatal and not self._fatal_said:
            self._fatal_said = True
            debug += (f"scewl: fatal: {controller.fatal}",)
        chunks = tuple((link, bytes(links[link])) for link in sorted(links))
        return Reaction(self._now, controller.deadline(), chunks, debug)

    def _guarded(self, call: Callable[[], T]) -> T:
        """A controller never raises, whatever it is fed; one that does has crashed as a firmware does."""
        try:
            return call()
        except Exception as error:
            evidence = traceback.format_exc().splitlines()
            what = f"the reference crashed at {self._now} ms: {type(error).__name__}: {error}"
            raise IutFault(what, evidence) from error
