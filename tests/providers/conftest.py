import sys
from pathlib import Path

# The sample adapter is tried as it lies there, without being installed.
sys.path.append(str(Path(__file__).parents[2] / "samples" / "acme_adapter"))
