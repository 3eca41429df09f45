"""What a lab leaves behind: one capture of every device's links, with the secrets, and a trace of each watched SED."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Final, TextIO

from conformance.capture import CapturedFrame, Context, write_capture
from conformance.files import naming
from conformance.mixed.device import Device, Sighting
from conformance.mixed.world import World

CAPTURE: Final = "lab.pcapng"
TRACE_VERSION: Final = 1


class Recorder:
    """Writes into a folder. Frames are kept in memory until `close`, for a capture has its secrets first."""

    def __init__(self, folder: Path, world: World, *, seed: int, profile: str) -> None:
        """Record what happens from now on. Raises OSError if the folder cannot be written."""
        self.folder = folder
        self._world, self._profile = world, profile
        self._frames: list[CapturedFrame] = []
        self._boots: dict[int, list[int]] = {number: [] for number in world.devices}
        self._traces: dict[int, TextIO] = {}
        folder.mkdir(parents=True, exist_ok=True)
        world.keep_secrets = True
        for number, device in world.devices.items():
            device.saw = self._tap(device)
            if device.judge is None:
                continue
            self._traces[number] = _private(self._path(number))
            header = {"trace": TRACE_VERSION, "lab": True, "device": number, "target": device.target.name}
            self._line(number, header | {"profile": profile, "seed": seed})
            device.told = self._teller(number)

    @property
    def files(self) -> list[Path]:
        """What there is once it is closed."""
        return [self.folder / CAPTURE, *map(self._path, self._traces)]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.jsonl"

    def _line(self, number: int, line: dict[str, Any]) -> None:
        with naming(self._path(number)):
            self._traces[number].write(json.dumps(line, separators=(",", ":")) + "\n")

    def _tap(self, device: Device) -> Any:
        def tap(seen: Sighting) -> None:
            if seen.towards and seen.fate == "lost":
                return  # it never came
            comment = f"step {seen.step}: {seen.label}" + (f" ({seen.fate})" if seen.fate != "delivered" else "")
            self._frames.append(
                CapturedFrame(
                    seen.time * 1000, seen.link, seen.towards, device.number, seen.frame.encode(), comment=comment
                )
            )

        return tap

    def _teller(self, number: int) -> Any:
        def teller(step: dict[str, Any]) -> None:
            if "boot" in step["stimulus"]:
                self._boots[number].append(step["t"] * 1000)
            self._line(number, step)

        return teller

    def close(self, verdict: str, reason: str) -> None:
        """Write all that can be written. Raises OSError if that is not everything."""
        world = self._world
        with contextlib.ExitStack() as everything:  # what fails here keeps nothing from being tried
            everything.callback(self._write_capture)
            for number in self._traces:
                everything.callback(self._end, number, {"verdict": verdict, "reason": reason, "virtual_ms": world.now})

    def _end(self, number: int, line: dict[str, Any]) -> None:
        with naming(self._path(number)), self._traces[number]:
            self._line(number, line)

    def _write_capture(self) -> None:
        world = self._world
        identities = {n: d.judge.abstraction.memory.identity for n, d in world.devices.items() if d.judge}
        settled = next(iter(identities.values()))  # who records watches, and one deployment is everybody's
        context = Context(
            virtual=True,
            profile=self._profile,
            boots={n: tuple(self._boots[n]) for n in identities},
            authorities=dict(world.authorities),
            keys={n: identity.provisioning_key for n, identity in identities.items()},
            suite=settled.suite,
            cn_pattern=settled.cn_pattern,
            wide_response=settled.wide_response,
        )
        write_capture(self.folder / CAPTURE, self._frames, world.secrets, context)


def _private(path: Path) -> TextIO:
    """A new file that its owner alone can read: it holds what CPUs said."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(handle, 0o600)
    return os.fdopen(handle, "w", encoding="utf-8")
