"""Helices and strands: where each of their limits lies, on chains whose alpha carbons are put there."""

import numpy as np
import pytest

from resblock.structure.backbone import Backbone, secondary_structure, unit

#: Ideal distance, Angstrom, to the alpha carbon two, three and four residues on, and by how much it may differ.
HELIX = {3: (5.3, 0.7), 4: (6.4, 0.9)}
STRAND = {2: (6.7, 0.6), 3: (9.9, 0.9), 4: (12.4, 1.1)}
ELSEWHERE = 50.0


def chain(distances, before=0, behind=0):
    """Residues of which one has the others so far behind it; no other start is in a helix or a strand."""
    places = [*(-ELSEWHERE * k for k in range(before, 0, -1)), 0.0, ELSEWHERE]
    places += [distances.get(step, ELSEWHERE) for step in (2, 3, 4)]
    places += [ELSEWHERE * k for k in range(2, behind + 2)]
    atoms = np.zeros((len(places), 4, 3))
    atoms[:, 1, 0] = places
    return Backbone(atoms, np.arange(len(places)) > 0)


@pytest.mark.parametrize(("column", "kind"), [(0, HELIX), (1, STRAND)])
@pytest.mark.parametrize(("off", "degree"), [(0.0, 1.0), (0.74, 1.0), (0.9, 0.7), (1.0, 0.5), (1.24, 0.02), (1.3, 0.0)])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_every_distance_has_its_own_ramp(column, kind, off, degree, sign):
    for step, (ideal, tolerance) in kind.items():
        distances = {other: at for other, (at, _) in kind.items()} | {step: ideal + sign * off * tolerance}
        found = secondary_structure(chain(distances))
        expected = np.zeros((5, 3))
        expected[:, column], expected[:, 2] = degree, 1.0 - degree
        np.testing.assert_allclose(found, expected, atol=1e-9, err_msg=f"{step} residues on")


@pytest.mark.parametrize(("column", "kind"), [(0, HELIX), (1, STRAND)])
def test_a_stretch_is_five_residues_without_a_break(column, kind):
    ideal = chain({step: at for step, (at, _) in kind.items()}, before=2, behind=2)
    np.testing.assert_allclose(secondary_structure(ideal)[:, column], [0, 0, 1, 1, 1, 1, 1, 0, 0], atol=1e-12)
    for k in range(1, len(ideal.linked)):
        broken = Backbone(ideal.atoms, ideal.linked & (np.arange(len(ideal.linked)) != k))
        assert secondary_structure(broken)[:, column].any() == (k not in range(3, 7)), k


def test_chains_too_short_for_a_stretch_are_coil():
    for size in range(1, 5):
        short = Backbone(np.zeros((size, 4, 3)), np.arange(size) > 0)
        assert secondary_structure(short).tolist() == [[0.0, 0.0, 1.0]] * size


def test_where_both_could_be_the_helix_goes_before():
    """A helix of four fifths from the first residue on, and a whole strand from the second one on."""
    (three, _), (four, tolerance) = HELIX.values()
    alphas = np.full((6, 3), ELSEWHERE)
    alphas[1] = 0.0
    alphas[3:] = [[ideal, 0.0, 0.0] for ideal, _ in STRAND.values()]
    # Where the circles around the fourth and the fifth residue meet.
    apart = alphas[4, 0] - alphas[3, 0]
    along = (three**2 - (four + 0.85 * tolerance) ** 2 + apart**2) / (2.0 * apart)
    alphas[0] = alphas[3] + [along, np.sqrt(three**2 - along**2), 0.0]
    atoms = np.zeros((6, 4, 3))
    atoms[:, 1] = alphas
    found = secondary_structure(Backbone(atoms, np.arange(6) > 0))
    expected = [[0.8, 0.0, 0.2], *[[0.8, 0.2, 0.0]] * 4, [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_a_unit_vector_is_one_along_the_last_axis(shape):
    vectors = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(np.linalg.norm(unit(vectors), axis=-1), 1.0)
    np.testing.assert_allclose(np.cross(unit(vectors), vectors), 0.0, atol=1e-12)
    assert not unit(np.zeros(shape)).any()
