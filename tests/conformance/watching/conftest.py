import sys
from pathlib import Path

# for `memory_world`, which the tests of the reference use, and for `worlds`, which is ours
sys.path[:0] = [str(Path(__file__).parents[2] / "reference"), str(Path(__file__).parent)]
