"""A controller with the model in lockstep: the same interface, and an alarm where it does what no rule allows.

The watch cuts what comes into whole frames and gives them to the controller one by one, each at its time and each timer
at its own: that is what the model's steps are. It keeps back a CPU frame while the controller holds another (SES-5),
as the controller itself would. Nothing else is different for the controller, and nothing at all in what it sends.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from conformance.judge import Judge
from conformance.targets.base import Reaction
from conformance.watching.recording import Alarm, Beginning, Facts, History, Moment, at_rest, result_of, retell
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import Event, Link
from model.oracle import Disagreement, Possibility
from model.profile import Setting
from model.state import State
from model.verdict import Verdict
from reference.controller import Controller
from reference.controller import State as Mode
from reference.endings import Ending

_T = TypeVar("_T")
MOST_SECRETS = 1_000
"""Sessions whose secrets the judge keeps at least: more than can matter to one that runs."""


def watch(
    controller: Controller, alarm: Callable[[Alarm], None], *, go_on: bool = False, boot_entropy: bytes | None = None
) -> WatchedController:
    """Put the model beside a controller that has just been made and has taken nothing yet.

    `alarm` is told of whatever no rule allows. Then the controller stops: it takes and says nothing more, not even what
    the alarm is about; or, with `go_on`, goes on, and is judged again from its next IDLE on. With the `boot_entropy`
    that it was made with, the trace of an alarm can be repeated on another reference. Raises ValueError if the
    controller has not started (SES-12).
    """
    if controller.fatal is not None:
        raise ValueError(f"the controller has not started: {controller.fatal}; there is nothing to watch")
    dialect, standard = controller.dialect, Setting(controller.sed_id)
    facts = Facts(
        controller.sed_id,
        controller.authority,
        controller.certificate,
        controller.suite,
        dialect.cn_pattern,
        dialect.wide_response,
        (
            dialect.first_timeout or standard.first_timeout,
            dialect.last_timeout or standard.last_timeout,
            dialect.idle_timeout,
        ),
        boot_entropy,
    )
    return WatchedController(controller, facts, alarm, go_on=go_on)


class _Shown(Generic[_T]):
    """What the controller shows of itself, and the watch as well."""

    def __init__(self, of: Callable[[Controller], _T]) -> None:
        self._of = of

    def __get__(self, watched: WatchedController, owner: type[WatchedController]) -> _T:
        return self._of(watched.node)


class WatchedController:
    """One controller under watch; `watch` makes it. Not for several threads."""

    def __init__(self, node: Controller, facts: Facts, alarm: Callable[[Alarm], None], *, go_on: bool) -> None:
        self.node = node
        """The controller itself."""
        self.alarms = 0
        """How many there were."""
        self._facts, self._alarm, self._go_on = facts, alarm, go_on
        self._keylog = KeyLog()
        self._judge: Judge = Beginning().judge(facts, self._keylog)
        self._history = History(facts)
        self._now = 0
        self._due: int | None = None
        self._quiet = 0
        """Milliseconds that have passed without anything, up to `_quiet_end`, and are not recorded yet."""
        self._quiet_end = 0
        self._unweighed = 0
        """Those that are recorded and that the judge has not heard of."""
        self._steps = 0
        self._stopped = False
        self._judging = True
        self._broken = False
        self._readers = {link: FrameReader() for link in Link}
        self._cpu: deque[bytes] = deque()
        self._outgoing: list[tuple[Link, bytes]] = []
        self._secrets: list[tuple[bytes, bytes]] = []

    # --- the controller's interface

    sed_id = _Shown(lambda node: node.sed_id)
    state = _Shown(lambda node: node.state)
    registered = _Shown(lambda node: node.registered)
    counters = _Shown(lambda node: node.counters)
    fatal = _Shown(lambda node: node.fatal)

    @property
    def stopped(self) -> bool:
        """Whether an alarm has ended it."""
        return self._stopped

    @property
    def states(self) -> tuple[str, ...]:
        """The states in which the model has it, the most likely one first; none while it is not judged."""
        if not self._judging:
            return ()
        passed = self._quiet + self._unweighed
        states = self._judge.oracle.states
        return tuple((s._replace(timer=s.timer - passed) if s.timer else s).describe() for s in states)

    def receive(self, link: Link, data: bytes, now: int) -> None:
        """Take bytes of a stream, frames or parts of them; what is due at `now` happens first. Never raises."""
        self.on_time(now)
        for piece in self._readers[link].feed(data):
            whole = piece.encode() if isinstance(piece, Frame) else piece.data
            if link is Link.CPU:
                self._cpu.append(whole)
            else:
                self._give(link, whole)
        self._give_cpu()

    def on_time(self, now: int) -> None:
        """Let the timers fire that are due at `now`, each at its own time."""
        now = max(now, self._now)
        while not self._stopped and (due := self.node.deadline()) is not None and due <= now:
            before = due
            self._pass(max(due, self._now))
            again = self.node.deadline()
            if again is not None and again <= before:
                self._tell_broken(f"its timer is due at {again} ms again and again while it is {self._now} ms", ())
                return
            self._give_cpu()
        if now > self._now and not self._stopped:
            self._pass(now)

    def deadline(self) -> int | None:
        """When `on_time` is needed next, in milliseconds; None if no timer is armed."""
        return None if self._stopped else self.node.deadline()

    def outgoing(self) -> list[tuple[Link, bytes]]:
        """The frames to send, in order; they are handed out once."""
        out, self._outgoing = self._outgoing, []
        return out

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New pairs of client_random and master secret, for a key log; they are handed out once."""
        out, self._secrets = self._secrets, []
        return out

    def endings(self) -> list[Ending]:
        """The sessions that ended, in order; they are handed out once."""
        return self.node.endings()

    @property
    def unread(self) -> int:
        """Bytes of the CPU that have come and that it has not looked at yet (SES-5)."""
        return self.node.unread + sum(map(len, self._cpu))

    def unplug(self, link: Link) -> None:
        """A stream has ended: half a frame that came on it is not continued."""
        self._readers[link] = FrameReader()
        self.node.unplug(link)

    def switch_off(self) -> None:
        """Power off: keys are zeroised. No further use."""
        self.node.switch_off()

    def told(self) -> Alarm:
        """What it has done so far, judged once more from the bytes: PASS unless something was wrong.

        Raises ValueError if that was too much to be kept.
        """
        self._note_quiet()
        recording = self._history.recording()
        if recording is None:
            raise ValueError("its steps were too many to be kept")
        return retell(recording)

    # --- one step

    def _give_cpu(self) -> None:
        while self._cpu and not self._stopped and not (self._judging and self._judge.holds_cpu_frame):
            self._give(Link.CPU, self._cpu.popleft())

    def _give(self, link: Link, data: bytes) -> None:
        if not self._stopped and self._run(lambda: self.node.receive(link, data, self._now)):
            self._weigh(link, data)

    def _pass(self, now: int) -> None:
        ms, self._now = now - self._now, now
        if self._run(lambda: self.node.on_time(now)):
            self._quiet, self._quiet_end = self._quiet + ms, now
            self._weigh(None, b"")

    def _run(self, call: Callable[[], None]) -> bool:
        """Let the controller do something; False if it broke."""
        try:
            call()
        except Exception as error:  # it never raises, whatever it is fed; one that does has crashed as a firmware does
            self._tell_broken(f"{type(error).__name__}: {error}", traceback.format_exc().splitlines())
            return False
        return True

    def _weigh(self, link: Link | None, data: bytes) -> None:
        node, judge = self.node, self._judge
        chunks, secrets = tuple(node.outgoing()), tuple(node.secrets())
        deadline = node.deadline()
        quiet = link is None and not chunks and not secrets and deadline == self._due
        if quiet and (deadline is None or deadline > self._now):
            return  # no timer was due and none fired: the judge hears of it with the next thing that happens
        self._steps += 1
        self._secrets += secrets
        wrong = None
        if not self._broken:
            if link is not None:
                self._note_quiet()
            self._history.add(Moment(self._now, link, data, self._quiet, chunks, deadline, secrets))
            self._quiet, self._unweighed = 0, self._unweighed + self._quiet
            try:
                wrong = self._judged(link, data, Reaction(self._now, deadline, chunks), secrets)
            except Exception as error:  # a bug of the judge is none of the controller, which goes on without it
                self._broken, self._judging = True, False
                evidence = traceback.format_exc().splitlines()
                self._tell(Verdict.ERROR, f"the judge broke: {type(error).__name__}: {error}", evidence)
        if wrong is not None:
            self._tell_wrong(wrong)
        if not self._stopped:
            self._outgoing += chunks
            if not self._broken and node.state is Mode.IDLE:
                self._rest(judge)

    def _note_quiet(self) -> None:
        """Time that passed quietly is a step of its own in the recording."""
        if self._quiet:
            self._history.add(Moment(self._quiet_end, None, b"", self._quiet, (), self._due, ()))
            self._quiet, self._unweighed = 0, self._unweighed + self._quiet

    def _judged(
        self, link: Link | None, data: bytes, reaction: Reaction, secrets: tuple[tuple[bytes, bytes], ...]
    ) -> Disagreement | None:
        judge = self._judge
        for random, master in secrets:  # of what it has just computed: the bytes that made it do so need them
            self._keylog.add(random, master)
        events = () if link is None else judge.events(link, data)
        before, self._due = self._due, reaction.deadline
        if link is not None and not events and not reaction.chunks and reaction.deadline == before:
            return None  # nothing for it to act on, and it did not: most of what it hears on the radio is for others
        if self._judging:
            if link is None or self._unweighed:
                events = (Event("time", (self._unweighed,)), *events)
            self._unweighed = 0
            return judge.weigh(events, reaction, framed=link is not None)[1]
        judge.abstraction.observe(reaction.chunks)
        return None

    def _rest(self, judge: Judge) -> None:
        """Nothing runs in it: what is only about sessions can be forgotten, and a lost thread taken up again."""
        if not self._judging:
            judge.oracle.possible = (Possibility(State(registered=int(self.node.registered))),)
            judge.oracle.now = self._now
            self._unweighed = 0
            self._judging = True
            self._history.begin(self._beginning())
        if not at_rest(judge):
            return
        judge.abstraction.memory.rest()
        if len(self._keylog) > MOST_SECRETS:
            self._keylog.clear()
        if self._history.long:
            self._history.begin(self._beginning())

    def _beginning(self) -> Beginning:
        memory = self._judge.abstraction.memory
        runtime = None
        if memory.identity.runtime_key is not None and (ca := memory.identity.authorities.der("RUNTIME")):
            runtime = ca, memory.identity.runtime_key
        cookies = {peer: frozenset(given) for peer, given in memory.cookies.items()}
        return Beginning(self._now, False, self.node.registered, runtime, cookies)

    # --- alarms

    def _tell_wrong(self, wrong: Disagreement) -> None:
        recording = self._history.recording()
        told = None if recording is None else retell(recording)
        if told is None or told.result.verdict is not Verdict.FAIL:
            # Told from the bytes alone it would have been allowed: that cannot be, and is said rather than hidden.
            note = "its steps were too many to be kept" if told is None else "its recording does not show it"
            self._tell(Verdict.FAIL, f"{wrong.explanation} ({note})", [f"requirement {r}" for r in wrong.requirements])
        else:
            self._sound(told)
        self._judging = False
        self._history.lose()

    def _tell_broken(self, what: str, evidence: list[str] | tuple[str, ...]) -> None:
        self._stopped = True
        self._note_quiet()
        recording = self._history.recording()
        trace = "" if recording is None else retell(recording).trace
        self._tell(Verdict.FAIL, f"The controller broke: {what}", list(evidence), trace)

    def _tell(self, verdict: Verdict, reason: str, evidence: list[str], trace: str = "") -> None:
        result = result_of(self._facts.node, verdict, reason, self._now, self._steps)
        result.evidence = evidence
        self._sound(Alarm(self._facts.node, result, trace))

    def _sound(self, alarm: Alarm) -> None:
        self.alarms += 1
        if not self._go_on and alarm.result.verdict is Verdict.FAIL:
            self._stopped = True
        self._alarm(alarm)
