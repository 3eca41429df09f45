"""Every `dtls.*` field that tshark prints, against ours: names, order and values, on captures of every kind.

tshark knows less of a conversation than an onlooker can. What it cannot do is said in `LIMITS`, and the frames where it
shows are counted in `LIMITED`; even there it prints exactly what ours are, had we the same knowledge.
"""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import capture_kinds
import pytest
from capture_kinds import KINDS, Made

from conformance.capture import CapturedFrame, write_capture
from conformance.inspection.fields import Field, fields
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import Protection, SeenFragment, SeenFrame, SeenRecord
from conformance.sessions.track import Tracker
from conformance.wire.frames import HEADER, MAGIC
from conformance.wire.handshake import Message
from conformance.wire.secrets import KeyLog
from model.alphabet import LOWEST_SED_ID

SCRIPT = Path(__file__).parents[2] / "conformance" / "wireshark" / "scewl.lua"
EXEMPT = {
    "dtls.fragments": "the node of the next three",
    "dtls.fragment": "numbers of the frames that a message was reassembled from: a link for a reader of Wireshark",
    "dtls.fragment.count": "how many of them",
    "dtls.fragment.overlap": "a remark on such a link: a fragment came twice",
    "dtls.resumed": "an expert's remark, and not so: a ChangeCipherSpec repeated is taken for a session resumed",
}
"""Fields of tshark's that ours lack, and why."""
LIMITS = {
    "stopped": "it refuses fragments of a message that it has reassembled before, and shows no more of the datagram",
    "again": "a message that came whole before is reassembled once more from its fragments, and shown again",
    "not reassembled": "a message is reassembled only if its last fragment comes last",
    "not opened": "it keeps one session to a pair of addresses: a replayed ClientHello makes it forget the keys",
}
LIMITED = {
    "lost-flight-4-thrice": {"stopped": 4, "again": 1},
    "lost-flight-5-thrice": {"stopped": 2, "again": 3},
    "replayed-hello": {"stopped": 2, "again": 1},
    "replayed-session": {"not opened": 1},
    "fragments-backwards": {"not reassembled": 2},
    "fragments-twice": {"stopped": 5},
}
"""By kind of capture, how many frames show a limit."""

APART = 100
"""Ids of SEDs in the captures are below it."""

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@dataclass
class Printed:
    """What tshark prints of a frame."""

    fields: list[Field] = field(default_factory=list)
    stopped: bool = False
    """Whether dissection ended early: its reassembly refuses bytes that it has had."""


def packets(path: Path, home: Path, *options: str) -> list[ET.Element]:
    """What tshark makes of a capture, in PDML; it sees no settings of a user's."""
    command = ["tshark", "-X", f"lua_script:{SCRIPT}", "-n", *options, "-r", str(path), "-T", "pdml"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment, check=True)
    return list(ET.fromstring(done.stdout).iter("packet"))


def _printed(packet: ET.Element) -> Printed:
    found = Printed()
    for element in packet.iter("field"):
        name, show = element.get("name", ""), element.get("show", "")
        if name.startswith(("dtls.", "data.")) and name not in EXEMPT:
            found.fields.append((name, show))
        found.stopped |= name == "_ws.malformed.reassembly"
    return found


def key_log(made: Made) -> Secrets:
    log = KeyLog()
    for random, master in made.secrets:
        log.add(random, master)
    return Secrets(log)


class Reader:
    """Our fields of one capture's frames, as they are and as they were with tshark's knowledge."""

    def __init__(self, secrets: Secrets) -> None:
        self._tracker = Tracker(secrets)
        self._messages: dict[tuple[int, bool | None, int], Message] = {}
        """Whole messages by session, side and message_seq."""

    def limit(self, number: int, frame: CapturedFrame, printed: Printed) -> str:
        """Which of `LIMITS` shows in a frame; empty if tshark's fields are ours. Fails if it is none of them."""
        seen = self._tracker.feed(replace(frame, number=number))
        for name, change in (("", None), ("again", self._again), ("not reassembled", _apart), ("not opened", _sealed)):
            ours = list(fields(_changed(seen, change)))
            if ours == printed.fields:
                break
            if printed.stopped and ours[: len(printed.fields)] == printed.fields:
                name = f"{name}, stopped" if name else "stopped"
                break
        else:
            lines = ([f"{name} = {value}" for name, value in side] for side in (printed.fields, fields(seen)))
            pytest.fail("\n".join((f"frame {number}", *difflib.unified_diff(*lines, "tshark", "ours", lineterm=""))))
        self._remember(seen)
        return name

    def _remember(self, seen: SeenFrame) -> None:
        for record in seen.records:
            for fragment in record.fragments if isinstance(record, SeenRecord) else ():
                for message in fragment.completes if isinstance(fragment, SeenFragment) else ():
                    self._messages[self._key(seen, message.message_seq)] = message

    def _key(self, seen: SeenFrame, message_seq: int) -> tuple[int, bool | None, int]:
        return seen.session.number if seen.session else 0, seen.from_client, message_seq

    def _again(self, seen: SeenFrame, record: SeenRecord) -> SeenRecord:
        fragments = []
        for fragment in record.fragments:
            if isinstance(fragment, SeenFragment) and fragment.offset + fragment.size == fragment.length:
                message = self._messages.get(self._key(seen, fragment.message_seq))
                fragment = replace(fragment, completes=(message,)) if message else fragment
            fragments.append(fragment)
        return replace(record, fragments=tuple(fragments))


