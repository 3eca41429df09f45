"""One controller under judgement: its candidates, frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from conformance.capture.frame import CapturedFrame
from conformance.onlooker.candidate import Candidate, Due, cheapest, take
from conformance.onlooker.doubts import Doubt, Scene, clock, missing, unexpected
from conformance.onlooker.matching import ANYONE, Terms, fits
from conformance.onlooker.numbers import Numbers
from conformance.onlooker.passing import Terrain, elapse, hide, power_ups
from conformance.onlooker.reading import DOUBTFUL, Reading, Sent
from conformance.onlooker.unseen import Circumstances, explained, taken
from conformance.onlooker.verdict import Annotation, DeviceVerdict, Standing
from conformance.wire.frames import whole_frame
from model.alphabet import FAA_ID, SSS_ID, Event, Link
from model.profile import Setting
from model.state import State

MOST_CANDIDATES = 64
"""Candidates of one controller. Where more would be needed, nothing is said against it."""
MOST_EXPLAINED = 12
"""Candidates for which unseen events are tried."""
MOST_LOSSES = 4
"""Frames that may be missing without proof before a device is accused rather than the capture."""
MOST_ANNOTATIONS = 100_000
QUIET_US = 240_000_000
"""After so long without a frame no session runs: every flight goes out again within 60 s (DTL-6, SES-7)."""
TRIM_EVERY = 1_000
"""Frames."""


class Watch:
    """Judges one controller."""

    def __init__(self, sed: int, reading: Reading, setting: Setting, terrain: Terrain) -> None:
        self.sed, self._reading, self._setting, self._terrain = sed, reading, setting, terrain
        self.links: set[Link] = set(Link) if terrain.boots else set()
        self.judged = 0
        self.frames = 0
        self._exact = terrain.exact
        self._now = 0
        self._last_sent = 0
        self._scene = Scene(came=[])
        self._synced = bool(terrain.boots)
        self._overflow = False
        self._proved = 0
        """Frames that record numbers prove to be missing."""
        self._numbers, self._heard = Numbers(), Numbers()
        self._gaps = False
        """Whether records of a peer are missing, on the link or in the capture."""
        self._doubt: Doubt | None = None
        """Where every candidate was first contradicted."""
        self._price: Doubt | None = None
        """Where the capture must first have lost a frame, if nothing is wrong."""
        self._accused = False
        self._notes: list[str] = []
        self._annotations: list[Annotation] = []
        self._rules: dict[str, None] = {}
        self.candidates: list[Candidate] = []

    # --- frame by frame

    def feed(self, captured: CapturedFrame, number: int) -> None:
        """Take the next frame of this controller."""
        self.frames += 1
        if self._accused:
            self._annotate(number)
            return
        time = captured.time_us
        if self.frames == 1:
            self._begin(time)
        elif time < self._now:
            if self._now - time > self._terrain.tolerance_us:
                self._notes.append(f"the capture's clock goes back at frame {number}")
                self._lose()
            time = self._now
        self._scene.number = number
        self._end_burst(time, captured.towards)
        self._rules.clear()
        self._pass(time, captured)
        self.links.add(captured.link)
        self._now = self._scene.now = time
        if self._accused:
            pass
        elif captured.towards:
            self._count(captured)
            self._towards(captured)
        else:
            self._last_sent = time
            self._count(captured)
            for sent in self._reading.sent(captured.link, captured.frame):
                self._match(sent)
        if self.frames % TRIM_EVERY == 0:
            self._reading.trim()
        if self.candidates and not self._accused:
            self.judged += 1
        self._annotate(number)

    def _begin(self, time: int) -> None:
        if self._terrain.boots:
            self.candidates = [Candidate(State(), min(time, self._terrain.boots[0]), boots=1)]
            self._now = self.candidates[0].clock
        else:
            self.candidates = self._idle(time)
            self._now = time

    def _idle(self, time: int) -> list[Candidate]:
        return [Candidate(State(registered=r), time) for r in (0, 1)]

    @property
    def _unseen(self) -> frozenset[Link]:
        return frozenset(Link) - self.links

    @property
    def _lossless(self) -> bool:
        return self._terrain.lossless

    @property
    def _terms(self) -> Terms:
        identity = self._reading.identity
        keys = identity.provisioning_key and (self._reading.complete or identity.runtime_key)
        known = not identity.unknown and bool(keys) and not self._reading.any_sealed
        return Terms(self._lossless, self._unseen, known, self._exact)

    @property
    def _circumstances(self) -> Circumstances:
        sealed = self._reading.is_sealed(SSS_ID)
        return Circumstances(self._terms, self._setting, self._scene.number, self._now, sealed, self._synced)

    # --- time

    def _end_burst(self, time: int, towards: bool) -> None:
        """What was sent belongs to one burst until something else happens."""
        over = time > self._last_sent + self._terrain.tolerance_us
        if not over and not (self._exact and towards):
            return
        if not self._accused:
            for sent in self._reading.end_of_burst():
                self._match(sent)

    def _pass(self, time: int, captured: CapturedFrame) -> None:
        """Power-ups, timers, and what should have been seen by now."""
        if not self.candidates:
            if not self._accused and time - self._now > QUIET_US:
                self._resume(self._idle(time), "after a long silence it is IDLE")
            return
        unseen, terrain = self._unseen, self._terrain
        shown = [hide(c, time, unseen, terrain) for c in self.candidates]
        if terrain.boots:
            ways = [power_ups(c, time, captured.towards, terrain) for c in shown]
            if any(w[-1].boots > c.boots for c, w in zip(shown, ways, strict=True)):
                self._reading.power_up()
            shown = [c for way in ways for c in way]
        moved = elapse(shown, time, unseen, terrain, self._setting)
        if time > self._now and self._exact:
            self._scene.came = []
        self._keep(moved)
        strict = self._exact and captured.towards
        kept: list[Candidate] = []
        gone: list[Candidate] = []
        for c in self.candidates:
            late = [d for d in c.due if terrain.late(d, time) or (strict and d.at <= time)]
            after = self._without(c, late)
            if after is None:
                gone.append(c)
            else:
                kept.append(after)
        if kept:
            self._costly(self.candidates, kept, lambda: self._missing(self.candidates))
            self._keep(kept)
        else:
            self._wrong(self._missing(gone))
        if captured.towards:
            self._forget()

    def _missing(self, candidates: list[Candidate]) -> Doubt:
        c = min((c for c in candidates if self._owed(c)), key=lambda c: c.price)
        return missing(c, self._owed(c)[0], self._scene)

    def _owed(self, c: Candidate) -> list[Due]:
        return [d for d in c.due if d.output.link in self.links]

    def _without(self, c: Candidate, late: list[Due]) -> Candidate | None:
        """The candidate although these outputs were not seen; None if they should have been."""
        if not late:
            return c
        missed = [d for d in late if d.output.link in self.links]
        if missed and (self._lossless or not self._synced):
            return None
        c = replace(c, due=tuple(d for d in c.due if d not in late))
        for due in missed:
            c = c.assuming(f"{due.output} at {clock(due.at)} was lost from the capture", due.output.link, losses=1)
        return c if c.losses - self._proved <= MOST_LOSSES else None

    def _forget(self) -> None:
        """Sessions that no candidate has are over."""
        peers = {c.state.peer for c in self.candidates}
        peers |= {d.output.args[0] for c in self.candidates for d in c.due if d.output.link is not Link.CPU}
        if self.candidates:
            self._reading.memory.forget_sessions(peers)

    # --- towards the controller

    def _towards(self, captured: CapturedFrame) -> None:
        readings = self._reading.towards(captured.link, captured.frame)
        scene = self._scene
        scene.cause, scene.cause_at, scene.came, scene.meaningless = scene.number, self._now, [], not readings
        for events in readings:
            if events[0].kind == "response" and events[0].args[2] and (not self._lossless or self._unseen):
                self._reading.in_force()
            at = self._circumstances
            after = [c for each in self.candidates for c in taken(each, events[0], at)]
            for doubtful in events[1:]:
                says = DOUBTFUL.get(doubtful.kind)
                text = f"{says} at frame {scene.number}"
                starts = [c.assuming(text, None, hidden=1) for c in self.candidates] if says else self.candidates
                after += [c for start in starts for c in taken(start, doubtful, at)]
            if self.candidates:
                self._keep(after)

    # --- from the controller

    def _match(self, sent: Sent) -> None:
        if self._scene.came is not None:
            self._scene.came.append(str(sent.output))
        if not self.candidates:
            self._resync(sent)
            return
        at = self._circumstances
        hits = self._bearable(a for c in self.candidates for a in fits(c, sent, at.terms, at.now, at.number))
        if not hits:
            hits = self._bearable(explained(self.candidates[:MOST_EXPLAINED], sent, at))
        if not hits and sent.fresh and all(self._now <= c.excused for c in self.candidates):
            self._resync(sent)
            return
        if not hits:
            self._wrong(self._unexpected(sent))
            if not self._accused:
                self._resync(sent)
            return
        self._costly(self.candidates, hits, lambda: self._unexpected(sent))
        if not self._synced:  # what it was doing before the capture began leaves traces in its state
            self._resync(sent)
            if self._synced:
                hits += self.candidates
        if Link.SSS is sent.output.link and Link.CPU in self._unseen and sent.output.kind == "close":
            self._reading.in_force()
        self._keep(hits)

    def _bearable(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return [c for c in candidates if c.losses - self._proved <= MOST_LOSSES]

    def _unexpected(self, sent: Sent) -> Doubt:
        return unexpected(self.candidates, sent.output, self._scene, self._terrain.tolerance_us)

    def _keep(self, candidates: Iterable[Candidate]) -> None:
        self.candidates, over = cheapest(candidates, MOST_CANDIDATES)
        self._overflow |= over
        for c in self.candidates:
            self._rules.update(dict.fromkeys(r.id for r in c.rules))

    def _count(self, captured: CapturedFrame) -> None:
        """Record numbers that are left out: its own prove that the capture lost frames, a peer's make it likely."""
        frame = whole_frame(captured.frame)
        if frame is None or captured.link is Link.CPU or FAA_ID in (frame.source, frame.target):
            return
        if captured.towards:
            self._gaps |= bool(self._heard.gaps(frame.source, frame.payload))
            return
        for gap in self._numbers.gaps(frame.target, frame.payload):
            self._proved += 1
            self._notes.append(f"{gap} before frame {self._scene.number}: the capture lost frames")

    # --- when nothing explains it

    def _wrong(self, doubt: Doubt) -> None:
        """Every candidate is contradicted."""
        if self._synced and self._doubt is None:
            self._doubt = doubt
        if self._certain():
            self._doubt = doubt
            self._accused = True
        else:
            self._lose()

    def _costly(self, before: list[Candidate], after: list[Candidate], doubt: Callable[[], Doubt]) -> None:
        """Remember what is wrong if no frame was lost, where that is first the price of every candidate."""
        if self._synced and self._price is None and not all(c.losses for c in before) and all(c.losses for c in after):
            self._price = doubt()

    def _certain(self) -> bool:
        """Whether it is the device that is wrong, and not the capture."""
        if not self._synced or self._overflow or self._terrain.aside or self._reading.any_sealed:
            return False
        if self._lossless:
            return True
        cut = any(o.startswith("unknown") for o in self._scene.observed)
        return not cut and not self._gaps and self._proved == 0 and not any(c.losses for c in self.candidates[:1])

    # --- losing and finding the thread

    def _lose(self) -> None:
        if not self._synced:
            self._note_late()
        self.candidates = []
        self._overflow = False

    def _note_late(self) -> None:
        note = "the capture began in the middle of a session"
        if note not in self._notes:
            self._notes.append(note)

    def _resync(self, sent: Sent) -> None:
        """Find the state again where an output leaves no doubt of it."""
        output = sent.output
        if sent.fresh and output.kind == "hello":
            event = Event("cpu-request", (4, self.sed, 0)) if output.args[0] == SSS_ID else None
            event = event or Event("cpu-send", (output.args[0], 0))
            found = []
            given = f"the CPU gave {'a request' if output.args[0] == SSS_ID else 'a message'} for {output.args[0]}"
            for idle in self._idle(self._now):
                c = idle.assuming(f"{given} before frame {self._scene.number}", None, hidden=1)
                for after in take(c, event, self._setting, self._scene.number):
                    for unyielding in (0, 1):
                        state = after.state._replace(unyielding=unyielding)
                        found.append(replace(after, state=state, due=(), loose_message=True, loose_request=True))
            self._resume(found, "a session of its own begins")
        elif sent.fresh and output.kind == "flight4":
            hello = self._reading.memory.hellos[output.args[0]]
            event = Event("hello-cookie", (output.args[0], self._reading.memory.handshake(hello.client_random)))
            found = [a for c in self._idle(self._now) for a in take(c, event, self._setting, self._scene.number)]
            if output.args[0] < self.sed:  # it may have yielded (SES-9)
                aside = {"aside": 1, "aside_to": ANYONE}
                found += [replace(c, state=c.state._replace(**aside), loose_message=True) for c in found]
            self._resume([replace(c, due=()) for c in found], "it begins to serve a session", leftovers=False)
        elif output.kind in ("close", "alert"):
            self._resume(self._idle(self._now), "its session ends")

    def _resume(self, candidates: list[Candidate], why: str, *, leftovers: bool = True) -> None:
        """Go on from these. `leftovers`: whether the CPU may still get something of the session before."""
        if self._doubt or (not self._synced and self._notes):
            self._notes.append(f"judged from frame {self._scene.number} on: {why}")
        self._synced = True
        self._reading.end_of_burst()  # what was begun before is not judged
        excused = self._now + self._terrain.tolerance_us if leftovers else -1
        self._keep(replace(c, excused=excused) for c in candidates)

    # --- what is said

    def _finish(self) -> None:
        """Where times are exact and no frame is missing, what was due by the last frame is due within the capture."""
        if not (self._exact and self._lossless and self.candidates) or self._accused:
            return
        self._end_burst(self._now, True)
        if self.candidates and not self._accused and all(map(self._owed, self.candidates)):
            self._wrong(self._missing(self.candidates))

    def _annotate(self, number: int) -> None:
        if len(self._annotations) < MOST_ANNOTATIONS:
            states = tuple(dict.fromkeys(c.state.describe() for c in self.candidates))
            self._annotations.append(Annotation(number, tuple(self._rules), states if not self._accused else ()))

    def _reason(self) -> str:
        """Why a device is not accused."""
        if self._terrain.aside:
            return "Cannot be known, for frames may have been lost between the taps"
        if self._reading.any_sealed:
            return "Not allowed, unless records that could not be opened say otherwise"
        if self._overflow:
            return f"Not allowed, unless one of more than {MOST_CANDIDATES} possibilities explains it"
        return "Not allowed, unless the capture lost frames"

    def verdict(self) -> DeviceVerdict:
        """What is to be said at the end of the capture. Call it once."""
        self._finish()
        best = self.candidates[0] if self.candidates else None
        assumed = best.assumed.all() if best is not None and best.assumed is not None else []
        # A link of which frames came later was not hidden: that one was lost.
        notes = (*self._notes, *(f"assumed: {a.text}" for a in assumed))
        refuted = sum(a.hidden and a.link in self.links for a in assumed)
        lost = best.losses + refuted - self._proved if best is not None else 0
        doubt = self._doubt or (self._price if lost > 0 else None)
        if self._accused and doubt is not None:
            standing, text = Standing.NOT_ALLOWED, doubt.text
        elif doubt is not None:
            standing, text = Standing.UNKNOWN, f"{self._reason()}: {doubt.text}"
        elif lost > 0:
            standing = Standing.UNKNOWN
            text = f"Allowed if the capture lost frames that nothing proves: {lost} at least."
        elif self.judged == 0:
            standing, text = Standing.UNKNOWN, "The capture has nothing from which its state could be known."
        else:
            standing, text = Standing.ALLOWED, f"All of {self.judged} frames are allowed."
        states = tuple(dict.fromkeys(c.state.describe() for c in self.candidates)) if not self._accused else ()
        return DeviceVerdict(
            self.sed,
            standing,
            text,
            requirements=doubt.requirements if doubt else (),
            rules=doubt.rules if doubt else (),
            frames=doubt.frames if doubt else (),
            time_us=doubt.time_us if doubt else None,
            expected=doubt.expected if doubt else (),
            observed=doubt.observed if doubt else (),
            assumptions=tuple(dict.fromkeys(notes)),
            judged=self.judged,
            links=tuple(sorted(self.links)),
            states=states,
            annotations=tuple(self._annotations),
        )
