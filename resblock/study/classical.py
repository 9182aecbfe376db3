"""Logistic regression, random forest and gradient boosting on the residues of a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from resblock.models import Scaling
from resblock.pairs import Complex, neighbours
from resblock.pairs.selection import Pairs, Selection
from resblock.structure import PAPER_FEATURES, PartnerFeatures

#: Raise it whenever a score changes.
VERSION: Final = 1
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

    The paper's features are z-scores, cut as for the networks, and zero where a chain ends. Every training pair is
    shown in one of both orders of the partners, by chance; a score is the mean probability over both orders.

    Parameters
    ----------
    classifier
        Of scikit-learn's interface, unfitted.
    complexes : sequence of Complex
        To train on.
    selection : callable
        The pairs of each to train on.
    seed : int
        Of the orders.
    """

    def __init__(self, classifier: Any, complexes: Sequence[Complex], selection: Selection, seed: int) -> None:
        self.classifier = classifier
        self.scaling = Scaling.over(complexes, PAPER_FEATURES)
        generator = np.random.default_rng(seed)
        inputs, labels = [], []
        for complex in complexes:
            pairs, positive = selection(complex, generator)
            ahead, back = self._inputs(complex, pairs)
            inputs.append(np.where(generator.random((len(pairs), 1)) < 0.5, ahead, back))
            labels.append(positive)
        self.classifier.fit(np.concatenate(inputs), np.concatenate(labels))
        # Several threads would add a forest's trees as they finish, and the last bits decide ties.
        self.classifier.set_params(n_jobs=1)

    def __call__(self, complex: Complex) -> NDArray[np.float64]:
        """Score all surface pairs."""
        scores, every = [], complex.surface_pairs()
        for start in range(0, len(every), BATCH):
            inputs = self._inputs(complex, every[start : start + BATCH])
            ahead, back = (self.classifier.predict_proba(order)[:, 1] for order in inputs)
            scores.append((ahead + back) / 2)
        return np.asarray(np.concatenate(scores).reshape(complex.surface_shape))

    def _inputs(self, complex: Complex, pairs: Pairs) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(P, 6F) inputs of pairs, in both orders of the partners."""
        receptor = self._around(complex.receptor)[pairs[:, 0]]
        ligand = self._around(complex.ligand)[pairs[:, 1]]
        return np.concatenate([receptor, ligand], axis=1), np.concatenate([ligand, receptor], axis=1)

    def _around(self, partner: PartnerFeatures) -> NDArray[np.float32]:
        """(N, 3F) features of the residue before, the residue and the one after."""
        padded = np.pad(self.scaling.standardised(partner), ((0, 1), (0, 0)))
        return padded[neighbours(partner.linked)].reshape(len(partner), -1)
