import sys
from pathlib import Path

# for `air`, and for `wires`, which has a running SSS
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "reference" / "service")]
