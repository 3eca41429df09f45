"""`scewl inspect` on real captures: every option, every message, exit codes, streaming."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from capture_kinds import Made, made

from conformance.capture import CapturedFrame, Context, KeyLogText, read_capture, write_capture
from conformance.wire.secrets import KeyLog
from model.alphabet import Link
from reference.deployment import Deployment

PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "inspect"]
LUA = Path(__file__).parents[3] / "conformance" / "wireshark" / "scewl.lua"


@pytest.fixture
def capture(tmp_path: Path) -> Callable[..., Path]:
    def write(kind: str, *, secrets: bool = True, context: bool = True) -> Path:
        what: Made = made(kind)
        path = tmp_path / f"{kind}.pcapng"
        write_capture(path, what.frames, what.secrets if secrets else (), what.context if context else None)
        return path

    return write


def key_log(kind: str) -> str:
    log = KeyLog()
    for pair in made(kind).secrets:
        log.add(*pair)
    return log.text()


# --- views


def test_the_table(scewl, capture) -> None:
    ended = scewl("inspect", capture("register"))
    assert ended.code == 0 and ended.err == ""
    assert ended.out.splitlines() == [
        "    no.     time (s)  SED       link   from > to      session  record     what",
        "      1     0.000000  10    in  cpu    CPU > SSS                          request: register 10",
        "      2     0.000000  10    out sss    10 > SSS             1  0/0        ClientHello",
        "      3     0.000000  10    in  sss    SSS > 10             1  0/0        HelloVerifyRequest",
        "      4     0.000000  10    out sss    10 > SSS             1  0/1        ClientHello with cookie",
        "      5     0.000000  10    in  sss    SSS > 10             1  0/1-5      ServerHello, Certificate, "
        "ServerKeyExchange, CertificateRequest, ServerHelloDone",
        "      6     0.000000  10    out sss    10 > SSS             1  0/2-5, 1/0 Certificate, ClientKeyExchange, "
        "CertificateVerify, CCS, Finished",
        "      7     0.000000  10    in  sss    SSS > 10             1  0/6, 1/0   CCS, Finished",
        "      8     0.000000  10    out sss    10 > SSS             1  1/1        data #1, 4 B  "
        "[request: register 10]",
        "      9     0.000000  10    in  sss    SSS > 10             1  1/1        data #1, 844 B  "
        "[response: registered 10, CA certificate 379 B, certificate 334 B, key 121 B]",
        "     10     0.000000  10    out sss    10 > SSS             1  1/2        close_notify",
        "     11     0.000000  10    out cpu    SSS > CPU                          answer: registered 10",
        "     12     0.000000  10    in  sss    SSS > 10             1  1/2        close_notify",
        "12 frames; 1 session, 1 decrypted",
    ]


def test_retransmissions_are_noted(scewl, capture) -> None:
    out = scewl("inspect", capture("lost-flight-2")).out
    lines = [line for line in out.splitlines() if "ClientHello  [retransmission of frame 2]" in line]
    assert len(lines) == 1 and "7.000000" in lines[0]


def test_times_count_from_the_first_frame_unless_they_are_virtual(scewl, tmp_path: Path) -> None:
    frames = [replace(made("register").frames[n], time_us=1_700_000_000_000_000 + 250_000 * n) for n in range(2)]
    write_capture(tmp_path / "real.pcapng", frames)
    assert [line.split()[1] for line in scewl("inspect", tmp_path / "real.pcapng").out.splitlines()[1:3]] == [
        "0.000000",
        "0.250000",
    ]
    write_capture(tmp_path / "virtual.pcapng", frames[1:], context=Context(virtual=True))
    assert "1700000000.250000" in scewl("inspect", tmp_path / "virtual.pcapng").out


def test_the_ladder(scewl, capture) -> None:
    ended = scewl("inspect", capture("registered-16"), "--ladder", "--link", "radio")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["time", "(s)", "SED", "10", "SED", "11"]
    assert any("├───────▶│    " in line and "ClientHello with cookie" in line for line in lines)
    assert any("ServerHello … ServerHelloDone" in line for line in lines)


def test_statistics(scewl, capture) -> None:
    ended = scewl("inspect", capture("lost-flight-2"), "--stats")
    assert ended.code == 0
    words = [line.split() for line in ended.out.splitlines()]
    again = sum("[retransmission of" in line for line in scewl("inspect", capture("lost-flight-2")).out.splitlines())
    assert again and ["retransmitted", "frames:", str(again)] in words
    assert "complete handshake" in ended.out and "7.000000 s at most" in ended.out
    assert ended.out.startswith(f"{len(made('lost-flight-2').frames)} frames, ")


def test_json_is_a_line_for_each_frame_and_a_summary(scewl, capture) -> None:
    ended = scewl("inspect", capture("register"), "--json")
    *frames, summary = map(json.loads, ended.out.splitlines())
    assert [frame["number"] for frame in frames] == list(range(1, 13)) and {f["kind"] for f in frames} == {"frame"}
    hello = frames[3]
    assert (hello["what"], hello["flight"], hello["from_client"]) == ("ClientHello with cookie", 3, True)
    assert hello["records"][0]["fragments"][0]["message_seq"] == 1 and "fields" not in hello
    assert (summary["kind"], summary["frames"], summary["sessions"], summary["decrypted"]) == ("summary", 12, 1, 1)
    assert summary["statistics"]["sessions"][0]["suite"] == "0xC02C"
    (only,) = map(json.loads, scewl("inspect", capture("register"), "--json", "--stats").out.splitlines())
    assert only["statistics"] == summary["statistics"]


def test_every_field_of_one_frame(scewl, capture) -> None:
    ended = scewl("inspect", capture("register"), "--frame", 4)
    assert ended.code == 0
    lines = [line.strip() for line in ended.out.splitlines()]
    for line in ("dtls.handshake.message_seq: 1", "scewl.source: 10", "dtls.record.epoch: 0", "frame.number: 4"):
        assert line in lines
    (frame, _) = map(json.loads, scewl("inspect", capture("register"), "--frame", 4, "--json").out.splitlines())
    assert ["dtls.handshake.message_seq", "1"] in frame["fields"]


def test_every_field_of_every_frame_but_no_private_key(scewl, capture) -> None:
    ended = scewl("inspect", capture("register"), "--full")
    assert ended.out.count("frame.number: ") == 12
    assert "scewl.registration.key_length: 121" in ended.out
    assert "data.data: not shown: a response to a registration holds a private key" in ended.out
    assert "data.data: 0a:00:00:00" in ended.out  # the request is shown


# --- filters


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["--link", "cpu"], [1, 11]),
        (["--link", "cpu", "--link", "sss"], list(range(1, 13))),
        (["--frames", "3-5"], [3, 4, 5]),
        (["--frames", "11-"], [11, 12]),
        (["--frames=-2"], [1, 2]),
        (["--frames", "7"], [7]),
        (["--session", "1", "--frames", "9-12"], [9, 10, 12]),
        (["--device", "SSS", "--frames", "1-2"], [1, 2]),
        (["--device", "10"], list(range(1, 13))),
    ],
)
def test_filters(scewl, capture, filters: list[str], numbers: list[int]) -> None:
    *frames, summary = map(json.loads, scewl("inspect", capture("register"), "--json", *filters).out.splitlines())
    assert [frame["number"] for frame in frames] == numbers
    assert summary["shown"] == len(numbers) and summary["statistics"]["frames"] == len(numbers)


def test_a_filter_does_not_change_what_a_frame_is(scewl, capture) -> None:
    whole = scewl("inspect", capture("lost-flight-4")).out.splitlines()
    part = scewl("inspect", capture("lost-flight-4"), "--frames", "20-").out.splitlines()
    assert part[1:-1] == whole[20:-1]
    assert part[-1].startswith(f"{len(whole) - 2} frames; {len(part) - 2} shown; ")


def test_nothing_selected(scewl, capture) -> None:
    ended = scewl("inspect", capture("register"), "--device", "99")
    assert ended.code == 4 and "none of the 12 frames" in ended.err


# --- secrets


def test_a_key_log_decrypts(scewl, capture, tmp_path: Path) -> None:
    path = capture("register", secrets=False)
    assert "(sealed)" in scewl("inspect", path).out
    (tmp_path / "keys.txt").write_text(key_log("register"))
    ended = scewl("inspect", path, "--decrypt", tmp_path / "keys.txt")
    assert "(sealed)" not in ended.out and ended.err == "" and "1 decrypted" in ended.out


def test_a_key_log_of_others(scewl, capture, tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("".join(f"CLIENT_RANDOM {n:064x} {n:096x}\n" for n in range(3)))
    path = capture("register", secrets=False)
    ended = scewl("inspect", path, "--decrypt", tmp_path / "keys.txt")
    assert ended.code == 0
    assert f"none of the 3 secrets in {tmp_path / 'keys.txt'} belongs to a session in {path}" in ended.err
    assert f"{2:096x}" not in ended.out + ended.err


def test_the_key_of_a_server_with_rsa_key_exchange(scewl, capture, tmp_path: Path) -> None:
    path = capture("rsa", secrets=False)
    assert "0 decrypted" in scewl("inspect", path).out
    (tmp_path / "server.pem").write_bytes(made("rsa").server_key)
    assert "1 session, 1 decrypted" in scewl("inspect", path, "--decrypt", tmp_path / "server.pem").out


def test_a_deployment_opens_nothing_of_ecdhe_and_says_so(scewl, capture, tmp_path: Path) -> None:
    Deployment.create([10], seed=b"a").save(tmp_path / "deployment")
    ended = scewl("inspect", capture("register", secrets=False), "--decrypt", tmp_path / "deployment")
    assert ended.code == 0 and "has no RSA key" in ended.err and "0 decrypted" in ended.out


@pytest.mark.parametrize("content", [b"", b"hello", b"\x30\x82\x00\x01"])
def test_what_holds_no_keys(scewl, capture, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    ended = scewl("inspect", capture("register"), "--decrypt", tmp_path / "keys")
    assert ended.code == 2 and "neither a key log" in ended.err
    ended = scewl("inspect", capture("register"), "--decrypt", tmp_path / "key")
    assert ended.code == 2 and "Did you mean keys?" in ended.err
    ended = scewl("inspect", capture("register"), "--decrypt", tmp_path)
    assert ended.code == 2 and "no folder that `scewl provision` made" in ended.err


# --- judging


def test_an_honest_capture_is_allowed(scewl, capture) -> None:
    ended = scewl("inspect", capture("registered-964"), "--judge")
    assert ended.code == 0
    assert "SED 10: ALLOWED" in ended.out and "0 alarms of the bug-pattern monitors" in ended.out


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A capture in which the controller's close_notify leaves it once more at the end, as it was."""
    what = made("register")
    close = next(f for f in reversed(what.frames) if f.link == Link.SSS and not f.towards)
    write_capture(tmp_path / "wrong.pcapng", [*what.frames, close], what.secrets, what.context)
    return tmp_path / "wrong.pcapng"


