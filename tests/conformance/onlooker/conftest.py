"""Captures of the purposes, made by the reference once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from conformance.capture import CapturedFrame, Context
from conformance.case import Outcome, run_case
from conformance.onlooker import DeviceVerdict, judge_capture
from conformance.purpose import FOLDER, load
from conformance.targets.reference import ReferenceTarget
from conformance.wire.secrets import KeyLog
from model.alphabet import Link

IUT = 10


@dataclass(frozen=True)
class Scene:
    """What a capture holds, frames numbered as in a file."""

    frames: tuple[CapturedFrame, ...]
    keylog: KeyLog
    context: Context

    @classmethod
    def of(cls, outcome: Outcome) -> Scene:
        """A run's capture."""
        assert outcome.context is not None
        keylog = KeyLog()
        for client_random, master in outcome.secrets:
            keylog.add(client_random, master)
        return cls(tuple(replace(f, number=n) for n, f in enumerate(outcome.frames, 1)), keylog, outcome.context)

    def unvouched(self) -> Scene:
        """Nobody says that all frames are there."""
        return replace(self, context=replace(self.context, boots={}))

    def only(self, *links: Link) -> Scene:
        """Frames on some links alone."""
        return replace(self.unvouched(), frames=tuple(f for f in self.frames if f.link in links))

    def judge(self, *, context: bool = True, keys: bool = True, lossless: bool = False) -> dict[int, DeviceVerdict]:
        """The verdicts by device."""
        told = self.context if context else None
        keylog = self.keylog if keys else KeyLog()
        return {v.sed: v for v in judge_capture(self.frames, keylog, told, lossless=lossless)}


@pytest.fixture(scope="session")
def scene() -> Callable[[str], Scene]:
    """The capture of a purpose by its id."""
    made: dict[str, Scene] = {}

    def get(purpose: str) -> Scene:
        if purpose not in made:
            outcome = run_case(load(FOLDER / f"{purpose}.toml"), ReferenceTarget, profile="hardened", seed=0)
            made[purpose] = Scene.of(outcome)
        return made[purpose]

    return get
