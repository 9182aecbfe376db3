"""Features and scores are those of the golden file; golden/make_golden.py says where it comes from."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tolerances import GOLDEN_FEATURE, GOLDEN_LOG_ODDS, GOLDEN_PKA

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import make_golden

SCORE = """
import sys
import numpy as np
import make_golden
tables = np.load(make_golden.GOLDEN)
np.savez(sys.argv[1], **{weights: make_golden.log_odds(tables, weights) for weights in make_golden.WEIGHTS})
"""


@pytest.fixture(scope="module")
def golden():
    return np.load(make_golden.GOLDEN)


@pytest.fixture(scope="module")
def partners(tmp_path_factory):
    return make_golden.example() | make_golden.made(tmp_path_factory.mktemp("golden"))


def test_the_golden_file_is_of_this_version(golden):
    assert int(golden["version"]) == make_golden.VERSION
    assert golden["columns"].tolist() == list(make_golden.COLUMNS)


@pytest.mark.parametrize("name", ["receptor", "ligand", "helical", "mixed"])
def test_features(name, golden, partners):
    table = make_golden.features(partners[name])
    predicted = np.array(["pKa-PROPKA" in column for column in make_golden.COLUMNS])
    np.testing.assert_allclose(
        table[:, ~predicted], golden[name][:, ~predicted], rtol=GOLDEN_FEATURE, atol=GOLDEN_FEATURE
    )
    np.testing.assert_allclose(table[:, predicted], golden[name][:, predicted], rtol=0, atol=GOLDEN_PKA)


def test_the_golden_features_tell_mistakes_apart(golden):
    """Every column varies within a structure, or between the structures."""
    tables = np.concatenate([golden[name] for name in ("receptor", "ligand", "helical", "mixed")])
    assert (np.nanstd(tables, axis=0) > 100 * GOLDEN_FEATURE).all()


@pytest.mark.parametrize("isa", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_scores_of_the_included_weights(isa, golden, tmp_path):
    """An instruction set is chosen when the core is first used, hence a process for each."""
    out = tmp_path / "scores.npz"
    subprocess.run(
        [sys.executable, "-c", SCORE, out],
        check=True,
        env={**os.environ, "RESBLOCK_ISA": isa, "OMP_NUM_THREADS": "1"},
        cwd=make_golden.HERE,  # not the source tree, which would hide the installed package
    )
    scores = np.load(out)
    for weights in make_golden.WEIGHTS:
        np.testing.assert_allclose(scores[weights], golden[weights], rtol=0, atol=GOLDEN_LOG_ODDS)
