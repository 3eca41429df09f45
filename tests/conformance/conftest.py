import sys
from pathlib import Path

# for `capture_kinds`, which the tests share, and for the fuzzer, which is tried here
sys.path[:0] = [str(Path(__file__).parent / "captures"), str(Path(__file__).parents[1] / "fuzz")]
