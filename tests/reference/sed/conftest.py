import sys
from pathlib import Path

# for `wires`, which has a running SSS
sys.path.insert(0, str(Path(__file__).parents[1] / "service"))