def _apart(_seen: SeenFrame, record: SeenRecord) -> SeenRecord:
    fragments = (replace(f, completes=()) if isinstance(f, SeenFragment) else f for f in record.fragments)
    return replace(record, fragments=tuple(fragments))


def _sealed(_seen: SeenFrame, record: SeenRecord) -> SeenRecord:
    return replace(record, protection=Protection.SEALED, plaintext=b"", fragments=()) if record.epoch else record


def _changed(seen: SeenFrame, change: Callable[[SeenFrame, SeenRecord], SeenRecord] | None) -> SeenFrame:
    if change is None:
        return seen
    return replace(seen, records=tuple(change(seen, r) if isinstance(r, SeenRecord) else r for r in seen.records))


def limits(made: Made, secrets: Secrets, theirs: list[Printed]) -> dict[str, int]:
    """How many frames show which limit."""
    reader = Reader(secrets)
    pairs = enumerate(zip(made.frames, theirs, strict=True), 1)
    return dict(Counter(limit for n, (frame, printed) in pairs if (limit := reader.limit(n, frame, printed))))


# --- many captures in one file, for it takes tshark longer to start than to read them all


def printed(kinds: Iterable[str], folder: Path, *options: str, with_secrets: bool = True) -> dict[str, list[Printed]]:
    """What tshark prints of each capture. In each, other devices talk, so it keeps them apart."""
    frames: list[CapturedFrame] = []
    ends: dict[str, int] = {}
    secrets: list[tuple[bytes, bytes]] = []
    for number, kind in enumerate(kinds):
        made = capture_kinds.made(kind)
        frames += [renamed(frame, APART * number) for frame in made.frames]
        ends[kind] = len(frames)
        secrets += made.secrets
    assert len(dict(secrets)) == len(set(secrets)), "two sessions with one client random"
    write_capture(folder / "a.pcapng", frames, secrets if with_secrets else ())
    found = [_printed(packet) for packet in packets(folder / "a.pcapng", folder, *options)]
    assert len(found) == len(frames)
    starts = [0, *ends.values()]
    return {kind: found[start:end] for start, (kind, end) in zip(starts, ends.items(), strict=False)}


def renamed(frame: CapturedFrame, by: int) -> CapturedFrame:
    """The same from and to SEDs of other ids."""
    data = frame.frame
    if data[:2] == MAGIC and len(data) >= HEADER.size:
        magic, *ids, length = HEADER.unpack_from(data)
        target, source = (n + by if LOWEST_SED_ID <= n < APART else n for n in ids)
        data = HEADER.pack(magic, target, source, length) + data[HEADER.size :]
    return replace(frame, sed=frame.sed + by, frame=data)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Printed]]:
    return printed(KINDS, tmp_path_factory.mktemp("everything"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_are_tsharks(kind: str, everything: dict[str, list[Printed]]) -> None:
    made = capture_kinds.made(kind)
    assert limits(made, key_log(made), everything[kind]) == LIMITED.get(kind, {})


def test_the_fields_are_tsharks_without_secrets(tmp_path: Path) -> None:
    kinds = ("registered-964", "aes-128", "rsa", "rsa-etm")
    for kind, theirs in printed(kinds, tmp_path, with_secrets=False).items():
        assert limits(capture_kinds.made(kind), Secrets(), theirs) == {}, kind


def test_the_servers_key_alone_opens_what_it_opens_for_tshark(tmp_path: Path) -> None:
    kinds = [kind for kind in KINDS if kind.startswith("rsa")]
    (key,) = {capture_kinds.made(kind).server_key for kind in kinds}
    (tmp_path / "key.pem").write_bytes(key)
    option = f'uat:rsa_keys:"{tmp_path / "key.pem"}",""'
    for kind, theirs in printed(kinds, tmp_path, "-o", option, with_secrets=False).items():
        secrets = Secrets()
        assert secrets.add_key(key)
        assert limits(capture_kinds.made(kind), secrets, theirs) == {}, kind
        assert sum("data.data" in dict(frame.fields) for frame in theirs) == 3, kind


@pytest.mark.parametrize(
    ("kind", "names"),
    [("fragments-twice", EXEMPT.keys() - {"dtls.resumed"}), ("lost-flight-4-thrice", {"dtls.resumed"})],
)
def test_what_is_exempt_occurs(kind: str, names: set[str], tmp_path: Path) -> None:
    write_capture(tmp_path / "a.pcapng", capture_kinds.made(kind).frames)
    names_printed = {
        e.get("name", "") for packet in packets(tmp_path / "a.pcapng", tmp_path) for e in packet.iter("field")
    }
    assert names <= names_printed


def test_every_field_of_ours_is_compared() -> None:
    """A name that `fields` learns to show must show on some capture here."""
    shown: set[str] = set()
    for kind in KINDS:
        made = capture_kinds.made(kind)
        tracker = Tracker(key_log(made))
        shown |= {name for frame in made.frames for name, _ in fields(tracker.feed(frame))}
    assert len(shown) == 96
