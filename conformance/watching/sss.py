"""The SSS with the model in lockstep: a `reference.sss.Sss` whose every wire has a judge beside it.

It says and does what the SSS alone would. Timers fire at their own times, one after the other, as they do in the model.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from conformance.results import Divergence
from conformance.watching.happenings import Device, Ended, Happening, Settled, SssFacts, Took, WireMoment
from conformance.watching.recording import Alarm, result_of
from conformance.watching.wire import WireJudge
from conformance.watching.wires import WireHistory, retell_wire
from conformance.wire.frames import Frame as Seen
from conformance.wire.secrets import KeyLog
from model.alphabet import LOWEST_SED_ID, SSS_ID
from model.profile import Setting
from model.verdict import Verdict
from reference.deployment import Deployment
from reference.frame import Frame
from reference.sss import RUNTIME_LIFETIME, Decision, Sss

MOST_SECRETS = 10_000
"""Sessions whose secrets are kept before those of sessions that are over are forgotten."""


class WatchedSss(Sss):
    """The server under watch. The parameters are those of `Sss`, and

    `alarm`, which is told of whatever no rule allows; without `go_on` the wire that it was on is ended then and not
    served any more, and what the alarm is about is not said. Otherwise it goes on, and the wire is judged again as soon
    as that session is over.
    """

    def __init__(
        self, deployment: Deployment, *, alarm: Callable[[Alarm], None], go_on: bool = False, **settings: Any
    ) -> None:
        self._alarm, self._go_on = alarm, go_on
        self.alarms = 0
        """How many there were."""
        self._judges: dict[int, WireJudge] = {}
        self._histories: dict[int, WireHistory] = {}
        self._unjudged: set[int] = set()
        """Wires on which something was wrong, until their session is over."""
        self._stopped: set[int] = set()
        self._sealed = KeyLog()
        self._given: dict[int, set[bytes]] = {}
        self._keys: dict[int, bytes] = {}
        self._read_off = 0, 0
        self._last = 0
        super().__init__(deployment, **settings)
        dialect, standard = self._dialect, Setting(SSS_ID)
        self._facts = SssFacts(
            deployment.authority.certificate,
            self.runtime_ca,
            {i: key for i in deployment.seds if (key := deployment.public_key(i))},
            deployment.suite,
            deployment.cn_pattern,
            dialect.wide_response,
            (
                dialect.first_timeout or standard.first_timeout,
                dialect.last_timeout or standard.last_timeout,
                dialect.idle_timeout,
            ),
            settings.get("lifetime", RUNTIME_LIFETIME),
            self._replace,
        )

    # --- the SSS's interface

    def disconnect(self, wire: int) -> None:
        """A device's connection is gone."""
        super().disconnect(wire)
        for kept in (self._judges, self._histories):
            kept.pop(wire, None)
        self._unjudged.discard(wire)
        self._stopped.discard(wire)

    def take(self, wire: int, frame: Frame, now: int) -> None:
        """Take one frame that came on a wire, at a `now` at which no timer is due. Never raises."""
        if wire in self._stopped:
            return
        known, decided = self._device(frame.source), len(self._decisions)
        date = self._epoch + timedelta(milliseconds=now)
        self._mark()
        super().take(wire, frame, now)
        granted = len(self._decisions) > decided
        seen = Seen(frame.target, frame.source, frame.payload)
        if frame.source >= LOWEST_SED_ID:
            self._judge(wire, now, Took(seen, known, date, granted))
        self._last = max(self._last, now)

    def on_time(self, now: int) -> None:
        """Let the timers fire that are due at `now`, each at its own time."""
        while (due := self.deadline()) is not None and due <= now:
            due = max(due, self._last)
            wires = [w for w, c in self._wires.items() if (at := c.deadline()) is not None and at <= due]
            self._mark()
            super().on_time(due)
            self._last = due
            for wire in wires:
                self._judge(wire, due, None)

    def settle(self, decision: Decision, *, kept: bool) -> None:
        """Answer a request whose decision is kept, or refuse it if it could not be."""
        known, wire = self._device(decision.device), decision.wire
        runs = wire in self._wires and self._wires[wire].session is decision.session
        self._mark()
        super().settle(decision, kept=kept)
        if runs and wire not in self._stopped:
            self._judge(wire, self._last, Settled(kept, known))

    def remove(self, device: int) -> None:
        """Refuse a device from now on (CRT-8): its session ends, and it is not registered any more."""
        wires = [wire for wire, c in self._wires.items() if c.peer == device and c.session]
        self._mark()
        super().remove(device)
        for wire in wires:
            self._judge(wire, self._last, Ended(goodbye=True))

    def goodbye(self) -> None:
        """End every session, those that are proved with a close_notify: the server stops."""
        wires = [wire for wire, c in self._wires.items() if c.session]
        self._mark()
        super().goodbye()
        for wire in wires:
            self._judge(wire, self._last, Ended(goodbye=True))

    # --- judging

    def _device(self, device: int) -> Device:
        removed = device in self._deployment.removed
        return Device(device in self._registered, device in self._undecided, removed, self._keys.get(device, b""))

    def _mark(self) -> None:
        """What the SSS says from here on belongs to the next step."""
        self._read_off = len(self._outgoing), len(self._secrets)

    def _judge(self, wire: int, now: int, what: Happening) -> None:
        said = tuple(data for w, data in self._outgoing[self._read_off[0] :] if w == wire)
        secrets = tuple(self._secrets[self._read_off[1] :])
        connection = self._wires[wire]
        if isinstance(what, Took | Settled) and len(said) < len(self._outgoing) - self._read_off[0]:
            self._tell(wire, Verdict.FAIL, "what came on it made the SSS say something on another wire (REG-7)", [])
        try:
            judge = self._judges.get(wire)
            if judge is None:
                judge = self._judges[wire] = WireJudge(self._facts, self._sealed, self._given)
                self._histories[wire] = WireHistory()
            for random, master in secrets:
                self._sealed.add(random, master)
            device = judge.device if not isinstance(what, Took) else what.frame.source
            moment = WireMoment(
                now, what, said, connection.deadline(), device in self._registered, connection.session is None, secrets
            )
            history = self._histories[wire]
            history.add(moment)
            wrong = judge.step(moment)
            if judge.key:
                self._keys[device] = judge.key
        except Exception as error:  # a bug of the judge is none of the SSS, which goes on without it
            self._forget(wire)
            evidence = traceback.format_exc().splitlines()
            self._tell(wire, Verdict.ERROR, f"the judge broke: {type(error).__name__}: {error}", evidence)
            return
        if wire in self._unjudged:
            if connection.session is None:
                self._forget(wire)
                self._unjudged.discard(wire)
        elif wrong is not None:
            self._wrong(wire, wrong)
        elif judge.rests and history.long:
            history.begin()
        if len(self._sealed) > MOST_SECRETS and all(j.rests for j in self._judges.values()):
            self._sealed.clear()

    def _forget(self, wire: int) -> None:
        self._judges.pop(wire, None)
        self._histories.pop(wire, None)

    def _wrong(self, wire: int, wrong: Divergence) -> None:
        alarm = retell_wire(self._facts, self._given, self._histories[wire].moments)
        if alarm.result.divergence is None:  # it depends on more than the wire: said rather than hidden
            alarm.result.divergence, alarm.result.verdict, alarm.result.reason = wrong, Verdict.FAIL, wrong.explanation
        self._unjudged.add(wire)
        if not self._go_on:
            self._stopped.add(wire)
            said = [e for e in self._outgoing[self._read_off[0] :] if e[0] == wire]
            for entry in said:
                self._outgoing.remove(entry)
            self._leave(self._wires[wire])
        self.alarms += 1
        self._alarm(alarm)

    def _tell(self, wire: int, verdict: Verdict, reason: str, evidence: list[str]) -> None:
        result = result_of(SSS_ID, verdict, f"Wire {wire}: {reason}", self._last, 0)
        result.evidence = evidence
        self.alarms += 1
        self._alarm(Alarm(SSS_ID, result, ""))
