"""What refinement is worth: wrong controllers in the same world, each of which it has to find.

The first examples of the walk that `test_refinement` takes, up to the first alarm. `make refine` tries some more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from test_refinement import LONG, Refinement

from model.alphabet import FAA_ID
from reference.controller import Controller, State
from reference.dtls import CookieJar, Happening, Session
from reference.frame import Frame

Patch = pytest.MonkeyPatch


def no_cookie(patch: Patch) -> None:
    patch.setattr(CookieJar, "is_valid", lambda *_: True)


def takes_replays(patch: Patch) -> None:
    patch.setattr("reference.mbedtls_c.ENABLED", 0)


def timer_not_doubled(patch: Patch) -> None:
    on_time = Session.on_time

    def same_again(session: Session, now: int) -> Happening:
        happening = on_time(session, now)
        if session._timer:
            session._timer = session._timer[0], now + 7_000
        return happening

    patch.setattr(Session, "on_time", same_again)


def keeps_stale_runtime(patch: Patch) -> None:
    open_request = Controller._open_request

    def kept(node: Controller, payload: bytes, now: int) -> None:
        runtime, node._runtime = node._runtime, None
        open_request(node, payload, now)
        node._runtime = node._runtime or runtime

    patch.setattr(Controller, "_open_request", kept)


class _Lowest(int):
    """An id that every other one is lower than."""

    def __gt__(self, other: object) -> bool:
        return True


def both_yield(patch: Patch) -> None:
    prepare = Controller._prepare

    def prepared(node: Controller, sed_id: int, *rest: object) -> None:
        prepare(node, sed_id, *rest)  # type: ignore[arg-type]
        node.sed_id = _Lowest(sed_id)

    patch.setattr(Controller, "_prepare", prepared)


def answers_twice(patch: Patch) -> None:
    answer = Controller._answer

    def twice(node: Controller, op: int) -> None:
        answer(node, op)
        answer(node, op)

    patch.setattr(Controller, "_answer", twice)


def idle_timer_not_rearmed(patch: Patch) -> None:
    advance = Controller._advance

    def advanced(node: Controller, happening: Happening, now: int) -> None:
        before = node._idle_deadline
        advance(node, happening, now)
        if before is not None and node._idle_deadline is not None:
            node._idle_deadline = before

    patch.setattr(Controller, "_advance", advanced)


def faa_waits(patch: Patch) -> None:
    take_radio = Controller._take_radio

    def taken(node: Controller, frame: Frame, now: int) -> None:
        if frame.source != FAA_ID or node.state is State.IDLE:
            take_radio(node, frame, now)

    patch.setattr(Controller, "_take_radio", taken)


def delivers_gaps(patch: Patch) -> None:
    read = Session._read
    patch.setattr(Session, "_read", lambda s, record: replace(read(s, record), in_order=True))


def never_gives_way(patch: Patch) -> None:
    patch.setattr(Controller, "_gives_way", lambda _: False)


def keeps_what_it_collected(patch: Patch) -> None:
    leave = Controller._leave

    def left(node: Controller) -> None:
        collected = bytes(node._collected)
        leave(node)
        node._collected += collected

    patch.setattr(Controller, "_leave", left)


def serves_the_wire(patch: Patch) -> None:
    patch.setattr(Controller, "_take_wire", lambda s, frame, now: _all_records(s, frame, now))


def _all_records(node: Controller, frame: Frame, now: int) -> None:
    from reference import records

    for record in records.split(frame.payload):
        node._take_record(record, now)


def loses_its_counters(patch: Patch) -> None:
    take_hello = Controller._take_hello

    def forgetful(node: Controller, *rest: object) -> None:
        take_hello(node, *rest)  # type: ignore[arg-type]
        node._dropped.clear()

    patch.setattr(Controller, "_take_hello", forgetful)


SOON: tuple[Callable[[Patch], None], ...] = (
    no_cookie,
    takes_replays,
    timer_not_doubled,
    keeps_stale_runtime,
    both_yield,
    answers_twice,
    keeps_what_it_collected,
    faa_waits,
    loses_its_counters,
)
"""Found within a second."""
LATER: tuple[Callable[[Patch], None], ...] = (
    idle_timer_not_rearmed,
    delivers_gaps,
    never_gives_way,
    serves_the_wire,
)


@pytest.mark.parametrize("wrong", SOON + LATER if LONG else SOON)
def test_a_wrong_controller_is_found(wrong: Callable[[Patch], None], monkeypatch: Patch) -> None:
    wrong(monkeypatch)
    few = settings(
        max_examples=600 if LONG else 200,
        stateful_step_count=40,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Refinement, settings=few)
