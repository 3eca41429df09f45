"""The model's judge over a whole capture, before it is shown: so that each view can say what it says where it is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from conformance.capture import CapturedFrame, Context, KeyLogText, read_capture
from conformance.inspection.keys import Keys
from conformance.onlooker import DeviceVerdict, Standing, judge_capture
from model.profile import PROFILES


@dataclass(slots=True)
class Judgement:
    """The verdicts, and at whose controllers the capture was made."""

    verdicts: list[DeviceVerdict] = field(default_factory=list)
    taps: set[int] = field(default_factory=set)
    """SEDs whose own controllers' links were captured. Of others a capture can only tell what reached those."""

    @property
    def standing(self) -> Standing:
        """Of all: NOT_ALLOWED if any device's is; then UNKNOWN if that of a device in `taps` is, or there is none."""
        if any(verdict.standing is Standing.NOT_ALLOWED for verdict in self.verdicts):
            return Standing.NOT_ALLOWED
        own = [verdict.standing for verdict in self.verdicts if verdict.sed in self.taps]
        return Standing.ALLOWED if own and Standing.UNKNOWN not in own else Standing.UNKNOWN


def twice(stream: BinaryIO) -> BinaryIO:
    """What can be read more than once: a copy in a temporary file without a name. Raises OSError."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the command
    shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return copy


def judge(file: Path | BinaryIO, keys: Keys, *, profile: str | None, lossless: bool) -> Judgement:
    """Judge every device of a capture; the secrets in the file are added to `keys`. Raises OSError.

    A stream is left at its beginning.
    """
    judgement = Judgement()
    entries = read_capture(file)
    first: list[CapturedFrame] = []
    context: Context | None = None
    for entry in entries:
        if isinstance(entry, CapturedFrame):
            first = [entry]
            break
        if isinstance(entry, KeyLogText):
            _note(keys, entry)
        elif isinstance(entry, Context):
            context = context or entry

    def frames() -> Iterator[CapturedFrame]:
        for frame in first:
            judgement.taps.add(frame.sed)
            yield frame
        for entry in entries:
            if isinstance(entry, CapturedFrame):
                judgement.taps.add(entry.sed)
                yield entry
            elif isinstance(entry, KeyLogText):
                _note(keys, entry)

    facts = keys.context(context)
    if facts is not None and facts.profile not in PROFILES:
        facts = replace(facts, profile=Context().profile)  # a damaged comment
    judgement.verdicts = judge_capture(frames(), keys.key_log, facts, profile=profile, lossless=lossless)
    if not isinstance(file, Path):
        file.seek(0)
    return judgement


def _note(keys: Keys, entry: KeyLogText) -> None:
    for line in entry.text.splitlines():
        keys.key_log.add_line(line)
