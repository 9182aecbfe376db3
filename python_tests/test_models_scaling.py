"""Features as z-scores."""

from dataclasses import replace

import numpy as np
import pytest
from made_complexes import made_complex

from resblock.errors import InputError
from resblock.models import Scaling
from resblock.structure import PAPER_FEATURES


@pytest.fixture
def complexes():
    return [made_complex(seed, f"D{seed}", (30, 21)) for seed in range(3)]


def test_scaling_is_over_surface_residues(complexes):
    scaling = Scaling.over(complexes, PAPER_FEATURES)
    partners = [partner for complex in complexes for partner in complex.partners]
    rows = np.concatenate([np.nan_to_num(p.features[p.surface, :9], nan=7.0) for p in partners])
    assert scaling.names == PAPER_FEATURES
    np.testing.assert_allclose(scaling.mean, rows.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(scaling.scale, rows.std(axis=0), atol=1e-5)


def test_a_constant_feature_is_not_divided_by_zero(complexes):
    def constant(partner):
        return replace(partner, features=np.ones_like(partner.features))

    same = [replace(c, receptor=constant(c.receptor), ligand=constant(c.ligand)) for c in complexes]
    np.testing.assert_array_equal(Scaling.over(same, PAPER_FEATURES).scale, np.ones(9))


def test_standardised_features_are_z_scores_of_imputed_ones_within_limits(complexes):
    partner = complexes[0].receptor
    filled = np.where(np.isnan(partner.features), 7.0, partner.features)[:, :9]
    mean, scale = np.arange(9, dtype=np.float32), np.arange(1, 10, dtype=np.float32)
    found = Scaling(PAPER_FEATURES, mean, scale).standardised(partner)
    np.testing.assert_allclose(found, (filled - mean) / scale, rtol=1e-6)
    assert found.dtype == np.float32
    far = Scaling(PAPER_FEATURES, mean - 1000, scale).standardised(partner)
    np.testing.assert_array_equal(far, 6.0)
    np.testing.assert_array_equal(Scaling(PAPER_FEATURES, mean + 1000, scale).standardised(partner), -6.0)


def test_a_missing_column_and_no_complex_are_refused(complexes):
    with pytest.raises(InputError, match=r"A\.pdb: the features have no 'charm', which the model needs"):
        Scaling.over(complexes, ("IC", "charm"))
    with pytest.raises(InputError, match="no complex to train on"):
        Scaling.over([], PAPER_FEATURES)
