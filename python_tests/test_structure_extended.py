"""Extended features: they describe what they say, and the placement of a partner does not change them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, moved, random_rotation, write

from resblock.structure import EXTENDED_FEATURES, PAPER_FEATURES, read_partner, residue_features
from resblock.structure.backbone import secondary_structure, torsions, unit
from resblock.structure.neighbourhood import distances, half_sphere_exposure, neighbour_means, within
from resblock.structure.shape import flatness, protrusion


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    second = moved(helix(ALL_TYPES[::-1]), shift=(0.0, 10.0, 2.0), chain="B")
    return read_partner(write(tmp_path_factory.mktemp("bundle") / "bundle.pdb", helix(ALL_TYPES) + second))


def column(table, name):
    return table[:, EXTENDED_FEATURES.index(name)]


def test_the_papers_nine_come_first_and_nothing_else_is_absent(bundle):
    table = residue_features(bundle, "extended")
    assert table.shape == (40, len(EXTENDED_FEATURES))
    assert len(set(EXTENDED_FEATURES)) == len(EXTENDED_FEATURES)
    np.testing.assert_array_equal(table[:, :9], residue_features(bundle))
    pka = [EXTENDED_FEATURES.index(name) for name in PAPER_FEATURES if name.startswith("pKa")]
    assert np.isfinite(np.delete(table, pka, axis=1)).all()


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_placement_does_not_matter(seed, bundle):
    generator = np.random.default_rng(seed)
    turned = bundle.coordinates @ random_rotation(generator) + generator.uniform(-300, 300, 3)
    table = residue_features(replace(bundle, coordinates=turned), "extended")
    # Spreads across a plane are roots of numbers near zero: of 1e-12, rounding leaves 1e-6.
    np.testing.assert_allclose(table, residue_features(bundle, "extended"), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("code", ["1AY7"])
def test_placement_of_a_file_does_not_matter(code, db5):
    """Coordinates rounded anew to 0.001 Angstrom move nothing by more than that times a slope; there are no jumps."""
    generator = np.random.default_rng(5)
    for side in ("receptor", "ligand"):
        partner = read_partner(db5 / code / f"{side}_unbound.pdb.gz")
        turned = partner.coordinates @ random_rotation(generator) + generator.uniform(-50, 50, 3)
        table = residue_features(partner, "extended")
        rounded = residue_features(replace(partner, coordinates=np.round(turned, 3)), "extended")
        geometry = slice(EXTENDED_FEATURES.index("sin phi"), EXTENDED_FEATURES.index("root total AESA"))
        assert np.abs(rounded - table)[:, geometry].max() < 0.03


def test_a_helix_is_a_helix(bundle):
    table = residue_features(bundle, "extended")
    inner = np.r_[2:18, 22:38]
    np.testing.assert_array_equal(column(table, "helix")[inner], 1.0)
    np.testing.assert_array_equal(column(table, "strand")[inner], 0.0)
    phi, psi = torsions(bundle.backbone)
    np.testing.assert_allclose(np.degrees(phi[inner]), -57.0, atol=0.5)
    np.testing.assert_allclose(np.degrees(psi[inner]), -47.0, atol=0.5)
    assert np.isnan(phi[[0, 20]]).all()
    assert np.isnan(psi[[19, 39]]).all()
    assert column(table, "sin phi")[0] == column(table, "cos phi")[0] == 0.0


def test_an_extended_chain_is_a_strand(bundle):
    atoms = bundle.backbone.atoms.copy()
    zigzag = np.column_stack([3.3 * np.arange(40), 0.9 * (-1.0) ** np.arange(40), np.zeros(40)])
    atoms[:, 1] = zigzag
    helix_degree, strand, coil = secondary_structure(replace(bundle.backbone, atoms=atoms)).T
    np.testing.assert_array_equal(helix_degree, 0.0)
    np.testing.assert_array_equal(strand, 1.0)
    np.testing.assert_array_equal(coil, 0.0)


def test_side_points_from_alpha_to_beta(bundle):
    chain, positions = bundle.backbone, bundle.frame
    betas = [k for k, name in enumerate(bundle.atom_names) if name == "CB"]
    residues = bundle.atom_residue[betas]
    # An ideal C-beta and that of the made helix differ by a few degrees.
    assert ((unit(positions[betas] - chain.ca[residues]) * chain.side[residues]).sum(axis=1) > 0.99).all()
    assert np.linalg.norm(chain.side, axis=1) == pytest.approx(1.0)
    assert len(betas) < len(chain.side), "glycine has a side, too"


def test_chain_ends_are_near(bundle):
    table = residue_features(bundle, "extended")
    start, end = column(table, "near N-terminus"), column(table, "near C-terminus")
    assert start[[0, 20]].tolist() == end[[19, 39]].tolist() == [1.0, 1.0]
    assert start[19] == pytest.approx(np.exp(-19 / 5))


def test_counts_and_means_on_a_line():
    points = np.column_stack([4.0 * np.arange(10), np.zeros(10), np.zeros(10)])
    distance = distances(points)
    np.testing.assert_allclose(distance[0], 4.0 * np.arange(10), atol=1e-6)
    assert within(distance, 10.0)[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert within(np.array([9.0, 9.5, 10.0, 11.0]), 10.0).tolist() == [1.0, 0.75, 0.5, 0.0]
    values = np.arange(10.0)[:, None]
    means = neighbour_means(distance, 6.0, np.ones(10), values)
    assert means[:3, 0].tolist() == [0.5, 1.0, 2.0]


def test_half_spheres_share_all_neighbours():
    generator = np.random.default_rng(1)
    points = generator.normal(size=(60, 3)) * 9
    side = np.tile([0.0, 0.0, 1.0], (60, 1))
    up, down = half_sphere_exposure(points, side, (13,)).T
    counted = within(distances(points), 13.0).sum(axis=1) - 1.0
    np.testing.assert_allclose(up + down, counted)
    highest = points[:, 2].argmax()
    assert up[highest] < 0.5 * down[highest] + 1.0


def test_an_atom_alone_protrudes_and_one_in_the_middle_does_not():
    grid = np.stack(np.meshgrid(*[np.arange(-12.0, 13.0, 3.0)] * 3), axis=-1).reshape(-1, 3)
    atoms = np.concatenate([grid, [[40.0, 0.0, 0.0]]])
    mean, largest = protrusion(atoms, np.arange(len(atoms))).T
    np.testing.assert_array_equal(mean, largest)
    middle = np.flatnonzero((grid == 0).all(axis=1))[0]
    assert abs(mean[middle]) < 0.5
    assert mean[-1] > 100


def test_a_plane_is_flat():
    flat = np.stack(np.meshgrid(np.arange(0.0, 40, 4), np.arange(0.0, 40, 4), [0.0]), axis=-1).reshape(-1, 3)
    spread, ratio, _ = flatness(distances(flat), flat, np.ones(len(flat)), (10,)).T
    assert max(spread.max(), ratio.max()) < 1e-5
    curved = flat + np.column_stack([np.zeros((len(flat), 2)), -((flat - 18.0)[:, :2] ** 2).sum(axis=1) / 40])
    assert flatness(distances(curved), curved, np.ones(len(flat)), (10,))[:, 0].min() > 0.05


def test_a_vector_without_length_stays_zero():
    np.testing.assert_array_equal(unit(np.array([[0.0, 0, 0], [0, 3, 4]])), [[0.0, 0, 0], [0, 0.6, 0.8]])


def test_points_that_coincide_far_away_have_no_distance():
    points = np.repeat(np.random.default_rng(0).normal(scale=1e3, size=(200, 3)), 2, axis=0)
    found = distances(points)
    assert np.isfinite(found).all()
    assert found[::2, 1::2].diagonal().max() < 1e-2
