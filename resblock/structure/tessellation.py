"""Contact and solvent-accessible areas of atoms, from one radical tessellation (voronotalt)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


def _voronotalt() -> Any:
    """What voronotalt computes with, without its package's `__init__`.

    That imports pandas, Biotite and Bio.PDB for its interfaces wherever they are installed: up to the time that torch
    takes, for nothing that is used here.
    """
    name = "voronotalt"
    spec = find_spec(name)
    if name in sys.modules or spec is None:
        return import_module(name)
    # A package that was found but not executed; the next one to import it gets the whole.
    sys.modules[name] = module_from_spec(spec)
    try:
        return import_module(f"{name}.voronotalt_python")
    finally:
        del sys.modules[name]


voronotalt: Final = _voronotalt()

#: Radius of a water molecule, Angstrom.
PROBE: Final = 1.4


@dataclass(frozen=True)
class Tessellation:
    """Areas between the expanded spheres of atoms, square Angstrom.

    Attributes
    ----------
    pairs
        (K, 2) int64, the two atoms of each contact; every contact once.
    areas
        (K,) float64, area of each contact.
    accessible
        (A,) float64, solvent-accessible area of each atom.
    """

    pairs: NDArray[np.int64]
    areas: NDArray[np.float64]
    accessible: NDArray[np.float64]


def tessellate(coordinates: NDArray[np.float64], radii: NDArray[np.float64], probe: float = PROBE) -> Tessellation:
    """Tessellate the expanded spheres of A atoms.

    Parameters
    ----------
    coordinates
        (A, 3), Angstrom; finite, compact and free of duplicates as `read_partner` guarantees.
    radii
        (A,) van der Waals radii, Angstrom.
    probe
        Radius added to every atom, Angstrom.

    Raises
    ------
    ValueError
        The arguments are such that voronotalt would abort the interpreter, or no atom meets another.
    """
    if coordinates.shape != (len(radii), 3) or len(radii) < 2:
        raise ValueError(f"coordinates {coordinates.shape} and radii {radii.shape} do not describe two or more atoms")
    centred = coordinates - coordinates.mean(axis=0)
    if not (np.isfinite(centred).all() and np.abs(centred).max() < 1e4 and radii.min() > 0):
        raise ValueError("atoms are not finite, not positive in size, or absurdly far apart")
    balls = [
        voronotalt.Ball(x, y, z, radius) for (x, y, z), radius in zip(centred.tolist(), radii.tolist(), strict=True)
    ]
    try:
        # Contacts and cells are views into this object: it has to outlive the loops below.
        result = voronotalt.RadicalTessellation(balls, probe=probe)
    except RuntimeError as error:
        raise ValueError(f"the atoms cannot be tessellated ({error})") from None
    contacts = np.array([(c.index_a, c.index_b, c.area) for c in result.contacts], dtype=np.float64).reshape(-1, 3)
    accessible = np.array([cell.sas_area for cell in result.cells], dtype=np.float64)
    if len(accessible) != len(radii):
        raise ValueError(f"{len(radii)} atoms gave {len(accessible)} cells")
    return Tessellation(contacts[:, :2].astype(np.int64), contacts[:, 2].copy(), accessible)
