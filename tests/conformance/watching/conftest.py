import sys
from pathlib import Path

# for `memory_world` and `wires`, which the tests of the reference use, and for `worlds`, which is ours
_TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(_TESTS / "reference"), str(_TESTS / "reference/service"), str(Path(__file__).parent)]
