"""How the examples of an epoch are shared out, and what a pair weighs."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from made_complexes import made_complex, made_model
from torch.utils.data import DataLoader

from resblock.models import Batch, Drawing, Examples
from resblock.models.examples import pair_weights


def test_weights_of_positives():
    labels = np.array([True, False, False, True, False])
    np.testing.assert_allclose(pair_weights(labels, 0.0), 0.2)
    np.testing.assert_allclose(pair_weights(labels, 0.4), [0.2, 0.2, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(pair_weights(labels, 0.7), [0.35, 0.1, 0.1, 0.35, 0.1], rtol=1e-6)
    np.testing.assert_allclose(pair_weights(labels[1:3], 0.7), 0.5)
    assert len(pair_weights(labels[:0], 0.7)) == 0


class Nothing(Examples):
    batches = 0
    positive_share = 0.5

    def __iter__(self) -> Iterator[Batch]:
        return iter(())


def test_batches_that_do_not_go_round_are_left_out():
    def starts(count, rank, ranks):
        examples = Nothing(Drawing(4, rank=rank, world_size=ranks))
        return [(part.start, part.stop) for part in examples.slices(count)]

    assert starts(10, 0, 1) == [(0, 4), (4, 8), (8, 12)]
    assert [starts(20, rank, 2) for rank in (0, 1)] == [[(0, 4), (8, 12)], [(4, 8), (12, 16)]]
    assert [starts(24, rank, 3) for rank in range(3)] == [[(0, 4), (12, 16)], [(4, 8), (16, 20)], [(8, 12), (20, 24)]]
    assert starts(0, 0, 1) == []


@pytest.mark.parametrize("kind", ["windows", "residues"])
def test_workers_share_the_batches(kind):
    complexes = [made_complex(k, f"D{k}") for k in range(5)]
    examples = made_model(kind, complexes[0]).examples(complexes, Drawing(1 if kind == "residues" else 16))
    alone = [batch.labels for batch in DataLoader(examples, batch_size=None)]
    shared = [batch.labels for batch in DataLoader(examples, batch_size=None, num_workers=2)]
    assert len(shared) == len(alone) > 3
    for mine, expected in zip(shared, alone, strict=True):
        assert torch.equal(mine, expected)