def test_what_no_rule_allows_is_named_where_it_is(scewl, wrong: Path) -> None:
    ended = scewl("inspect", wrong, "--judge")
    assert ended.code == 1
    lines = ended.out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("     13"))
    assert lines[at + 1].startswith("   ^^^^ NOT ALLOWED, SED 10: ")
    (verdict,) = (line for line in lines if line.startswith("SED 10:"))
    assert "NOT ALLOWED" in verdict and "frame" in verdict and "13" in verdict
    objects = list(map(json.loads, scewl("inspect", wrong, "--judge", "--json").out.splitlines()))
    (verdict,) = (o for o in objects if o["kind"] == "verdict" and o["sed"] == 10)
    assert verdict["standing"] == "NOT_ALLOWED" and verdict["frames"] and verdict["requirements"]
    marked = scewl("inspect", wrong, "--judge", "--ladder").out.splitlines()
    assert any(line.startswith("▸") and "13 close_notify" in line for line in marked)


def test_a_profile_that_does_not_exist_is_a_damaged_comment(scewl, capture, tmp_path: Path) -> None:
    path = capture("register")
    path.write_bytes(path.read_bytes().replace(b'"hardened"', b'"hardoned"'))
    assert scewl("inspect", path, "--judge").code == 0


def test_judging_reads_standard_input_too(wrong: Path) -> None:
    with wrong.open("rb") as file:
        done = subprocess.run([*PROGRAM, "-", "--judge"], stdin=file, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and b"SED 10: NOT ALLOWED" in done.stdout


def test_monitors_alone(scewl, capture, wrong: Path) -> None:
    ended = scewl("inspect", capture("replayed-session"), "--monitors")
    assert ended.code == 0 and "0 alarms" in ended.out and "SED 10:" not in ended.out
    ended = scewl("inspect", capture("registered-16", secrets=False, context=False), "--monitors")
    assert "could not look" in ended.out and "(plaintext in 3" in ended.out
    ended = scewl("inspect", capture("registered-16", secrets=False), "--monitors", "--json")
    *_, blind, _ = map(json.loads, ended.out.splitlines())
    assert {"monitor": "data-after-close", "need": "plaintext", "sessions": [1, 2, 3]} in blind["monitors"]
    ended = scewl("inspect", wrong, "--monitors")
    assert ended.code == 1 and "^^^^ ALARM " in ended.out and "1 alarm of the bug-pattern monitors" in ended.out


# --- files


def test_files_are_written_for_their_owner_alone(scewl, capture, tmp_path: Path) -> None:
    out = [tmp_path / name for name in ("a.svg", "a.html", "b.pcapng")]
    ended = scewl("inspect", capture("register"), "--svg", out[0], "--html", out[1], "--write", out[2])
    assert ended.code == 0
    assert ended.out.splitlines() == ["12 frames; 1 session, 1 decrypted", *(f"written: {path}" for path in out)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in out] == [0o600] * 3
    assert ET.parse(out[0]).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert "<title>register.pcapng" in out[1].read_text()


def test_a_copy_says_what_each_frame_is(scewl, capture, tmp_path: Path) -> None:
    path = tmp_path / "copy.pcapng"
    scewl("inspect", capture("lost-flight-2"), "--judge", "--write", path)
    entries = list(read_capture(path))
    frames = [entry for entry in entries if isinstance(entry, CapturedFrame)]
    assert [f.frame for f in frames] == [f.frame for f in made("lost-flight-2").frames]
    (again,) = (f for f in frames if "retransmission of frame 2" in f.comment)
    assert "\nClientHello\n" in again.comment and "DTL-6" in again.comment
    assert any(isinstance(entry, KeyLogText) for entry in entries)
    assert [entry for entry in entries if isinstance(entry, Context)] == [made("lost-flight-2").context]
    assert scewl("inspect", path, "--judge").code == 0


def test_a_part_does_not_vouch_for_the_whole(scewl, capture, tmp_path: Path) -> None:
    path = tmp_path / "part.pcapng"
    scewl("inspect", capture("register"), "--link", "sss", "--write", path)
    (context,) = (entry for entry in read_capture(path) if isinstance(entry, Context))
    assert context.boots == {} and context.virtual


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_wireshark_reads_the_copy(scewl, capture, tmp_path: Path) -> None:
    path = tmp_path / "copy.pcapng"
    scewl("inspect", capture("register"), "--write", path)
    command = ["tshark", "-X", f"lua_script:{LUA}", "-r", path, "-T", "fields", "-e", "frame.comment"]
    command += ["-e", "data.data", "-e", "scewl.registration.op", "-e", "_ws.col.Info"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 12 and "ClientHello with cookie" in rows[3][0]
    assert next(row[1:3] for row in rows if row[1]) == ["0a000000", "0"]
    assert [row[2] for row in rows] == ["0", *[""] * 6, "0", "0", "", "0", ""]
    assert rows[3][3].startswith("SSS wire: Client Hello")


@pytest.mark.parametrize("option", ["--svg", "--html", "--write"])
def test_files_that_cannot_be(scewl, capture, tmp_path: Path, option: str) -> None:
    path = capture("register")
    before = path.read_bytes()
    ended = scewl("inspect", path, option, path)
    assert ended.code == 2 and "that is FILE" in ended.err and path.read_bytes() == before
    assert "a folder" in scewl("inspect", path, option, tmp_path).err
    assert f"no folder {tmp_path / 'no'}" in scewl("inspect", path, option, tmp_path / "no" / "file").err
    assert "two" not in scewl("inspect", path, option, tmp_path / "new").err


def test_two_files_of_one_name(scewl, capture, tmp_path: Path) -> None:
    ended = scewl("inspect", capture("register"), "--svg", tmp_path / "a", "--html", tmp_path / "a")
    assert ended.code == 2 and "that is --svg" in ended.err


# --- what is asked for wrongly


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ladder", "--stats"], "--ladder and --stats are two views"),
        (["--json", "--ladder"], "for machines"),
        (["--frame", "1", "--frames", "2"], "choose one"),
        (["--frames", "9-3"], "goes upwards"),
        (["--frames", "x"], "a range is A-B"),
        (["--frames", "-"], "a range is A-B"),
        (["--device", "70000"], "a SCEWL id is a number up to 65535"),
        (["--device", "sed10"], "a SCEWL id"),
        (["--link", "radios"], "Did you mean radio?"),
        (["--profile", "historic"], "--profile goes with --judge"),
        (["--lossless"], "--lossless goes with --judge"),
    ],
)
def test_usage(scewl, capture, options: list[str], message: str) -> None:
    ended = scewl("inspect", capture("register"), *options)
    assert ended.code == 2 and message in ended.err and ended.out == ""


