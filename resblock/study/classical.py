"""Logistic regression, random forest and gradient boosting on the residues of a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from resblock.pairs import Dimer, DimerPartner
from resblock.pairs.dataset import Pairs, Selection, standardisation, standardised_features, surface_batches
from resblock.pairs.windows import neighbours
from resblock.scoring.base import LARGEST_DEVIATION

#: Pairs scored at a time.
BATCH: Final = 20_000

#: Unfitted classifiers by name; given a seed, and the number of trees divided by.
CLASSIFIERS: Final[Mapping[str, Callable[[int, int], Any]]] = {
    "logistic regression": lambda seed, fewer: LogisticRegression(max_iter=1000, random_state=seed),
    "random forest": lambda seed, fewer: RandomForestClassifier(
        300 // fewer, min_samples_leaf=5, max_samples=0.3, n_jobs=-1, random_state=seed
    ),
    "gradient boosting": lambda seed, fewer: LGBMClassifier(
        n_estimators=300 // fewer,
        learning_rate=0.05,
        num_leaves=31,
        subsample=0.8,
        subsample_freq=1,
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    ),
}


class WindowClassifier:
    """A classifier that sees what the network's window holds: the features of its two times three residues.

    Features are z-scores, cut as for the networks, and zero where a chain ends. It learns from every pair in one of
    both orders of the partners, by chance; a score is the mean probability over both orders.

    Parameters
    ----------
    classifier
        Of scikit-learn's interface, unfitted.
    dimers : sequence of Dimer
        To learn from.
    selection : callable
        The pairs of each to learn from.
    seed : int
        Of the orders.
    """

    def __init__(self, classifier: Any, dimers: Sequence[Dimer], selection: Selection, seed: int) -> None:
        self.classifier = classifier
        self.mean, self.scale = standardisation(dimers)
        generator = np.random.default_rng(seed)
        inputs, labels = [], []
        for dimer in dimers:
            pairs, true = selection(dimer, generator)
            ahead, back = self._inputs(dimer, pairs)
            inputs.append(np.where(generator.random((len(pairs), 1)) < 0.5, ahead, back))
            labels.append(true)
        self.classifier.fit(np.concatenate(inputs), np.concatenate(labels))
        # Several threads would add a forest's trees as they finish, and the last bits decide ties.
        self.classifier.set_params(n_jobs=1)

    def __call__(self, dimer: Dimer) -> NDArray[np.float64]:
        """Score all surface pairs."""
        scores = []
        for pairs in surface_batches(dimer, BATCH):
            both = [self.classifier.predict_proba(inputs)[:, 1] for inputs in self._inputs(dimer, pairs)]
            scores.append((both[0] + both[1]) / 2)
        shape = (int(dimer.receptor.surface.sum()), int(dimer.ligand.surface.sum()))
        return np.asarray(np.concatenate(scores).reshape(shape))

    def _inputs(self, dimer: Dimer, pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(P, 6F) inputs of pairs, in both orders of the partners."""
        receptor = self._around(dimer.receptor)[pairs[:, 0]]
        ligand = self._around(dimer.ligand)[pairs[:, 1]]
        return np.concatenate([receptor, ligand], axis=1), np.concatenate([ligand, receptor], axis=1)

    def _around(self, partner: DimerPartner) -> NDArray[np.float32]:
        """(N, 3F) features of the residue before, the residue and the one after."""
        table = standardised_features(partner, self.mean, self.scale)
        padded = np.pad(table.clip(-LARGEST_DEVIATION, LARGEST_DEVIATION), ((0, 1), (0, 0)))
        return padded[neighbours(partner.linked)].reshape(len(partner), -1)
