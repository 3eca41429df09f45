"""What is said of each device of a capture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from model.alphabet import Link


class Standing(Enum):
    """Whether what a device did is allowed."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the model says at one frame."""

    number: int
    """The frame's number in the capture, from 1 on."""
    rules: tuple[str, ...]
    """Ids of the model's rules that it made apply, or by which it was sent; none while nothing is known."""
    states: tuple[str, ...]
    """The states in which the controller can be after it; none while nothing is known."""


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """The verdict on one device. For ALLOWED, `requirements` to `observed` are empty and `time_us` is None."""

    sed: int
    """SCEWL id."""
    standing: Standing
    text: str
    """One to three sentences for people."""
    requirements: tuple[str, ...] = ()
    """Rule ids of the protocol page that were broken (or that are in doubt, if UNKNOWN), the most telling first."""
    rules: tuple[str, ...] = ()
    """Ids of the model's rules that applied there."""
    frames: tuple[int, ...] = ()
    """Numbers of the frames where it shows."""
    time_us: int | None = None
    """When, microseconds, in the capture's own time."""
    expected: tuple[tuple[str, ...], ...] = ()
    """The outputs that the rules allow there, one tuple per possibility."""
    observed: tuple[str, ...] = ()
    """The outputs that came there."""
    assumptions: tuple[str, ...] = ()
    """What the verdict rests on beside the frames, in the order of the capture."""
    judged: int = 0
    """Frames of this device at which its state was known."""
    links: tuple[Link, ...] = ()
    """The links of which the capture has frames."""
    states: tuple[str, ...] = ()
    """The states in which it can be at the end, most likely one; none if nothing is known."""
    annotations: tuple[Annotation, ...] = ()
    """Frame by frame, at most the first 100,000 frames of this device."""
