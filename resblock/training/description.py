"""Partners described by networks for inverse folding that have not seen them, to train other models on.

DIR/groups.tsv             clusters and groups of partners (`resblock homologues --groups`)
DIR/all.safetensors        trained on all; goes with the weights of what is trained on the described partners
DIR/group-K.safetensors    trained without group K (`resblock pretrain --leave-out K`); describes it
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.evaluation.groups import read_groups
from resblock.files import cache_directory, cached
from resblock.models import ModelConfig
from resblock.models.inverse_folding import InverseFolder, is_described
from resblock.pairs import Complex
from resblock.structure import PartnerFeatures, feature_names


@dataclasses.dataclass(frozen=True)
class Describer:
    """Networks of which each describes the partners of a group that it has not seen.

    Attributes
    ----------
    whole
        Trained on all.
    folders
        By the group that each was trained without.
    groups
        Group of each partner, by the code of its complex and its side.
    """

    whole: InverseFolder
    folders: Mapping[int, InverseFolder]
    groups: Mapping[tuple[str, str], int]

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Describer:
        """Read a directory.

        Raises
        ------
        InputError
            A file is missing or unusable, a network was trained with the group that it is to describe, or they are of
            different sizes.
        """
        directory = Path(directory)
        members = read_groups(directory / "groups.tsv")
        whole = InverseFolder.load(directory / "all.safetensors")
        folders = {}
        for group in sorted({member.group for member in members}):
            path = directory / f"group-{group}.safetensors"
            folders[group] = InverseFolder.load(path)
            if folders[group].card.get("left_out") != group:
                left_out = folders[group].card.get("left_out")
                raise InputError(f"{path}: was trained without group {left_out}, not {group}; see resblock pretrain")
            if folders[group].config.size != whole.config.size:
                raise InputError(f"{path}: has another size than all.safetensors; train all with the same settings")
        return cls(whole, folders, {(member.code, member.partner): member.group for member in members})

    def describe(self, complex: Complex) -> Complex:
        """Describe both partners of a complex.

        Raises
        ------
        InputError
            A partner is in no group.
        """
        described = []
        for side, partner in zip(complex.sides, complex.partners, strict=True):
            group = self.groups.get((complex.root, side))
            if group is None:
                raise InputError(f"{complex.code}: the {side} of {complex.root} is in no group; make the table anew")
            described.append(_cached(self.folders[group], partner))
        return dataclasses.replace(complex, receptor=described[0], ligand=described[1])


def _cached(folder: InverseFolder, partner: PartnerFeatures) -> PartnerFeatures:
    """`InverseFolder.describe`, whose columns are kept in the cache."""
    names = folder.names("encodings")

    def columns() -> NDArray[np.float32]:
        return folder.describe(partner).columns(names)

    digest = hashlib.sha256(folder.digest.encode() + partner.letters.encode())
    for array in (partner.backbone.atoms, partner.centres, partner.columns(["RESA"]), partner.chain_starts):
        digest.update(np.ascontiguousarray(array).tobytes())
    path = cache_directory() / "folding" / f"{digest.hexdigest()}.npy"
    table = cached(path, columns, functools.partial(_load, shape=(len(partner), len(names))), np.save)
    return dataclasses.replace(
        partner,
        feature_names=(*partner.feature_names, *names),
        features=np.concatenate([partner.features, table], axis=1),
    )


def _load(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A table of the cache; ValueError if it is damaged."""
    table: NDArray[np.float32] = np.load(path, allow_pickle=False)
    if table.shape != shape or table.dtype != np.float32:
        raise ValueError(f"{path}: holds {table.dtype} {table.shape}, expected float32 {shape}")
    return table


def columns_seen(config: ModelConfig, partner: PartnerFeatures) -> tuple[str, ...]:
    """Names of the columns of a partner that a model sees.

    Raises
    ------
    InputError
        It sees those of inverse folding, and the partner is not described.
    """
    own = feature_names(config.features)
    if config.folding == "none":
        return own
    described = [name for name in partner.feature_names if is_described(name)]
    if not described:
        raise InputError(f"model.folding is {config.folding}: networks for inverse folding are needed; give --folding")
    if config.folding == "surprise":
        described = [name for name in described if name.startswith("surprise ")]
    return (*own, *described)
