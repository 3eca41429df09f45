"""Scripts: what a peer says otherwise than an honest one.

A script is plain data, such as a TOML file gives. It holds either *edits*, which change single messages of an honest
flow, or *steps*, which replace the flow altogether. `parse` reads one; `docs/scripted-peer.md` describes it for people.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

Value = int | str | tuple["Value", ...]
"""What a field is set to: a number, bytes in hexadecimal, or several of these."""

CLIENT_SAYS: Final = (
    "client-hello",
    "client-hello-cookie",
    "certificate",
    "client-key-exchange",
    "certificate-verify",
    "change-cipher-spec",
    "finished",
    "data",
    "close-notify",
    "alert",
)
"""What an honest client says, in this order; `alert` when it refuses its peer."""
SERVER_SAYS: Final = (
    "hello-verify-request",
    "server-hello",
    "certificate",
    "server-key-exchange",
    "certificate-request",
    "server-hello-done",
    "change-cipher-spec",
    "finished",
    "data",
    "close-notify",
    "alert",
)
"""What an honest server says, in this order."""
MESSAGES: Final = tuple(dict.fromkeys(CLIENT_SAYS + SERVER_SAYS))
FREE: Final = ("handshake", "record", "raw", "replay", "reflect")
"""What can be sent besides the messages: any handshake message, record or datagram; an earlier datagram again, byte by
byte; a datagram of the other side back to it."""
SEALS: Final = ("right", "wrong", "other", "none")
"""Keys of a record: the own ones; keys that nobody has; those of the other direction; no protection at all."""
TRANSCRIPTS: Final = ("sent", "honest", "none")
"""What the hash of the handshake takes: the message as it was sent; as it would have been; neither."""
CERTIFICATES: Final = (
    "own",
    "empty",
    "other",
    "stranger",
    "wrong-name",
    "expired",
    "chain",
    "damaged",
    "p384",
    "rsa",
)
"""What is shown: the own certificate; none; one of another key in the own name; one of an unknown authority; one in
another name; one that ended in 2020; one behind an intermediate authority; one that is no DER; one for a key on P-384;
one for an RSA key. All but `stranger`, `other` and `damaged` come with their own key, and all but `stranger` and
`damaged` are issued by the authority that the other side trusts."""
SIGNATURES: Final = ("own", "other-key", "other-transcript")
"""Who signs what: the shown certificate's key over what it must; another key; the right key over something else."""
HASHES: Final = ("sha256", "sha384", "sha512", "sha1")
CURVES: Final = ("p256", "p384")


class BadScript(ValueError):
    """A script that does not say what it should; the text says which, where, and what is allowed."""


@dataclass(frozen=True, slots=True)
class How:
    """How a message goes out. What is left alone is as an honest peer does it.

    First the message, then its fragments, then their records, then the datagrams.
    """

    set: tuple[tuple[str, Value], ...] = ()
    """Fields and their values: a path into the message (`random`, `extensions.0.type`), its header
    (`handshake.length`) or its record (`record.version`), by the names of the layers' fields."""
    body: bytes | None = None
    """Instead of the message's body, or of the content of what is no handshake message."""
    size: int | None = None
    """The body is cut, or filled with zeros, to so many bytes. The header's length follows."""
    message_seq: int | None = None
    transcript: str = "sent"
    fragments: tuple[tuple[int, int], ...] = ()
    """Offset and size of each, in bytes and in the order of sending; a size of -1 goes to the end."""
    fragment_size: int | None = None
    """Bytes of body in each fragment, but the last."""
    epoch: int | None = None
    sequence: int | None = None
    """Of the (first) record. A number ahead of the count moves the count on, here and with `message_seq`."""
    seal: str | None = None
    corrupt: tuple[int, ...] = ()
    """Bytes of the record to invert, header included, counted from 0, or from the end if negative."""
    repeat: int = 1
    """How often it is sent, each time in new records."""
    replay: int = 0
    """How often its records are sent again, byte by byte."""
    datagram: str = ""
    """`new`: a datagram begins here; `same`: it goes into the datagram before, whatever the size; `record`: into the
    record before, whose epoch, number and protection it shares."""
    delay: int = 0
    """Milliseconds by which its datagrams are late; those that follow are not."""


@dataclass(frozen=True, slots=True)
class Send:
    """Something to say: `what` is one of `MESSAGES`, made from the present state, or one of `FREE`."""

    what: str
    type: int = 0
    """Of a `handshake`, its message type; of a `record`, its content type."""
    level: int = 2
    code: int = 40
    """Of an `alert`."""
    hex: bytes = b""
    """Of `data` and of `FREE`: the bytes."""
    of: str = ""
    nth: int = 1
    """Of `replay`: the own message whose datagram it is; of `reflect`, the other side's. Which one of several."""
    how: How = How()


