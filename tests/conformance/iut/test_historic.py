"""A controller that we did not write, as far as that can be had: the historic one, a program of its own."""

from __future__ import annotations

import json
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.targets.native import NativeTarget
from model.alphabet import Link
from reference.frame import Frame

HISTORIC = Path(__file__).parent / "historic"
CASES = ["register", "deregister", "across-registration", "lost-flight-4", "registered-964", "wrong-name-client"]
CASES += ["foreign-client", "response-trailing", "response-header-only", "sss-restart"]
SKIPPED = ["glare-lower", "yield-bounded", "client-finished-wrong"]

Run = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run cases of the file, with texts replaced: the exit code, and the report's cases by name."""

    def run(cases: list[str], *changes: tuple[str, str]) -> tuple[int, dict[str, dict[str, str]]]:
        text = (HISTORIC / "historic.toml").read_text().replace("{folder}", str(HISTORIC))
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "historic.toml").write_text(text)
        arguments = [
            "conform",
            *cases,
            "--iut",
            str(tmp_path / "historic.toml"),
            "--out",
            str(tmp_path / "out"),
            "--json",
        ]
        code = main(arguments)
        report = json.loads(capsys.readouterr().out)
        return code, {case["case"]: case for case in report["cases"]}

    return run


def test_it_passes_with_what_it_does_not_claim_skipped(run: Run) -> None:
    names = [*CASES, "broadcast", *SKIPPED]
    code, cases = run(names)
    assert {name: case["verdict"] for name, case in cases.items()} == {
        **dict.fromkeys(CASES, "PASS"),
        "broadcast": "FAIL",
        **dict.fromkeys(SKIPPED, "SKIPPED"),
    }
    assert code == 0
    assert cases["broadcast"]["known"].startswith("Passes the CPU's broadcasts to the radio")
    assert cases["glare-lower"]["reason"] == "The firmware does not claim SES-9."
    assert "RSA" in cases["client-finished-wrong"]["reason"]
    assert "--iut" in cases["register"]["reproduce"]


@pytest.mark.parametrize(
    ("case", "old", "new"),
    [
        ("glare-lower", 'claimed = ["FRM-1"', 'claimed = ["SES-9", "FRM-1"'),
        ("register", '"22-byte"', '"10-byte"'),
        ("unregistered-16", "{id}_PROVISION", "{id}_PROVISIONED"),
        ("unregistered-16", "rsa-aes256", "ecdhe-ecdsa-aes256"),
        ("lost-flight-4", "[rules]", "first_timeout_ms = 1000\n[rules]"),
        ("broadcast", 'case = "broadcast"', 'case = "bad-magic"'),
    ],
)
def test_it_fails_by_another_file(run: Run, case: str, old: str, new: str) -> None:
    code, cases = run([case], (old, new))
    assert (code, cases[case]["verdict"]) == (1, "FAIL")


def test_a_deviation_that_is_gone_fails_the_run(run: Run) -> None:
    code, cases = run(["register"], ('case = "broadcast"', 'case = "regist*"'))
    assert (code, cases["register"]["verdict"], cases["register"]["expected"]) == (1, "PASS", "FAIL")


def test_an_entry_for_no_case_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (HISTORIC / "historic.toml").read_text().replace('case = "broadcast"', 'case = "brodcast"')
    (tmp_path / "f.toml").write_text(text)
    assert main(["conform", "--iut", str(tmp_path / "f.toml"), "--list"]) == 2
    assert "no case brodcast for a known deviation. Did you mean broadcast?" in capsys.readouterr().err


def test_the_report_says_what_was_described(run: Run, tmp_path: Path) -> None:
    run(["bad-magic"])
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (told["target"], told["firmware"]["name"]) == ("native", "the historic controller")
    assert told["firmware"]["not_claimed"] == "SES-9" and len(told["firmware"]["iut_sha256"]) == 64
    assert told["command"].startswith("scewl conform bad-magic --iut ") and "--profile" not in told["command"]


def test_a_file_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "my.toml")
    assert main(["conform", "--init-profile", path]) == 0
    assert f"scewl conform --iut {path}" in capsys.readouterr().out
    assert main(["conform", "--init-profile", path]) == 2
    assert f"{path} is there already: remove it, or name another file" in capsys.readouterr().err


def test_its_capture_says_what_is_settled(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise, whoever judges it expects the names of the protocol page."""
    run(["register"])
    main(["inspect", str(tmp_path / "out" / "register.pcapng"), "--judge"])
    assert "SED 10: ALLOWED" in capsys.readouterr().out


def test_only_what_is_skipped_is_nothing_selected(run: Run) -> None:
    code, cases = run(["glare-lower"])
    assert (code, cases["glare-lower"]["verdict"]) == (4, "SKIPPED")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "qemu"], "leave --target, --firmware and --profile out"),
        (["--profile", "historic"], "leave --target, --firmware and --profile out"),
    ],
)
def test_options_that_say_the_same(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--iut", str(HISTORIC / "historic.toml"), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_trace_is_replayed_with_its_file(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["register"])
    trace = str(tmp_path / "out" / "register.jsonl")
    assert main(["replay", trace, "--out", str(tmp_path / "again")]) == 3
    assert "it was recorded on 'the historic controller': name its file with --iut" in capsys.readouterr().err
    assert main(["replay", trace, "--out", str(tmp_path / "again"), "--iut", str(tmp_path / "historic.toml")]) == 0
    again = (tmp_path / "again" / "register.jsonl").read_text()
    assert again == Path(trace).read_text()


def test_it_registers_with_a_service_that_has_its_settings(tmp_path: Path) -> None:
    """From `scewl provision` to the CPU's answer; `scewl sss` is told nothing but the deployment's folder."""
    scewl = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())"]
    folder, wires = tmp_path / "deployment", tmp_path / "wires"
    settings = ["--suite", "rsa-aes256", "--cn-pattern", "{id}_PROVISION", "--registration", "22-byte"]
    subprocess.run([*scewl, "provision", folder, "--ids", "10", *settings], check=True, stdout=subprocess.DEVNULL)
    command = [*scewl, "sss", "--deployment", str(folder), "--listen", f"unix:{wires}"]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    device = NativeTarget(Path(sys.executable), arguments=[str(HISTORIC / "controller.py")])
    try:
        assert service.stderr is not None
        assert select.select([service.stderr], [], [], 60)[0]
        started = json.loads(service.stderr.readline())
        assert (started["suite"], started["registration"]) == ("0x009D", "22-byte")
        device.boot((folder / "images" / "10.bin").read_bytes())
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(wires))
            wire.settimeout(60)
            assert [ask(device, wire, op) for op in (0, 0, 1, 1)] == [0, 0, 1, -1]
    finally:
        device.close()
        service.kill()
        service.communicate()


def ask(device: NativeTarget, wire: socket.socket, op: int) -> int:
    """The CPU's request and the op of its answer."""
    reaction = device.send(Link.CPU, Frame(1, 10, struct.pack("<Hh", 10, op)).encode())
    while True:
        wire.sendall(b"".join(data for link, data in reaction.chunks if link is Link.SSS))
        for data in (data for link, data in reaction.chunks if link is Link.CPU):
            assert data[:10] == struct.pack("<2sHHHH", b"SC", 10, 1, 4, 10)
            return int.from_bytes(data[10:12], "little", signed=True)
        data = wire.recv(4_096)
        assert data, "the service closed the connection"
        reaction = device.send(Link.SSS, data)
