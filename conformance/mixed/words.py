"""The words of a lab: what its script can do, and what a person can command besides."""

from __future__ import annotations

from typing import Final

STEPS: Final[dict[str, dict[str, type]]] = {
    "send": {"by": int, "to": int, "size": int, "text": str},
    "register": {"by": int},
    "deregister": {"by": int},
    "boot": {"by": int},
    "restart": {},
    "lose": {"flight": int, "record": str, "nth": int, "by": int, "times": int},
    "duplicate": {"flight": int, "record": str, "nth": int, "by": int, "times": int},
    "delay": {"ms": int, "flight": int, "record": str, "nth": int, "by": int, "times": int},
    "swap": {"record": str, "nth": int, "by": int},
    "cut": {"flight": int, "record": str, "nth": int, "by": int, "times": int},
    "mend": {},
    "silence": {"who": int},
    "restore": {"who": int},
    "inject": {"at": int, "link": str, "raw": str},
    "expect": {"at": int, "what": str, "from": int, "size": int, "op": int},
}
"""Kinds of steps and their arguments, in the order in which words without a name are taken."""
REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "send": ("by", "to"),
    "register": ("by",),
    "deregister": ("by",),
    "boot": ("by",),
    "delay": ("ms",),
    "swap": ("record", "nth"),
    "silence": ("who",),
    "restore": ("who",),
    "inject": ("at", "link", "raw"),
    "expect": ("at", "what"),
}
SAYS: Final = {
    "send": "a CPU gives its controller a message: of so many bytes, or this text",
    "register": "a CPU asks to be registered",
    "deregister": "a CPU asks to be deregistered",
    "boot": "a power cycle",
    "restart": "the SSS starts again",
    "lose": "the nth transmission of a flight (1 to 6) or record (data, close, alert) from now on is lost",
    "duplicate": "it comes twice",
    "delay": "it comes later",
    "swap": "the record comes after the next one",
    "cut": "the second half of each of its datagrams is missing",
    "mend": "no fault that was ordered applies any more",
    "silence": "a device (1: the SSS) neither hears nor is heard",
    "restore": "it does again",
    "inject": "bytes in hexadecimal appear on a device's link (radio, sss, cpu)",
    "expect": "by now, a CPU has got a message, an answer (op 0, 1 or -1), or nothing",
}
CONTROLS: Final = {
    "pause": "stand still",
    "go": "go on",
    "step [N]": "do the next thing, or N of them, and stand still",
    "run [TIME]": "go on for so long (5s, 250ms), or until nothing more happens, and stand still",
    "pace X": "X virtual seconds a second; 0: as fast as possible",
    "show": "who is in which state",
    "flying": "the frames that are on their way, each with a number",
    "drop N": "frame N is lost",
    "double N": "frame N comes twice",
    "help": "this list",
    "quit": "end the lab",
}


def help_lines() -> list[str]:
    """All commands, with their words."""
    width = 46
    lines = [f"{words:{width}} {says}" for words, says in CONTROLS.items()]
    for kind, arguments in STEPS.items():
        needed = REQUIRED.get(kind, ())
        words = " ".join([kind, *(name.upper() if name in needed else f"[{name}=]" for name in arguments)])
        lines.append(f"{words:{width}} {SAYS[kind]}")
    return lines
