"""How a firmware is given its certificates, other than by our image; and the programs of the user's that help."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign import Job
from conformance.iut import parse
from conformance.purpose import load_purposes
from conformance.results import CaseResult
from conformance.targets.base import HarnessError
from conformance.targets.commands import run as run_program
from conformance.targets.commands import words
from model.verdict import Verdict
from reference.deployment import Deployment

PURPOSES = {p.id: p for p in load_purposes()}
HISTORIC = Path(__file__).parent / "historic"
MAKE = """
import sys
from pathlib import Path
files, sed_id, output = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
names = ["boot-seed.bin", "ca.der", "certificate.der", "image.bin", "key.der"]
assert sorted(path.name for path in files.iterdir()) == names, "other files"
image = (files / "image.bin").read_bytes()
assert all((files / name).read_bytes() in image for name in names) and sed_id == "10"
print("made")
output.write_bytes(b"HEAD" + image)
"""
TAKE = f"""
import sys
sys.path.insert(0, {str(HISTORIC)!r})
import controller
from reference.controller import Controller
from reference.dialect import STANDARD
class Headed(Controller):
    def __init__(self, image, **more):
        super().__init__(image.removeprefix(b"HEAD") if image.startswith(b"HEAD") else b"", dialect=STANDARD)
controller.Historic = Headed
controller.main(sys.stdin.buffer, sys.stdout.buffer)
"""
BY_PROGRAM = {"kind": "program", "command": ["{python}", "{folder}/make.py", "{files}", "{id}", "{output}"]}


def run_case(folder: Path, case: str, **tables: Any) -> CaseResult:
    document = {"name": "x", "target": {"kind": "reference"}} | tables
    return Job(PURPOSES[case], "", None, "hardened", 0, folder, iut=parse(folder / "f.toml", document)).run()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "make.py").write_text(MAKE)
    (tmp_path / "take.py").write_text(TAKE)
    return tmp_path


TARGET = {"kind": "native", "command": ["{python}", "{folder}/take.py"]}


def test_a_program_makes_another_layout(folder: Path) -> None:
    done = run_case(folder, "unregistered-16", target=TARGET, provisioning=BY_PROGRAM)
    assert done.verdict is Verdict.PASS, done.reason
    done = run_case(folder, "unregistered-16", target=TARGET)
    assert done.verdict is Verdict.FAIL and "provisioning-magic" in done.reason


@pytest.mark.parametrize(
    ("program", "says", "evidence"),
    [
        ("import sys; print('no key'); sys.exit(2)", "ended with status 2", ["no key"]),
        ("pass", "wrote nothing to the file that {output} stands for", []),
    ],
)
def test_a_program_that_fails_is_an_error(folder: Path, program: str, says: str, evidence: list[str]) -> None:
    (folder / "make.py").write_text(program)
    done = run_case(folder, "register", provisioning=BY_PROGRAM)
    assert done.verdict is Verdict.ERROR and says in done.reason and done.evidence == evidence


def test_a_firmware_that_has_its_certificates_is_given_nothing(folder: Path) -> None:
    """The program takes the image of a deployment by itself; what it is given must be empty."""
    deployment = Deployment.create(range(9, 13), seed=b"given")
    deployment.save(folder / "fleet")
    (folder / "image.bin").write_bytes(deployment.image(10))
    given = TAKE.replace(
        'image.removeprefix(b"HEAD") if image.startswith(b"HEAD") else b""', "IMAGE if not image else b''"
    )
    given = given.replace("import sys\n", f"import sys\nIMAGE = open({str(folder / 'image.bin')!r}, 'rb').read()\n", 1)
    (folder / "take.py").write_text(given)
    how = {"kind": "given", "deployment": "fleet"}
    for case in ("register", "unregistered-16"):
        done = run_case(folder, case, target=TARGET, provisioning=how)
        assert done.verdict is Verdict.PASS, done.reason
    Deployment.create(range(9, 13), seed=b"another").save(folder / "other")
    done = run_case(folder, "register", target=TARGET, provisioning=how | {"deployment": "other"})
    assert done.verdict is Verdict.FAIL


def test_a_program_by_path_or_by_name(tmp_path: Path) -> None:
    program = tmp_path / "here"
    program.touch()
    assert words(["./here", "{id}", "{folder}/x"], tmp_path, {"id": "7"}) == [str(program), "7", f"{tmp_path}/x"]
    assert words(["{python}"], tmp_path, {})[0] == sys.executable
    with pytest.raises(HarnessError, match="no program no-such-program-anywhere"):
        words(["no-such-program-anywhere"], tmp_path, {})
    with pytest.raises(HarnessError, match="cannot be run: Permission denied"):
        run_program(["./here"], tmp_path, {})


def test_a_program_that_may_not_be_run_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    done = run_case(tmp_path, "register", target={"kind": "native", "command": ["./here"]})
    assert done.verdict is Verdict.ERROR and "may not be executed" in done.reason
    (tmp_path / "here").chmod(0o755)
    done = run_case(tmp_path, "register", target={"kind": "native", "command": ["./here"]})
    assert done.verdict is not Verdict.PASS, done.reason


@pytest.mark.parametrize("first", [1_000, 7_000])
def test_timers_reach_peers_judge_and_model(tmp_path: Path, first: int) -> None:
    """The reference keeps the file's timers, and so do the peers; 60 s is the last timeout of both."""
    protocol = {"first_timeout_ms": first, "idle_timeout_ms": 20_000}
    absent = run_case(tmp_path, "absent-peer", protocol=protocol)
    assert absent.verdict is Verdict.PASS, absent.reason
    assert absent.virtual_ms == {1_000: 123_000, 7_000: 165_000}[first]
    lost = run_case(tmp_path, "lost-flight-4-thrice", protocol=protocol)
    assert lost.verdict is Verdict.PASS, lost.reason
