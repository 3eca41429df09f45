"""A short run of the fuzzer (`make fuzz` is the long one), what it found before, and whether it can find anything."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fuzz_consume
import fuzz_run
import pytest
from fuzz_consume import PROGRAM, TURNS, Consumer
from fuzz_corpus import Seed, corpus
from fuzz_mutate import Case, make_case

from conformance.capture import CapturedFrame, KeyLogText, Problem, read_capture, write_capture
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import SeenRecord
from conformance.sessions.track import Tracker
from conformance.wire.frames import Frame
from conformance.wire.handshake import Fragment, HandshakeType, Message
from conformance.wire.records import DTLS_1_2, ContentType, Malformed, Record
from model.alphabet import Link

SEED, CASES = 1, 2_000
"""Of the short run."""


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    return corpus()


def test_nothing_is_found_in_a_short_run(seeds: list[Seed]) -> None:
    done = fuzz_run.chunk(Consumer(), seeds, SEED, range(CASES))
    assert [f"{f.number}: {f.text}" for f in done.findings] == []


def test_a_case_is_the_same_bytes_always(seeds: list[Seed]) -> None:
    chosen = range(0, 300, 7)
    assert [make_case(seeds, 5, n) for n in chosen] == [make_case(corpus(), 5, n) for n in chosen]
    assert make_case(seeds, 5, 3).data != make_case(seeds, 6, 3).data


# --- what it found before


def sent(*payloads: bytes) -> list[CapturedFrame]:
    """Datagrams that SED 10 sends to SED 11."""
    return [CapturedFrame(n, Link.RADIO, False, 10, Frame(11, 10, p).encode()) for n, p in enumerate(payloads)]


def two_flights_end_at_once() -> list[CapturedFrame]:
    """One fragment completes two messages, each of which ends a flight."""
    request = Message(HandshakeType.HELLO_VERIFY_REQUEST, 6, b"\xfe\xff\x04abcd")
    first, second = (Fragment(request.type, 7, 5, at, request.body[at : at + 4]) for at in (0, 4))
    fragments = first.encode() + request.encode() + second.encode()
    return sent(Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 0, fragments).encode())


def server_name_of_one_byte() -> list[CapturedFrame]:
    """A list of names that holds none."""
    hello = b"\xfe\xfd" + bytes(32) + b"\0\0" + b"\0\2\xc0\x2c" + b"\1\0" + b"\0\7" + b"\0\0\0\3\0\1\xff"
    message = Message(HandshakeType.CLIENT_HELLO, 0, hello)
    return sent(Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 0, message.encode()).encode())


FOUND = {
    "two-flights-end-at-once": two_flights_end_at_once,
    "no-frames": lambda: [],
    "server-name-of-one-byte": server_name_of_one_byte,
}
"""Captures, reduced by hand."""


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_mended(name: str, tmp_path: Path) -> None:
    write_capture(tmp_path / "a.pcapng", FOUND[name]())
    data = (tmp_path / "a.pcapng").read_bytes()
    consumer = Consumer()
    for turn in range(len(PROGRAM)):  # with everything that it does in turns
        consumer.take(Case(turn * max(TURNS.values()) * TURNS["keep"], data, b"", "", frozenset(), ""))


# --- whether it reaches what it should, and finds what is there


EXPECTED = ("problem", "no frame", "bad record", "bad fragment, plain", "bad fragment, opened", "refused", "opened")


def test_the_mutations_reach_every_parser(seeds: list[Seed]) -> None:
    """Kinds of damage that the readers see, in some hundred cases: in files, in records, and behind the decryption."""
    told: Counter[str] = Counter()
    for number in range(600):
        case = make_case(seeds, SEED, number)
        secrets = Secrets()
        secrets.add_key_log(case.key_log)
        tracker = Tracker(secrets)
        for entry in read_capture(io.BytesIO(case.data)):
            if isinstance(entry, KeyLogText):
                secrets.add_key_log(entry.text)
            elif isinstance(entry, Problem):
                told["problem"] += 1
            elif isinstance(entry, CapturedFrame):
                seen = tracker.feed(entry)
                told["no frame"] += seen.frame is None
                for record in seen.records:
                    told["bad record"] += isinstance(record, Malformed)
                    if isinstance(record, SeenRecord):
                        bad = any(isinstance(f, Malformed) for f in record.fragments)
                        told[f"bad fragment, {record.protection.value}"] += bad
                        told[record.protection.value] += 1
    assert not [what for what in EXPECTED if told[what] < 10], told


def planted(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """A reader that stumbles over an alert of two bytes in a session."""

    def stumble(datagram: bytes) -> str:
        if datagram[:1] == b"\x15" and datagram[11:13] == b"\0\2":
            raise error("an alert")
        return ""

    monkeypatch.setattr(fuzz_consume, "describe", stumble)


def test_a_finding_is_written_with_what_makes_it_again(
    seeds: list[Seed], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted(monkeypatch, IndexError)
    done = fuzz_run.chunk(Consumer(), seeds, SEED, range(200))
    assert done.findings and {f.place.split()[0] for f in done.findings} == {"IndexError"}
    finding = done.findings[0]
    fuzz_run.write(tmp_path, SEED, finding)
    text = (tmp_path / f"finding-{SEED}-{finding.number}.txt").read_text()
    assert f"--seed {SEED} --only {finding.number}" in text and "IndexError: an alert" in text
    case = make_case(seeds, SEED, finding.number)
    assert (tmp_path / f"finding-{SEED}-{finding.number}.pcapng").read_bytes() == case.data
    again = fuzz_run.take(Consumer(), case)
    assert again is not None and again.place == finding.place


@pytest.mark.parametrize("name", fuzz_consume.MOST_KEPT)
def test_a_table_that_grows_is_found(name: str, seeds: list[Seed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz_consume.MOST_KEPT, name, 50_000)
    done = fuzz_run.chunk(Consumer(), seeds, SEED, range(0, 400, 5))
    assert [f.place for f in done.findings] == ["Grown"]


def test_the_program_ends_with_0_if_nothing_is_found(tmp_path: Path) -> None:
    command = [sys.executable, fuzz_run.__file__, "--count", "30", "--jobs", "2", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "30 cases, 0 findings\n"), done.stderr
    assert "30 of 30 cases" in done.stderr and not (tmp_path / "out").exists()
