"""Every feature is what docs/features.md says, computed slowly from there by feature_definitions.py."""

import re
from pathlib import Path

import feature_definitions
import numpy as np
import pytest
from synthetic import helical_fold, mixed_fold, write
from tolerances import DEFINITION, DEFINITION_SPREAD

from resblock import structure
from resblock.structure.tessellation import tessellate

EXAMPLE = Path(structure.__file__).parents[1] / "example"
COLUMNS = structure.EXTENDED_FEATURES
PARTNERS = ("receptor.pdb", "ligand.cif", "helical.pdb", "mixed.pdb")


@pytest.fixture(scope="module", params=PARTNERS)
def fast_and_slow(request, tmp_path_factory):
    """Two (N, 142) tables of one partner."""
    made = {"helical.pdb": helical_fold, "mixed.pdb": mixed_fold}
    if request.param in made:
        path = write(tmp_path_factory.mktemp("made") / request.param, made[request.param]())
    else:
        path = EXAMPLE / request.param
    partner = structure.read_partner(path)
    table = structure.residue_features(partner, "extended")
    cells = tessellate(partner.coordinates, np.array(feature_definitions.Atoms(partner).radii))
    contacts = [(a, b, area) for (a, b), area in zip(cells.pairs.tolist(), cells.areas.tolist(), strict=True)]
    propka = table[:, COLUMNS.index("pKa-PROPKA")]
    rows = feature_definitions.extended_table(partner, contacts, cells.accessible.tolist(), propka)
    assert all(set(row) == set(COLUMNS) for row in rows)
    return table, np.array([[row[name] for name in COLUMNS] for row in rows])


def test_features_are_as_defined(fast_and_slow):
    fast, slow = fast_and_slow
    for k, name in enumerate(COLUMNS):
        spread = name.startswith(("flatness spread", "flatness ratio"))
        atol = DEFINITION_SPREAD if spread else DEFINITION
        np.testing.assert_allclose(fast[:, k], slow[:, k], rtol=1e-9, atol=atol, err_msg=name)


def test_the_documentation_names_every_radius_and_group():
    text = (Path(__file__).parents[1] / "docs" / "features.md").read_text()
    assert f"`extended`: {len(COLUMNS)}" in text
    sets = {
        "neighbours": "(6: 6, 8, 10, 12, 14, 18)",
        "half sphere up": "(3 x 2: 10, 13, 16)",
        "convexity side": "(5 x 3: 8, 10, 14, 20, 28)",
        "flatness height": "(2 x 3: 10, 14)",
        "mean RESA": "(3 x 9: 6, 10, 14)",
        "patch sticky AESA": "(3 x 3: 8, 12, 16)",
    }
    for group, radii in sets.items():
        there = [name.rpartition(" ")[2] for name in COLUMNS if name.rpartition(" ")[0] == group]
        assert ", ".join(there) == re.sub(r"\(.*: (.*)\)", r"\1", radii)
        assert radii in text
