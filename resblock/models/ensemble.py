"""Several models as one, whose log-odds are the mean of theirs: the only form in which models are stored and used."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resblock.errors import InputError
from resblock.files import digest_of
from resblock.models.base import Encoding, Model, PairScorer
from resblock.models.calibration import Calibration
from resblock.models.inverse_folding import InverseFolder, is_described
from resblock.structure import PartnerFeatures, feature_set_of


@dataclasses.dataclass(frozen=True)
class EnsembleEncoding(Encoding):
    """A partner as each model sees it.

    Attributes
    ----------
    parts
        One of each model.
    """

    parts: tuple[Encoding, ...]


class Ensemble(PairScorer[EnsembleEncoding]):
    """The mean of the log-odds of one or more models, which may be of different kinds and see different features.

    Parameters
    ----------
    models : sequence of Model
    card : mapping, optional
        Where the weights come from, plain values; the card of the model where there is one only.
    folder : InverseFolder, optional
        Describes partners that lack the columns of inverse folding, where a model sees these.

    Raises
    ------
    InputError
        If there is no model.
    """

    def __init__(
        self,
        models: Sequence[Model[Any]],
        card: Mapping[str, Any] | None = None,
        folder: InverseFolder | None = None,
    ) -> None:
        if not models:
            raise InputError("an ensemble needs at least one model; name the weights")
        self.models = tuple(models)
        self.folder = folder
        self.card = dict(card) if card is not None else self.models[0].card if len(models) == 1 else {}

    @classmethod
    def of(cls, ensembles: Sequence[Ensemble]) -> Ensemble:
        """Combine the models of ensembles.

        Raises
        ------
        InputError
            Different networks for inverse folding describe their partners.
        """
        folders = {one.folder.digest: one.folder for one in ensembles if one.folder is not None}
        if len(folders) > 1:
            raise InputError("the weights have different networks for inverse folding; combine those that share one")
        folder = next(iter(folders.values()), None)
        return cls([model for ensemble in ensembles for model in ensemble.models], folder=folder)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Columns that any of the models sees."""
        return tuple(dict.fromkeys(name for model in self.models for name in model.feature_names))

    @property
    def feature_set(self) -> str:
        """Name of the smallest feature set that serves all models; what describes partners adds the other columns."""
        return feature_set_of([name for name in self.feature_names if not is_described(name)])

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return digest_of({f"{k}.{n}": t for k, model in enumerate(self.models) for n, t in model.state_dict().items()})

    def encode(self, partner: PartnerFeatures) -> EnsembleEncoding:
        """Encode a partner by each model."""
        if self.folder is not None and not set(self.feature_names) <= set(partner.feature_names):
            partner = self.folder.describe(partner)
        return EnsembleEncoding(partner.surface_residues, tuple(model.encode(partner) for model in self.models))

    def pair_log_odds(
        self, receptor: EnsembleEncoding, ligand: EnsembleEncoding, pairs: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(P,) mean log-odds that (P, 2) residues touch."""
        total = np.zeros(len(pairs))
        for model, first, second in zip(self.models, receptor.parts, ligand.parts, strict=True):
            total += model.pair_log_odds(first, second, pairs)
        return (total / len(self.models)).astype(np.float32)

    def calibrate(self, calibration: Calibration) -> None:
        """Correct all log-odds from now on, and say so in the card; a mean is corrected as its parts are."""
        for model in self.models:
            model.calibrate(calibration)
        self.card["calibration"] = dataclasses.asdict(calibration)
