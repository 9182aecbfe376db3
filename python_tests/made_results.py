"""Results of predictions made by hand: two partners with odd numbers and names, and scores that are known."""

import numpy as np

from resblock.pairs.patches import with_patches
from resblock.pairs.tables import RankedPair, Results, ScoredResidue, Side
from resblock.structure import Partner, Residue

BACKBONE = np.array([[0.0, 0.0, 0.0], [1.46, 0.0, 0.0], [2.0, 0.7, 0.0]])  # N, CA, C


def partner(path, residues, linked=None, sequence=None, sequence_index=None):
    """A partner whose k-th residue has a backbone bonded to that of the one before."""
    if linked is None:
        linked = [k > 0 and residues[k - 1].chain == r.chain for k, r in enumerate(residues)]
    count = len(residues)
    return Partner(
        path=str(path),
        residues=tuple(residues),
        atom_names=("N", "CA", "C") * count,
        elements=("N", "C", "C") * count,
        coordinates=np.concatenate([BACKBONE + np.array([3.3 * k, 0, 0]) for k in range(count)]),
        atom_residue=np.repeat(np.arange(count), 3),
        linked=np.array(linked),
        sequence=sequence or ("",) * len(dict.fromkeys(residue.chain for residue in residues)),
        sequence_index=np.full(count, -1) if sequence_index is None else np.array(sequence_index),
    )


RECEPTOR = partner(
    "receptor.pdb.gz",
    [
        Residue("", -5, "", "GLY", "GLY"),
        Residue("", 0, "", "ALA", "ALA"),
        Residue("", 52, "", "LEU", "LEU"),
        Residue("", 52, "A", "MSE", "MET"),
        Residue("H", 52, "A", "SER", "SER"),
        Residue("H", 53, "", "THR", "THR"),
    ],
)
LIGAND = partner(
    "ligand.cif",
    [
        Residue("B", 1, "", "ASP", "ASP"),
        Residue("B", 2, "", "GLU", "GLU"),
        Residue("B", 7, "B", "MSE", "MET"),
        Residue("BA", 12345, "", "LYS", "LYS"),
        Residue("BA", 12346, "", "ARG", "ARG"),
    ],
    linked=[False, True, False, False, True],
)
RECEPTOR_SCORES = np.array([0.0, 0.25, 0.5, 1.0, 0.123, 0.0])
LIGAND_SCORES = np.array([0.5, 0.0, 1.0, 0.1, 0.2])


def pair(rank, score, receptor, ligand):
    return RankedPair(rank, score, RECEPTOR.residues[receptor], LIGAND.residues[ligand])


RANKED = [
    pair(1, 1.0, 3, 2),
    pair(2, 0.5, 2, 0),
    pair(3, 0.25, 0, 2),
    pair(4, 1 / 3 - 0.2, 4, 4),
]


def side(role, of, probabilities, marked=None, area=10.0):
    """A partner whose residues have these probabilities; those marked are the `marked` likeliest, else all above 0."""
    order = [k for k in np.argsort(-np.asarray(probabilities), kind="stable").tolist() if probabilities[k] > 0]
    residues = tuple(
        ScoredResidue(
            partner=role,
            index=k,
            residue=residue,
            probability=float(probabilities[k]),
            best_score=float(probabilities[k]),
            rank=order.index(k) + 1 if k in order else None,
            marked=k in order[:marked],
            patch=None,
            area=area,
            plddt=None if of.plddt is None else float(of.plddt[k]),
        )
        for k, residue in enumerate(of.residues)
    )
    return Side(role, of, residues, ())


def results(ranked=RANKED, receptor=RECEPTOR, ligand=LIGAND, of_receptor=None, of_ligand=None, **fields):
    """Results of two partners; their residues' probabilities are those of the module by default."""
    of_receptor = RECEPTOR_SCORES if of_receptor is None else of_receptor
    of_ligand = LIGAND_SCORES if of_ligand is None else of_ligand
    candidates = np.arange(len(receptor)), np.arange(len(ligand))
    scores = np.zeros((len(receptor), len(ligand)), dtype=np.float32)
    for one in ranked:
        scores[receptor.residues.index(one.receptor), ligand.residues.index(one.ligand)] = one.score
    sides = with_patches(
        side("receptor", receptor, of_receptor), side("ligand", ligand, of_ligand), scores.astype(np.float32)
    )
    return Results(
        receptor=sides[0],
        ligand=sides[1],
        pairs=ranked,
        candidates=candidates,
        scores=scores,
        marking="by hand",
        **fields,
    )