def test_no_file_a_folder_a_near_name(scewl, capture, tmp_path: Path) -> None:
    path = capture("register")
    ended = scewl("inspect", tmp_path / "registr.pcapng")
    assert ended.code == 2 and "Did you mean register.pcapng?" in ended.err
    ended = scewl("inspect", tmp_path / "no" / "a.pcapng")
    assert ended.code == 2 and f"nor a folder {tmp_path / 'no'}" in ended.err
    ended = scewl("inspect", tmp_path)
    assert ended.code == 2 and f"such as {path}" in ended.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(scewl, capture) -> None:
    path = capture("register")
    path.chmod(0)
    ended = scewl("inspect", path)
    assert ended.code == 3 and "Permission denied" in ended.err


# --- files that are no captures, or damaged


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello world, this is text", "begins with 68 65 6c 6c: neither pcap nor pcapng"),
        (bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"), "link type 1 (ETHERNET), not USER0 (147)"),
    ],
)
def test_no_capture(scewl, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    ended = scewl("inspect", tmp_path / "a")
    assert ended.code == 3 and message in ended.err and "Traceback" not in ended.err
    assert ended.out == ""
    assert ("editcap -T user0" in ended.err) is (b"hello" not in content and content != b"")


def test_a_pcapng_of_another_link_type(scewl, capture) -> None:
    path = capture("register")
    data = path.read_bytes()
    assert data.count(b"\x93\0\0\0\0\0\0\0\x02\0") == 3  # of each interface: USER0, then its name
    path.write_bytes(data.replace(b"\x93\0\0\0\0\0\0\0\x02\0", b"\x01\0\0\0\0\0\0\0\x02\0"))
    ended = scewl("inspect", path)
    assert ended.code == 3 and ended.out.count("link type 1 (ETHERNET), not USER0 (147)") == 3
    assert "has no frame of SCEWL: interface 0 has link type 1" in ended.err and "editcap -T user0" in ended.err


def test_a_damaged_capture_is_shown(scewl, capture) -> None:
    path = capture("register")
    data = bytearray(path.read_bytes())
    offset = next(e.offset for e in read_capture(path) if isinstance(e, CapturedFrame) and e.number == 4)
    data[offset + 4 : offset + 8] = b"\xff\xff\xff\x7f"
    path.write_bytes(data[:-30])
    ended = scewl("inspect", path)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[4].startswith(f"   ---- at byte {offset:,}: ")
    assert lines[5].lstrip().startswith("4 ") and "ServerHello" in lines[5]
    assert lines[-1] == "10 frames; 1 session, 1 decrypted; 2 problems"
    assert f"2 problems; the first at byte {offset:,}" in ended.err
    kinds = [json.loads(line)["kind"] for line in scewl("inspect", path, "--json").out.splitlines()]
    assert kinds[:5] == ["frame", "frame", "frame", "problem", "frame"]
    assert kinds[-2:] == ["problem", "summary"]


def test_what_is_no_frame_is_shown(scewl, capture) -> None:
    ended = scewl("inspect", capture("junk-sss"))
    assert ended.code == 0 and "internal error" not in ended.err


# --- streams


def test_a_compressed_capture_on_standard_input(capture) -> None:
    data = gzip.compress(capture("register").read_bytes())
    done = subprocess.run([*PROGRAM, "-"], input=data, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"") and b"12 frames; 1 session, 1 decrypted" in done.stdout


def test_lines_come_before_the_end(capture) -> None:
    """A FIFO that is written one frame at a time: each frame's line comes while the writer holds the next one back."""
    path = capture("register")
    data = path.read_bytes()
    ends = [entry.offset for entry in read_capture(path) if isinstance(entry, CapturedFrame)][1:]
    with subprocess.Popen([*PROGRAM, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None and process.stdout is not None
        guard = Timer(60, process.kill)  # a line that never comes fails the test instead of holding it
        guard.start()
        begin, lines = 0, []
        for number, end in enumerate(ends, 1):
            process.stdin.write(data[begin:end])
            begin = end
            lines += [process.stdout.readline() for _ in range(2 if number == 1 else 1)]
            assert lines[-1].split()[0] == str(number).encode()
        process.stdin.write(data[begin:])
        process.stdin.close()
        assert process.stdout.read().endswith(b"12 frames; 1 session, 1 decrypted\n")
        assert process.wait(timeout=60) == 0
        guard.cancel()


def test_a_fifo_is_a_stream(capture, tmp_path: Path) -> None:
    path = capture("register")
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen([*PROGRAM, tmp_path / "fifo"], stdout=subprocess.PIPE) as process:
        (tmp_path / "fifo").write_bytes(path.read_bytes())
        assert process.communicate(timeout=60)[0].endswith(b"12 frames; 1 session, 1 decrypted\n")


def test_a_reader_that_leaves_is_no_error(capture) -> None:
    path = capture("registered-16384")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run([*PROGRAM, path], stdout=gone, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_interrupted(capture) -> None:
    data = capture("register").read_bytes()
    with subprocess.Popen(
        [*PROGRAM, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(data)
        process.stdin.flush()
        guard = Timer(60, process.kill)
        guard.start()
        process.stdout.readline()  # it is at work
        guard.cancel()
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and b"interrupted" in err and b"Traceback" not in err


def test_no_colour_without_a_terminal_and_none_with_no_color(scewl, capture) -> None:
    assert "\x1b" not in scewl("inspect", capture("register"), "--judge").out


def test_only_the_full_view_takes_scapy(capture) -> None:
    code = "import sys; from conformance.cli import main; main(sys.argv[1:]); print('scapy' in sys.modules)"
    for more, loaded in (([], "False"), (["--ladder"], "False"), (["--full"], "True")):
        command = [sys.executable, "-c", code, "inspect", str(capture("register")), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.splitlines()[-1] == loaded
