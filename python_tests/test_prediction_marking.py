"""Which residues are marked, and what the cutoffs say."""

import json

import numpy as np
import pytest

from resblock.errors import InputError
from resblock.pairs.expectations import Cutoff, Expectations
from resblock.prediction.marking import marking

TOLD = Expectations(
    dimers=44,
    residue_scale=0.9,
    residue_shift=-0.1,
    residues=(Cutoff(0.6, 0.7, 0.1), Cutoff(0.4, 0.5, 0.3), Cutoff(0.2, 0.3, 0.8)),
    pairs=(Cutoff(0.1, 0.1, 0.01),),
    first_pairs={1: 0.1, 10: 0.5},
    height_auroc=0.3,
    height_interval=(0.05, 0.5),
    heights=(0.01, 0.02, 0.03),
)
PROBABILITIES = np.float32([0.1, 0.5, 0.3, 0.7, 0.05, 0.4, 0.2, 0.2])


def marked(cutoff, told=TOLD, probabilities=PROBABILITIES):
    return np.flatnonzero(marking(cutoff, told)(probabilities)).tolist()


def test_without_a_cutoff_the_likeliest_of_each_partner_are_marked():
    assert marked(None) == [1, 3], "a quarter of eight"
    assert len(marked(None, probabilities=np.linspace(0, 1, 200))) == 20
    assert marked(None, probabilities=np.float32([0.1])) == [0]


@pytest.mark.parametrize(
    ("cutoff", "places"),
    [
        ("probability=0.4", [1, 3, 5]),
        ("residues=3", [1, 3, 5]),
        ("residues=100", list(range(8))),
        ("precision=0.5", [1, 3, 5]),
        ("precision=0.45", [1, 3, 5]),
        ("precision=0.7", [3]),
        ("recall=0.2", [1, 3, 5]),
        ("recall=0.8", [1, 2, 3, 5, 6, 7]),
    ],
)
def test_a_cutoff_marks(cutoff, places):
    probabilities = np.array([0.1, 0.5, 0.3, 0.7, 0.05, 0.4, 0.2, 0.2])
    assert marked(cutoff, probabilities=probabilities) == places


def test_a_cutoff_says_what_to_expect():
    assert marking("precision=0.5", TOLD).words == (
        "probability from 0.40 on: precision 0.50, recall 0.30, out-of-fold"
    )


@pytest.mark.parametrize(
    ("cutoff", "words"),
    [
        ("precision=0.8", "the highest precision is 0.70"),
        ("recall=0.9", "the highest recall is 0.80"),
        ("score=0.5", "precision=X"),
        ("precision", "precision=X"),
        ("precision=nan", "precision=X"),
        ("probability=0", "above 0"),
        ("probability=1.5", "at most 1"),
        ("residues=0", "residues=N"),
        ("residues=2.5", "whole"),
    ],
)
def test_a_cutoff_that_cannot_be_is_refused(cutoff, words):
    with pytest.raises(InputError, match=words):
        marking(cutoff, TOLD)


def test_weights_that_say_nothing_have_no_precision():
    with pytest.raises(InputError, match="resblock calibrate"):
        marking("precision=0.5", None)


def test_expectations_pass_through_json():
    assert Expectations.of(json.loads(json.dumps(TOLD.as_dict()))) == TOLD
    for name in TOLD.as_dict():
        with pytest.raises(KeyError):
            Expectations.of({key: value for key, value in TOLD.as_dict().items() if key != name})
