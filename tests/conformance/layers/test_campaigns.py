"""The campaigns beside this file, run by Scapy's own UTscapy, and the examples in docstrings."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import conformance.layers

HERE = Path(__file__).parent
CAMPAIGNS = sorted(HERE.glob("*.uts"))


def run(home: Path, *campaigns: Path) -> subprocess.CompletedProcess[str]:
    """UTscapy exits with 0 if every test passed. Its own import of Scapy fills a cache, not to be the user's."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "scapy.tools.UTscapy", "-b", "-f", "text", "-F"]
        + [word for campaign in campaigns for word in ("-t", str(campaign))],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=HERE.parents[2],
        env={**os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
    )


def test_campaigns(tmp_path: Path) -> None:
    done = run(tmp_path, *CAMPAIGNS)
    assert done.returncode == 0, done.stdout
    sizes = [len(re.findall(r"^= ", campaign.read_text(), re.MULTILINE)) for campaign in CAMPAIGNS]
    assert [f"PASSED={size} FAILED=0" for size in sizes] == re.findall(r"PASSED=\d+ FAILED=\d+", done.stdout)
    assert len(sizes) == 3 and min(sizes) > 10


def test_a_campaign_can_fail(tmp_path: Path) -> None:
    """Wherever the failure is in a test."""
    campaign = tmp_path / "a.uts"
    tests = ("from conformance.layers import *", "assert SCEWL().target == 1", "assert SCEWL().target == 1\nTrue")
    tests += ("for n in (0, 1):\n    assert n == 0", "SCEWL().target == 1")
    campaign.write_text("% title\n+ set\n" + "".join(f"= a test\n{test}\n" for test in tests))
    done = run(tmp_path, campaign)
    assert done.returncode != 0 and "PASSED=1 FAILED=4" in done.stdout


def test_examples() -> None:
    found = doctest.testmod(conformance.layers)
    assert found.failed == 0 and found.attempted > 3
