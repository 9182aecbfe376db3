"""Dimers made from random numbers, with contacts that the features tell: something to learn in seconds."""

import dataclasses

import numpy as np
import torch

from resblock.nn import ChainNetwork, ChainNetworkConfig
from resblock.pairs import Dimer, DimerPartner
from resblock.pairs.dataset import standardisation
from resblock.pairs.graph import EDGE_SIZE
from resblock.scoring import ChainScorer
from resblock.structure import PAPER_FEATURES, Residue, feature_names


def made_partner(generator, size, chain):
    features = generator.normal(size=(size, len(PAPER_FEATURES))).astype(np.float32)
    titratable = generator.random(size) < 0.3
    features[~titratable, -2:] = np.nan
    linked = np.ones(size, dtype=np.bool_)
    linked[[0, size // 2]] = False
    return DimerPartner(
        residues=tuple(Residue(chain, k + 1, "", "ALA", "ALA") for k in range(size)),
        features=features,
        linked=linked,
        surface=generator.random(size) < 0.8,
        centres=np.arange(3 * size, dtype=np.float32).reshape(size, 3) ** 2 % 31,
        sides=np.zeros((size, 3), dtype=np.float32),
    )


def made_dimer(seed, code="made", sizes=(14, 9)):
    """The pairs with the largest sum of two features touch."""
    generator = np.random.default_rng(seed)
    receptor, ligand = (made_partner(generator, n, chain) for n, chain in zip(sizes, "AB", strict=True))
    sums = receptor.features[:, None, 0] + ligand.features[None, :, 0]
    limit = np.sort(sums[np.ix_(receptor.surface, ligand.surface)], axis=None)[-6]
    return Dimer(
        code=code,
        receptor=receptor,
        ligand=ligand,
        feature_names=PAPER_FEATURES,
        contact_area=np.where(sums >= limit, 10.0, 0.0).astype(np.float32),
        distance=(10.0 - sums).astype(np.float32),
    )


def widened(dimer):
    """The dimer as if prepared with the extended features: what is not of the paper's nine tells nothing."""
    names = feature_names("extended")
    generator = np.random.default_rng(0)

    def wide(partner):
        more = generator.normal(size=(len(partner), len(names) - len(PAPER_FEATURES))).astype(np.float32)
        return dataclasses.replace(partner, features=np.column_stack([partner.features, more]))

    return dataclasses.replace(dimer, receptor=wide(dimer.receptor), ligand=wide(dimer.ligand), feature_names=names)


def save_dimers(directory, count=8, wide=False):
    directory.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        dimer = made_dimer(k, f"D{k}")
        (widened(dimer) if wide else dimer).save(directory / f"D{k}.npz")
    return directory


def made_scorer(dimer, seed=2, encoder="attention lstm"):
    """A small `ChainScorer` that has learned nothing."""
    torch.manual_seed(seed)
    config = ChainNetworkConfig(input_size=9, edge_size=EDGE_SIZE, size=8, pair_size=8, encoder=encoder)
    given = (*standardisation([dimer]), dimer.feature_names)
    return ChainScorer(ChainNetwork(config), *given, {"seed": seed}, log_odds_shift=-3.0)
