"""Scores of many alignments at once, against Biopython's one by one."""

import numpy as np
import pytest
from Bio.Align import PairwiseAligner, substitution_matrices

from resblock.evaluation import alignment
from resblock.evaluation.alignment import Targets, align, batches

LETTERS = list("ACDEFGHIKLMNPQRSTVWYX")


def drawn(generator, length):
    return "".join(generator.choice(LETTERS, length))


def relative(generator, sequence, changed=0.4, lost=0.04):
    """The sequence with other letters, and with gaps of several lengths on both sides."""
    letters = [letter if generator.random() > changed else generator.choice(LETTERS) for letter in sequence]
    kept = "".join(letter for letter in letters if generator.random() > lost)
    where = int(generator.integers(len(kept)))
    return kept[:where] + drawn(generator, int(generator.integers(40))) + kept[where:]


@pytest.fixture(scope="module")
def aligner():
    aligner = PairwiseAligner(mode="local")
    aligner.substitution_matrix = substitution_matrices.load("BLOSUM62")
    aligner.open_gap_score, aligner.extend_gap_score = -11.0, -1.0
    return aligner


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_are_biopythons(seed, aligner):
    generator = np.random.default_rng(seed)
    query = drawn(generator, 130)
    targets = [relative(generator, query, changed) for changed in (0.0, 0.3, 0.5, 0.6, 0.7)]
    targets += [drawn(generator, length) for length in (1, 2, 40, 200)] + [query[30:90], "W" * 30]
    expected = [aligner.score(query, target) for target in targets]
    assert Targets(targets).scores(query).tolist() == expected
    assert max(expected) > 200
    for target in targets:
        assert Targets([query]).scores(target).tolist() == [aligner.score(target, query)]
        assert align(query, target).score == aligner.score(query, target)


def test_long_gaps(aligner):
    """Of 1 to 130 residues in either sequence, which doubling must find at every length."""
    one, other = "WCHWMCYFWHHWCCMWWFYCHWPW", "CWYHWWFCPWHMCWHFYWCCWHMW"
    for gap in (1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 100, 130):
        longer = one + "G" * gap + other
        expected = aligner.score(one + other, longer)
        assert Targets([longer]).scores(one + other).tolist() == [expected]
        assert Targets([one + other]).scores(longer).tolist() == [expected]


def test_scores_beyond_sixteen_bits():
    titin = "W" * 4000
    assert Targets([titin, "WW"]).scores(titin).tolist() == [44_000, 22]


def test_batches_hold_every_sequence_once(monkeypatch):
    monkeypatch.setattr(alignment, "_ROW_CELLS", 100)
    sequences = ["A" * length for length in (1, 5, 30, 40, 50, 60, 99, 250)]
    parts = list(batches(sequences))
    assert [one for part in parts for one in sequences[part]] == sequences
    assert all(
        len(sequences[part]) * max(map(len, sequences[part])) <= 100 or part.stop - part.start == 1 for part in parts
    )
    assert len(parts) < len(sequences)
