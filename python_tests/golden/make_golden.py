"""Writes golden.npz: python python_tests/golden/make_golden.py

Run it only where a value is meant to change (FEATURE_VERSION or the included weights), and say how much it changed.
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.npz"
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402
import synthetic  # noqa: E402

from resblock import structure  # noqa: E402
from resblock.models import INCLUDED, load_ensemble  # noqa: E402
from resblock.pairs import Complex  # noqa: E402

EXAMPLE = Path(structure.__file__).parents[1] / "example"
COLUMNS = structure.EXTENDED_FEATURES
WEIGHTS = INCLUDED
VERSION = structure.FEATURE_VERSION


def example():
    """Receptor and ligand of the included example."""
    return {
        "receptor": structure.read_partner(EXAMPLE / "receptor.pdb"),
        "ligand": structure.read_partner(EXAMPLE / "ligand.cif"),
    }


def made(directory):
    """Two synthetic partners, written into the directory and read."""
    folds = {"helical": synthetic.helical_fold(), "mixed": synthetic.mixed_fold()}
    return {
        name: structure.read_partner(synthetic.write(Path(directory) / f"{name}.pdb", atoms))
        for name, atoms in folds.items()
    }


def features(partner):
    """(N, 142) of a partner's residues."""
    return structure.residue_features(partner, "extended")


def log_odds(tables, weights):
    """(n, m) float64 log-odds of the example's surface pairs, from these (N, 142) tables of its partners."""
    partners = {
        name: replace(structure.PartnerFeatures.of(partner), features=tables[name].astype(np.float32))
        for name, partner in example().items()
    }
    return load_ensemble(weights).complex_log_odds(Complex("example", **partners)).astype(np.float64)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.environ["RESBLOCK_CACHE"] = directory
        tables = {name: features(partner).astype(np.float32) for name, partner in (example() | made(directory)).items()}
        scores = {weights: log_odds(tables, weights).astype(np.float32) for weights in WEIGHTS}
    np.savez_compressed(GOLDEN, version=VERSION, columns=np.array(COLUMNS), **tables, **scores)
