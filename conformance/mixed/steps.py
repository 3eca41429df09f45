"""What can be done in a lab, by its file's script and by whoever types commands: one vocabulary, that of the purposes.

A step is a table in a file, `{ do = "send", by = 10, to = 11, size = 64 }`, and a line of words to a person, `send 10
11 64` or `send by=10 to=11 size=64`.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from conformance.faults import Fault
from conformance.mixed.words import REQUIRED, STEPS
from conformance.mixed.world import World
from conformance.purpose import BOUNDS, Step
from conformance.wire.frames import Frame
from model.alphabet import DEREGISTER, MAX_MESSAGE, REGISTER, SSS_ID, Link
from reference.registration import Request

_CHOICES: Final = {
    "record": ("data", "close", "alert"),
    "link": ("radio", "sss", "cpu"),
    "what": ("message", "answer", "nothing"),
}
_FAULTS: Final = ("lose", "duplicate", "delay", "swap", "cut")


class BadStep(ValueError):
    """A step that does not say what it should; the text says what instead."""


@dataclass
class Unmet(Exception):
    """What a step expects has not come."""

    why: str

    def __str__(self) -> str:
        return self.why


def check(kind: str, arguments: dict[str, Any], devices: Collection[int]) -> Step:
    """A step, if it is one. Raises BadStep."""
    _choose("step", kind, STEPS)
    known: dict[str, Any] = STEPS[kind]
    for name, value in arguments.items():
        _choose(f"{kind}: key", name, known)
        if type(value) is not known[name]:
            raise BadStep(f"{kind}: `{name}` is {'a whole number' if known[name] is int else 'a text'}, not {value!r}")
        if name in _CHOICES:
            _choose(f"{kind}: {name}", value, _CHOICES[name])
        if name in BOUNDS and not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
            raise BadStep(f"{kind}: `{name}` is {BOUNDS[name][0]} to {BOUNDS[name][1]}, not {value}")
    for name in REQUIRED.get(kind, ()):
        if name not in arguments:
            raise BadStep(f"{kind}: `{name}` is missing")
    named = {"by", "at"} & arguments.keys() - ({"by"} if kind in _FAULTS else set())
    for name in sorted(named):
        if arguments[name] not in devices:
            raise BadStep(f"{kind}: there is no device {arguments[name]}; there are {_list(devices)}")
    if "who" in arguments and arguments["who"] not in (SSS_ID, *devices):
        raise BadStep(f"{kind}: there is no device {arguments['who']}; there are {_list((SSS_ID, *devices))}")
    if kind == "send" and ("size" in arguments) == ("text" in arguments):
        raise BadStep("send: give either `size` in bytes or `text`")
    if kind == "send" and arguments.get("size", len(arguments.get("text", "").encode())) > MAX_MESSAGE:
        raise BadStep(f"send: a message has at most {MAX_MESSAGE} bytes (FRM-2)")
    if kind in _FAULTS and ("flight" in arguments) == ("record" in arguments):
        raise BadStep(f"{kind}: name either a flight (1 to 6) or a record (data, close, alert)")
    if "raw" in arguments and not re.fullmatch(r"(\s*[0-9a-fA-F]{2})+\s*", arguments["raw"]):
        raise BadStep(f"{kind}: `raw` is bytes in hexadecimal, such as 53430a00")
    return Step(kind, arguments)


def from_words(line: str, devices: Collection[int]) -> Step:
    """A step that somebody typed: `send 10 11 64`, `send by=10 to=11 text='good morning'`. Raises BadStep."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise BadStep(f"{line!r}: {error}") from None
    if not words:
        raise BadStep("nothing to do; `help` says what there is")
    kind, *rest = words
    _choose("command", kind, STEPS)
    names = iter(STEPS[kind])
    arguments: dict[str, Any] = {}
    for word in rest:
        name, sign, value = word.partition("=")
        if not sign:
            name, value = next((n for n in names if n not in arguments), ""), word
            if not name:
                raise BadStep(f"{kind}: too many words; it takes {_list(STEPS[kind]) or 'none'}")
        if STEPS[kind].get(name) is int:
            if not re.fullmatch(r"-?[0-9]{1,9}", value):
                raise BadStep(f"{kind}: `{name}` is a whole number, not {value!r}")
            arguments[name] = int(value)
        else:
            arguments[name] = value
    return check(kind, arguments, devices)


class Acts:
    """Does steps in a world. The same seed gives the same payloads in the same order."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._payloads = 0
        self._restarts = 0

    def do(self, step: Step) -> None:
        """Do one step now. Raises Unmet for an expectation, and what the world raises."""
        world, kind, a = self._world, step.kind, step.arguments
        match kind:
            case "send":
                payload = a["text"].encode() if "text" in a else self._payload(a["size"])
                world.from_cpu(a["by"], a["to"], payload)
            case "register" | "deregister":
                op = REGISTER if kind == "register" else DEREGISTER
                world.from_cpu(a["by"], SSS_ID, Request(a["by"], op).encode())
            case "boot":
                world.power_cycle(a["by"])
            case "restart":
                self._restarts += 1
                world.restart_sss(self._restarts)
            case "mend":
                world.links.faults.clear()
            case "silence":
                world.silent.add(a["who"])
            case "restore":
                world.silent.discard(a["who"])
            case "inject":
                world.inject(a["at"], Link[a["link"].upper()], bytes.fromhex(a["raw"]))
            case "expect":
                self._expect(step)
            case _:
                world.links.faults.append(Fault(kind, **a))

    def _expect(self, step: Step) -> None:
        a = step.arguments
        got = self._world.inbox[a["at"]]
        if a["what"] == "nothing":
            if got:
                raise Unmet(f"{step}: the CPU of {a['at']} got {_frames(got)}")
            return
        for frame in got:
            if _meets(frame, a):
                got.remove(frame)
                return
        raise Unmet(f"{step}: the CPU of {a['at']} got {_frames(got)}")

    def _payload(self, size: int) -> bytes:
        self._payloads += 1
        return hashlib.shake_256(f"lab/{self._seed}/{self._payloads}".encode()).digest(size)


def _meets(frame: Frame, a: dict[str, Any]) -> bool:
    if a["what"] == "answer":
        return frame.source == SSS_ID and frame.payload == Request(a["at"], a.get("op", REGISTER)).encode()
    return (
        frame.source != SSS_ID
        and a.get("from", frame.source) == frame.source
        and a.get("size", len(frame.payload)) == len(frame.payload)
    )


def _frames(frames: list[Frame]) -> str:
    return (
        ", ".join(
            f"an answer (op {int.from_bytes(f.payload[2:4], 'little', signed=True)})"
            if f.source == SSS_ID
            else f"{len(f.payload)} B from {f.source}"
            for f in frames
        )
        or "nothing"
    )


def _list(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _choose(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), list(known), 3) or list(known)
        raise BadStep(f"no {what} {value!r}; did you mean {', '.join(near)}?")