@dataclass(frozen=True, slots=True)
class Await:
    """Go on once the other side has said one of these, at the latest in `within` ms; if not, the script ends there."""

    message: tuple[str, ...]
    within: int = 10_000


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass."""

    ms: int


Step = Send | Await | Wait


@dataclass(frozen=True, slots=True)
class Edit:
    """What happens to a message of the honest flow."""

    at: tuple[str, ...]
    """Names of messages that it is for."""
    nth: int = 1
    """Which message of the name, from 1 on; 0: each."""
    sending: int = 0
    """Which transmission of it, from 1 on; 0: each. What only one transmission shows is not in the transcript."""
    omit: bool = False
    """It is not said at all; with `sending`, that transmission is lost."""
    move_before: str = ""
    move_after: str = ""
    """Its place in its flight: beside another message. Numbers and transcript follow."""
    insert_before: tuple[Send, ...] = ()
    insert_after: tuple[Send, ...] = ()
    stop: bool = False
    """After this, nothing is said any more."""
    how: How = How()


@dataclass(frozen=True, slots=True)
class Script:
    """Everything that a peer does otherwise. `Script()` is an honest peer."""

    title: str = "honest"
    edits: tuple[Edit, ...] = ()
    steps: tuple[Step, ...] = ()
    """If there are any, nothing is sent but by them; what comes in is followed all the same."""
    certificate: str = "own"
    signature: str = "own"
    hash: str = "sha256"
    """Of the own signatures."""
    curve: str = "p256"
    """Of the own ephemeral key."""
    cookies: bool = True
    """Server: whether it asks for one."""
    extended_master_secret: bool = True
    """Whether it is offered or agreed to (RFC 7627)."""
    verify: bool = True
    """Whether what the other side says is checked and refused with an alert, or taken as it is."""


HONEST: Final = Script()


def load(text: str) -> Script:
    """A script in TOML. Raises BadScript."""
    try:
        return parse(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadScript(f"not TOML: {error}") from None


def parse(document: Any) -> Script:
    """A script from plain data. Raises BadScript."""
    known: dict[str, type] = {"title": str, "certificate": str, "signature": str, "hash": str, "curve": str}
    known |= {"cookies": bool, "extended_master_secret": bool, "verify": bool, "edits": list, "steps": list}
    _check("script", document, known)
    for name, allowed in _CHOICES["script"].items():
        _choose("script", name, document.get(name, allowed[0]), allowed)
    plain = {k: v for k, v in document.items() if k not in ("edits", "steps")}
    edits = tuple(_edit(f"edit {n}", e) for n, e in enumerate(document.get("edits", ()), 1))
    steps = tuple(_step(f"step {n}", s) for n, s in enumerate(document.get("steps", ()), 1))
    if edits and steps:
        raise BadScript("script: there are `edits` and `steps`; a flow that is replaced cannot be edited")
    return Script(**plain, edits=edits, steps=steps)


_CHOICES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "script": {"certificate": CERTIFICATES, "signature": SIGNATURES, "hash": HASHES, "curve": CURVES},
    "how": {"transcript": TRANSCRIPTS, "seal": SEALS, "datagram": ("", "new", "same", "record")},
}
_HOW: Final[dict[str, type]] = {
    "set": dict,
    "body": str,
    "size": int,
    "message_seq": int,
    "transcript": str,
    "fragments": list,
    "fragment_size": int,
    "epoch": int,
    "sequence": int,
    "seal": str,
    "corrupt": list,
    "repeat": int,
    "replay": int,
    "datagram": str,
    "delay": int,
}
_EDIT: Final[dict[str, type]] = {
    "nth": int,
    "sending": int,
    "omit": bool,
    "move_before": str,
    "move_after": str,
    "insert_before": list,
    "insert_after": list,
    "stop": bool,
}
_SEND: Final[dict[str, type]] = {
    "send": str,
    "type": int,
    "level": int,
    "code": int,
    "hex": str,
    "of": str,
    "nth": int,
}
_USES: Final[dict[str, tuple[str, ...]]] = {
    "alert": ("level", "code"),
    "data": ("hex",),
    "handshake": ("type", "hex"),
    "record": ("type", "hex"),
    "raw": ("hex",),
    "replay": ("of", "nth"),
    "reflect": ("of", "nth"),
}
_BOUNDS: Final[dict[str, tuple[int, int]]] = {
    "size": (0, 0xFFFF),
    "message_seq": (0, 0xFFFF),
    "fragment_size": (1, 0xFFFF),
    "epoch": (0, 0xFFFF),
    "sequence": (0, 2**48 - 1),
    "repeat": (1, 1_000),
    "replay": (0, 1_000),
    "delay": (0, 3_600_000),
    "nth": (0, 10_000),
    "sending": (0, 1_000),
    "type": (0, 255),
    "level": (0, 255),
    "code": (0, 255),
    "wait": (0, 3_600_000),
    "within": (0, 3_600_000),
}
"""Inclusive bounds: what a field on the wire can hold, times up to an hour."""


def _edit(where: str, table: Any) -> Edit:
    _check(where, table, {"at": object, **_EDIT, **_HOW}, ("at",))
    at = _names(where, "at", table["at"], MESSAGES)
    for name in ("move_before", "move_after"):
        if name in table:
            _choose(where, name, table[name], MESSAGES)
    if table.get("sending") and ("move_before" in table or "move_after" in table):
        raise BadScript(f"{where}: a message has one place in its flight; `sending` does not go with a move")
    plain = {k: table[k] for k in ("nth", "sending", "omit", "move_before", "move_after", "stop") if k in table}
    before, after = (
        tuple(_send(f"{where}, {name} {n}", s) for n, s in enumerate(table.get(name, ()), 1))
        for name in ("insert_before", "insert_after")
    )
    return Edit(at, **plain, insert_before=before, insert_after=after, how=_how(where, table))


def _step(where: str, table: Any) -> Step:
    kinds = [k for k in ("send", "await", "wait") if isinstance(table, dict) and k in table]
    if len(kinds) != 1:
        raise BadScript(f"{where}: a step is a table with one of `send`, `await` and `wait`")
    if kinds == ["send"]:
        return _send(where, table)
    if kinds == ["wait"]:
        _check(where, table, {"wait": int})
        return Wait(table["wait"])
    _check(where, table, {"await": object, "within": int})
    names = _names(where, "await", table["await"], (*MESSAGES, "anything"))
    return Await(names, **{k: v for k, v in table.items() if k == "within"})


def _send(where: str, table: Any) -> Send:
    _check(where, table, _SEND | _HOW, ("send",))
    what = table["send"]
    _choose(where, "send", what, MESSAGES + FREE)
    own = {k: v for k, v in table.items() if k in _SEND and k != "send"}
    for name in own:
        if name not in _USES.get(what, ()):
            raise BadScript(f"{where}: {what} has no `{name}`; it has {', '.join(_USES.get(what, ())) or 'nothing'}")
    if "of" in _USES.get(what, ()):
        _choose(where, "of", own.get("of"), MESSAGES)
    if "hex" in own:
        own["hex"] = _bytes(where, "hex", own["hex"])
    return Send(what, **own, how=_how(where, table))


def _how(where: str, table: dict[str, Any]) -> How:
    own = {f.name: table[f.name] for f in fields(How) if f.name in table}
    for name, allowed in _CHOICES["how"].items():
        if name in own:
            _choose(where, name, own[name], allowed)
    if "set" in own:
        own["set"] = tuple((path, _value(f"{where}, set {path}", v)) for path, v in own["set"].items())
    if "body" in own:
        own["body"] = _bytes(where, "body", own["body"])
    if "corrupt" in own:
        own["corrupt"] = _numbers(where, "corrupt", own["corrupt"])
    if "fragments" in own:
        own["fragments"] = tuple(_fragment(where, f) for f in own["fragments"])
        if "fragment_size" in own:
            raise BadScript(f"{where}: say either `fragments` or `fragment_size`")
    return How(**own)


def _fragment(where: str, pair: Any) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadScript(f"{where}: `fragments` holds pairs of offset and size, not {pair!r}")
    offset, size = _numbers(where, "fragments", pair)
    if offset < 0 or size < -1:
        raise BadScript(f"{where}: no fragment has offset {offset} and size {size}; a size of -1 goes to the end")
    return offset, size


def _value(where: str, value: Any) -> Value:
    if isinstance(value, list):
        return tuple(_value(where, v) for v in value)
    if isinstance(value, str):
        _bytes(where, "value", value)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadScript(f"{where}: a value is a number, bytes in hexadecimal, or a list of these, not {value!r}")


def _names(where: str, what: str, value: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, list) else (value,)
    if not names:
        raise BadScript(f"{where}: `{what}` names no message; there are {', '.join(known)}")
    for name in names:
        _choose(where, what, name, known)
    return names


def _numbers(where: str, what: str, value: Any) -> tuple[int, ...]:
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in value):
        raise BadScript(f"{where}: `{what}` holds numbers, not {value!r}")
    return tuple(value)


def _bytes(where: str, what: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadScript(f"{where}: `{what}` is bytes in hexadecimal, not {text!r}") from None


def _check(where: str, table: Any, known: dict[str, type], required: tuple[str, ...] = ()) -> None:
    if not isinstance(table, dict):
        raise BadScript(f"{where}: a table is needed, not {table!r}")
    for name, value in table.items():
        _choose(where, "key", name, known)
        if not isinstance(value, known[name]) or (known[name] is int and isinstance(value, bool)):
            raise BadScript(f"{where}: `{name}` must be {_KINDS[known[name]]}, not {value!r}")
        if name in _BOUNDS and isinstance(value, int) and not _BOUNDS[name][0] <= value <= _BOUNDS[name][1]:
            raise BadScript(f"{where}: `{name}` is {_BOUNDS[name][0]} to {_BOUNDS[name][1]}, not {value}")
    for name in required:
        if name not in table:
            raise BadScript(f"{where}: `{name}` is missing")


_KINDS: Final = {int: "a number", str: "a text", bool: "true or false", list: "a list", dict: "a table"}


def _choose(where: str, what: str, value: Any, known: Iterable[str]) -> None:
    known = tuple(known)
    if value not in known:
        near = difflib.get_close_matches(str(value), known, 3)
        hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(k or 'none' for k in known)}"
        raise BadScript(f"{where}: no {what} {value!r}; {hint}")
