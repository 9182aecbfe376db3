import os
import subprocess
import sys

import numpy as np
import pytest
from synthetic import ALL_TYPES, helix, write

from resblock.structure import read_partner
from resblock.structure.paper import atom_radii
from resblock.structure.tessellation import PROBE, tessellate


def sphere_points(count):
    """Fibonacci points on the unit sphere."""
    k = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    return np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1)


def test_two_spheres():
    """Lens of two expanded spheres: a disc between them, and a sphere less its cap outside."""
    distance, radii = 3.2, np.array([1.87, 1.40])
    result = tessellate(np.array([[0.0, 0, 0], [distance, 0, 0]]), radii)
    big, small = radii + PROBE
    plane = (distance**2 + big**2 - small**2) / (2 * distance)
    assert result.pairs.tolist() in ([[0, 1]], [[1, 0]])
    assert result.areas == pytest.approx([np.pi * (big**2 - plane**2)], rel=1e-6)
    expected = [
        4 * np.pi * big**2 - 2 * np.pi * big * (big - plane),
        4 * np.pi * small**2 - 2 * np.pi * small * (small - (distance - plane)),
    ]
    assert result.accessible == pytest.approx(expected, rel=1e-6)


def test_accessible_area_agrees_with_points_on_spheres(tmp_path):
    """Shrake and Rupley's method with 1500 points: an atom's area comes in steps of 0.09."""
    partner = read_partner(write(tmp_path / "helix.pdb", helix(ALL_TYPES)))
    xyz, radii = partner.coordinates, atom_radii(partner)
    expanded = radii + PROBE
    unit = sphere_points(1500)
    expected = np.empty(len(xyz))
    for k in range(len(xyz)):
        points = xyz[k] + expanded[k] * unit
        squares = ((points[:, None] - xyz) ** 2).sum(axis=-1)
        squares[:, k] = np.inf
        free = (squares >= expanded**2).all(axis=1).mean()
        expected[k] = 4 * np.pi * expanded[k] ** 2 * free
    result = tessellate(xyz, radii)
    per_residue = np.bincount(partner.atom_residue, result.accessible - expected)
    assert np.abs(per_residue).max() < 1.5
    assert np.abs(per_residue).mean() < 0.4


@pytest.mark.parametrize(
    ("coordinates", "radii", "reason"),
    [
        ([[0.0, 0, 0]], [1.8], "do not describe two or more atoms"),
        ([[0.0, 0, 0], [np.nan, 0, 0]], [1.8, 1.8], "not finite"),
        ([[0.0, 0, 0], [1e6, 0, 0]], [1.8, 1.8], "absurdly far apart"),
        ([[0.0, 0, 0], [3, 0, 0]], [1.8, 0.0], "not positive in size"),
        ([[0.0, 0, 0], [3, 0, 0]], [1.8], "do not describe"),
        ([[0.0, 0, 0], [3, 0, 0]], [1.8, 1.8, 1.8], "do not describe"),
        ([[0.0, 0], [3, 0]], [1.8, 1.8], "do not describe"),
    ],
)
def test_what_would_stop_the_interpreter_is_refused(coordinates, radii, reason):
    with pytest.raises(ValueError, match=reason):
        tessellate(np.array(coordinates), np.array(radii))


def test_small_atoms_are_taken():
    small = tessellate(np.array([[0.0, 0, 0], [3, 0, 0]]), np.array([0.5, 0.5]))
    assert small is not None


def test_a_voronotalt_that_is_there_already_is_used(tmp_path):
    program = (
        "import sys\n"
        "sys.modules['pandas'] = None\n"
        "import voronotalt\n"
        "import resblock.structure.tessellation as ours\n"
        "assert ours.voronotalt is voronotalt is sys.modules['voronotalt']\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_voronotalt_brings_no_interfaces_along_and_stays_whole(tmp_path):
    """Its package imports pandas wherever that is installed; who wants the package gets it all the same."""
    (tmp_path / "pandas.py").write_text("raise SystemExit('pandas was imported')")
    program = (
        "import sys, resblock.structure.tessellation as ours\n"
        "sys.modules['pandas'] = None\n"
        "import voronotalt\n"
        "assert voronotalt.MolecularRadicalTessellation.from_atoms\n"
        "assert voronotalt.gemmi_interface\n"
        "assert voronotalt.Ball is ours.voronotalt.Ball\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path)
