"""The campaigns beside this file, run by Scapy's own UTscapy, and the examples in docstrings."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import conformance.layers

HERE = Path(__file__).parent
CAMPAIGNS = sorted(HERE.glob("*.uts"))


def run(campaign: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """UTscapy exits with 0 if every test passed. Its own import of Scapy fills a cache, not to be the user's."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "scapy.tools.UTscapy", "-t", campaign, "-f", "text", "-F"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=HERE.parents[2],
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda path: path.stem)
def test_campaign(campaign: Path, tmp_path: Path) -> None:
    done = run(campaign, tmp_path)
    assert done.returncode == 0, done.stdout
    tests = len(re.findall(r"^= ", campaign.read_text(), re.MULTILINE))
    assert f"PASSED={tests} FAILED=0" in done.stdout and tests > 10


@pytest.mark.parametrize(
    "last", ["assert SCEWL().target == 1", "assert SCEWL().target == 1\nTrue", "for n in (0, 1):\n    assert n == 0"]
)
def test_a_campaign_can_fail(last: str, tmp_path: Path) -> None:
    campaign = tmp_path / "a.uts"
    campaign.write_text(f"% title\n+ set\n= passes\nfrom conformance.layers import *\n= fails\n{last}\n")
    done = run(campaign, tmp_path)
    assert done.returncode != 0 and "PASSED=1 FAILED=1" in done.stdout


def test_examples() -> None:
    found = doctest.testmod(conformance.layers)
    assert found.failed == 0 and found.attempted > 3
