"""Writes features.json: python python_tests/golden/make_golden.py

Run it only when FEATURE_VERSION goes up, and look at the difference.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402
from synthetic import ALL_TYPES, helix, moved, write  # noqa: E402

from resblock.structure import FEATURE_VERSION, PAPER_FEATURES, read_partner  # noqa: E402
from resblock.structure.features import residue_features  # noqa: E402


def golden_partner(directory):
    """Two packed helices with all residue types."""
    second = moved(helix(ALL_TYPES[::-1]), shift=(0.0, 10.0, 2.0), chain="B")
    return read_partner(write(Path(directory) / "golden.pdb", helix(ALL_TYPES) + second))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.environ["RESBLOCK_CACHE"] = directory
        table = residue_features(golden_partner(directory))
    rows = [[None if np.isnan(x) else round(x, 6) for x in row] for row in table.tolist()]
    content = {"version": FEATURE_VERSION, "columns": PAPER_FEATURES, "rows": rows}
    text = json.dumps(content).replace("], [", "],\n[")
    (HERE / "features.json").write_text(text + "\n")
