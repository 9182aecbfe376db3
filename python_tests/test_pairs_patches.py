"""Patches: groups that hang together, by hand, and which goes with which."""

import dataclasses

import numpy as np
from made_results import partner, side

from resblock.pairs.patches import NEIGHBOURS, neighbouring, with_patches
from resblock.structure import Residue


def row(chain, places):
    """Residues of one chain at these places along x, Angstrom."""
    made = partner(f"{chain}.pdb", [Residue(chain, k + 1, "", "ALA", "ALA") for k in range(len(places))])
    xyz = np.zeros_like(made.coordinates)
    xyz[:, 0] = np.repeat(places, 3)
    return dataclasses.replace(made, coordinates=xyz)


def test_residues_within_five_angstrom_hang_together():
    chain = row("A", [0.0, NEIGHBOURS, 2 * NEIGHBOURS + 0.01, 40.0, 3 * NEIGHBOURS])
    assert neighbouring(chain, [0, 1, 2, 3, 4]) == [[0, 1], [2, 4], [3]]
    assert neighbouring(chain, [0, 2, 4]) == [[0], [2, 4]], "what is not marked joins nothing"
    assert neighbouring(chain, []) == []


def test_patches_are_ranked_by_what_to_expect_of_them_and_go_with_one_another():
    receptor = side("receptor", row("A", [0, 4, 50, 54, 100]), [0.2, 0.2, 0.9, 0.1, 0.0])
    ligand = side("ligand", row("B", [0, 50, 54]), [0.3, 0.4, 0.5])
    scores = np.zeros((5, 3), dtype=np.float32)
    scores[0, 1] = scores[1, 1] = 0.1
    scores[2, 0] = 0.3
    scores[2, 1] = 0.05
    first, second = with_patches(receptor, ligand, scores)
    assert [[one.index for one in patch.residues] for patch in first.patches] == [[2, 3], [0, 1]]
    assert [patch.rank for patch in first.patches] == [1, 2]
    assert [patch.expected for patch in first.patches] == [1.0, 0.4]
    assert [patch.probability for patch in first.patches] == [0.5, 0.2]
    assert [patch.area for patch in first.patches] == [20.0, 20.0]
    assert [one.patch for one in first.residues] == [2, 2, 1, 1, None]
    # The ligand's: residues 1 and 2 (0.9 to expect), then residue 0.
    assert [patch.goes_with for patch in first.patches] == [2, 1]
    assert [patch.goes_with for patch in second.patches] == [2, 1]


def test_without_marked_residues_there_is_no_patch():
    receptor = side("receptor", row("A", [0, 4]), [0.0, 0.0])
    ligand = side("ligand", row("B", [0, 4]), [0.5, 0.0])
    first, second = with_patches(receptor, ligand, np.zeros((2, 2), dtype=np.float32))
    assert first.patches == ()
    assert [patch.goes_with for patch in second.patches] == [None]
