"""What a person or a script can tell a SED's CPU to do: one command a line."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass
from pathlib import Path

from model.alphabet import FAA_ID, HIGHEST_ID, MAX_MESSAGE

HELP = """  send ID TEXT         send a message to SED ID (to 2: to the FAA, in the clear)
  send-hex ID HEX      the same with any bytes, in hexadecimal
  send-file ID PATH    the same with the content of a file, at most 16,384 bytes
  register             ask the SSS for a runtime certificate
  deregister           give it back
  wait [SECONDS] [from ID]   until a message is there that no earlier wait took
  stay                 until a signal ends the program
  status               state, links, counters
  help                 this
  quit                 power off"""


class BadCommandError(ValueError):
    """A line that is no command; the text says what one would be."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command; what it does not have is None or empty."""

    line: str
    do: str
    to: int = 0
    payload: bytes = b""
    source: int | None = None
    seconds: float | None = None


def parse(line: str) -> Command | None:
    """Read one line; None for an empty one or a comment (`#`). Raises BadCommandError."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    do, _, rest = line.partition(" ")
    rest = rest.strip()
    if do in ("register", "deregister", "status", "help", "quit", "stay"):
        if rest:
            raise BadCommandError(f"`{do}` stands alone, without {rest!r}")
        return Command(line, do)
    if do == "wait":
        return _wait(line, rest.split())
    if do in ("send", "send-hex", "send-file"):
        to, _, what = rest.partition(" ")
        return Command(line, "send", _id(to, do), _payload(do, what.strip() if do != "send" else what))
    known = ("send", "send-hex", "send-file", "register", "deregister", "wait", "stay", "status", "help", "quit")
    near = difflib.get_close_matches(do, known, n=1)
    raise BadCommandError(f"there is no command {do!r}" + (f"; did you mean {near[0]}?" if near else "; try `help`"))


def _wait(line: str, words: list[str]) -> Command:
    seconds, source = None, None
    if words and words[0] != "from":
        try:
            seconds = float(words.pop(0))
        except ValueError:
            raise BadCommandError("`wait` is followed by seconds, by `from ID`, by both or by nothing") from None
        if not 0 <= seconds < float("inf"):
            raise BadCommandError(f"nobody can wait for {seconds} s")
    if words:
        if len(words) != 2 or words[0] != "from":
            raise BadCommandError("`wait` is followed by seconds, by `from ID`, by both or by nothing")
        source = _id(words[1], "wait from")
    return Command(line, "wait", source=source, seconds=seconds)


def _id(text: str, do: str) -> int:
    if not text.isascii() or not text.isdigit() or not FAA_ID <= int(text) <= HIGHEST_ID:
        raise BadCommandError(f"`{do}` needs the id of a SED (3 to {HIGHEST_ID}) or of the FAA (2), not {text!r}")
    return int(text)


def _payload(do: str, what: str) -> bytes:
    if do == "send":
        payload = what.encode("utf-8", "surrogateescape")
    elif do == "send-hex":
        try:
            payload = bytes.fromhex(what)
        except ValueError:
            raise BadCommandError(f"{what!r} is not hexadecimal") from None
    else:
        try:
            (name,) = shlex.split(what)
            with Path(name).open("rb") as file:
                payload = file.read(MAX_MESSAGE + 1)
        except OSError as error:
            raise BadCommandError(f"{name}: {error.strerror}") from None
        except ValueError:
            raise BadCommandError("`send-file` needs an id and one path; quote a path with blanks") from None
    if len(payload) > MAX_MESSAGE:
        raise BadCommandError(f"a message has at most {MAX_MESSAGE:,} bytes (FRM-2)")
    return payload
