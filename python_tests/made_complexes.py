"""Complexes made from random numbers, with contacts that the features tell: something to train on in seconds."""

import numpy as np
import torch

from resblock.models import Calibration, Scaling
from resblock.models.residues import ResidueModel, ResidueModelConfig
from resblock.models.windows import WindowModel, WindowModelConfig
from resblock.pairs import Complex, save_complex
from resblock.structure import EXTENDED_FEATURES, PAPER_FEATURES, PartnerFeatures, Residue
from resblock.structure.backbone import Backbone


def made_partner(generator, size, chain, names=PAPER_FEATURES):
    """N residues of one chain with a gap in the middle, on a lattice; features are random."""
    features = generator.normal(size=(size, len(names))).astype(np.float32)
    titratable = generator.random(size) < 0.3
    features[~titratable, 7:9] = np.nan
    linked = np.ones(size, dtype=np.bool_)
    linked[[0, size // 2]] = False
    centres = np.arange(3 * size, dtype=np.float32).reshape(size, 3) ** 2 % 31
    return PartnerFeatures(
        path=f"{chain}.pdb",
        residues=tuple(Residue(chain, k + 1, "", "ALA", "ALA") for k in range(size)),
        feature_names=tuple(names),
        features=features,
        backbone=Backbone(centres[:, None] + generator.normal(size=(size, 4, 3)), linked),
        centres=centres,
        surface=generator.random(size) < 0.8,
        sequence=("A" * (size + 2),),
        sequence_index=np.arange(1, size + 1),
        left_out=("3 HOH",),
    )


def made_complex(seed, code="made", sizes=(14, 9), names=EXTENDED_FEATURES):
    """The pairs with the largest sum of two features touch; what is not of the paper's nine tells nothing."""
    generator = np.random.default_rng(seed)
    receptor, ligand = (made_partner(generator, n, chain, names) for n, chain in zip(sizes, "AB", strict=True))
    sums = receptor.features[:, None, 0] + ligand.features[None, :, 0]
    limit = np.sort(sums[np.ix_(receptor.surface, ligand.surface)], axis=None)[-6]
    return Complex(
        code=code,
        receptor=receptor,
        ligand=ligand,
        contact_area=np.where(sums >= limit, 10.0, 0.0).astype(np.float32),
        distance=(10.0 - sums).astype(np.float32),
    )


def save_complexes(directory, count=8, names=EXTENDED_FEATURES):
    directory.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        save_complex(directory / f"D{k}.npz", made_complex(k, f"D{k}", names=names))
    return directory


def made_model(kind, complex, seed=2, **options):
    """A small untrained model of a kind."""
    torch.manual_seed(seed)
    given = Scaling.over([complex], PAPER_FEATURES), {"seed": seed}, Calibration(shift=-3.0)
    if kind == "windows":
        return WindowModel(WindowModelConfig(**{"num_layers": 4, **options}), *given)
    assert kind == "residues", f"made_model makes no {kind!r}"
    small = {"features": "paper", "size": 8, "pair_size": 8, "encoder": "attention lstm"}
    return ResidueModel(ResidueModelConfig(**{**small, **options}), *given)
