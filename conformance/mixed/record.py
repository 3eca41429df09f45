"""What a lab leaves behind: one capture of every device's links, with the secrets, and a trace of each watched SED."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, TextIO

from conformance.capture import CapturedFrame, Context, write_capture
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
            trace = self._traces[number] = _private(folder / f"{number}.jsonl")
            header = {"trace": TRACE_VERSION, "lab": True, "device": number, "target": device.target.name}
            _line(trace, header | {"profile": profile, "seed": seed})
            device.told = self._teller(number)

    @property
    def files(self) -> list[Path]:
        """What there is once it is closed."""
        return [self.folder / CAPTURE, *(self.folder / f"{number}.jsonl" for number in self._traces)]

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
            _line(self._traces[number], step)

        return teller

    def close(self, verdict: str, reason: str) -> None:
        """Write everything. Raises OSError."""
        world = self._world
        for trace in self._traces.values():
            _line(trace, {"verdict": verdict, "reason": reason, "virtual_ms": world.now})
            trace.close()
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


def _line(stream: TextIO, line: dict[str, Any]) -> None:
    stream.write(json.dumps(line, separators=(",", ":")) + "\n")
