"""The loop in C that the reference's speed is measured by does the same handshakes; how fast is not asked here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reference.deployment import Deployment
from reference.dialect import ECDHE_AES_256, RSA_AES_256

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import handshakes


@pytest.mark.parametrize("suite", [ECDHE_AES_256, RSA_AES_256])
def test_both_loops_shake_hands(suite: int, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = Deployment.create([3, 4], seed=b"tests/handshakes", suite=suite)
    with handshakes.loop_in_c(deployment) as c:
        for made in (handshakes.Sessions(deployment), handshakes.Controllers(deployment)):
            figures = handshakes.compare(made.round, c, rounds=2, each=1, name="test")
            assert figures["python_ms"] > 0 and figures["c_ms"] > 0
    assert "test: round 2 of 2\n" in capsys.readouterr().err


def test_a_certificate_that_is_refused_ends_the_loop_in_c(capfd: pytest.CaptureFixture[str]) -> None:
    """It verifies: with the names of other devices there is no handshake."""
    deployment = Deployment.create([3, 4], seed=b"tests/handshakes")
    deployment.seds[3], deployment.seds[4] = deployment.seds[4], deployment.seds[3]
    with handshakes.loop_in_c(deployment) as c, pytest.raises(SystemExit, match="ended with exit code 1"):
        c(1)
    assert "handshake: -0x2700" in capfd.readouterr().err
