"""Features as z-scores: what every model does to its input first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.pairs import Complex
from resblock.structure import PartnerFeatures
from resblock.structure.scales import NEUTRAL_PKA

#: Z-scores are cut at this many standard deviations; an odd residue must not decide alone.
LARGEST_DEVIATION: Final = 6.0


class Scaling(NamedTuple):
    """The columns that a model sees, and what makes them z-scores.

    Attributes
    ----------
    names
        Names of the F columns.
    mean, scale
        (F,) float32 each.
    """

    names: tuple[str, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def over(cls, complexes: Sequence[Complex], names: Sequence[str]) -> Scaling:
        """Mean and standard deviation of columns over the surface residues of complexes; 1 where a column is constant.

        Raises
        ------
        InputError
            There is no complex, or one lacks a column.
        """
        if not complexes:
            raise InputError("no complex to train on; choose another split")
        surface = np.concatenate(
            [_imputed(partner, names)[partner.surface] for complex in complexes for partner in complex.partners]
        ).astype(np.float64)
        scale = surface.std(axis=0)
        scale[scale == 0.0] = 1.0
        return cls(tuple(names), surface.mean(axis=0).astype(np.float32), scale.astype(np.float32))

    def standardised(self, partner: PartnerFeatures) -> NDArray[np.float32]:
        """(N, F) z-scores of a partner's columns, absent pKa values imputed first, within `LARGEST_DEVIATION`.

        Raises
        ------
        InputError
            The partner lacks a column.
        """
        table = (_imputed(partner, self.names) - self.mean) / self.scale
        return np.asarray(np.clip(table, -LARGEST_DEVIATION, LARGEST_DEVIATION), dtype=np.float32)


def _imputed(partner: PartnerFeatures, names: Sequence[str]) -> NDArray[np.float32]:
    """(N, F) columns with `NEUTRAL_PKA` in place of NaN."""
    table = partner.columns(names)
    return np.where(np.isnan(table), np.float32(NEUTRAL_PKA), table)
