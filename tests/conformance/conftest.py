import sys
from pathlib import Path

# for `capture_kinds`, which the tests share, and for the fuzzer, which is tried here
_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE / "captures"), str(_HERE / "machines"), str(_HERE.parent / "fuzz")]

from small_firmwares import build as build  # noqa: E402 - a fixture
