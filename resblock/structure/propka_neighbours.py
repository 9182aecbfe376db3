"""A neighbour search for PROPKA 3, which compares every group with every atom and every other group.

While a prediction runs, the functions here stand in for those of PROPKA whose time grows with the square of the size.
They leave out what lies beyond the cutoffs and add up in PROPKA's order, so that every pKa is the same to the last bit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import propka.conformation_container
import propka.energy
import propka.iterative
import propka.version
from numpy.typing import NDArray

#: What is exchanged belongs to the whole process; PROPKA never leaves Python, so that threads would gain nothing.
_ONE_AT_A_TIME: Final = threading.Lock()


@contextmanager
def neighbour_search() -> Iterator[None]:
    """Let PROPKA look at neighbours only, in the block."""
    search = _Search()
    replaced = (
        (propka.version, "radial_volume_desolvation", search.desolvation),
        (propka.conformation_container, "set_backbone_determinants", search.backbone_determinants),
        (propka.conformation_container, "set_ion_determinants", search.ion_determinants),
        (propka.iterative, "find_iterative", search.find_iterative),
    )
    with _ONE_AT_A_TIME:
        search.originals = {name: getattr(module, name) for module, name, _ in replaced}
        try:
            for module, name, function in replaced:
                setattr(module, name, function)
            yield
        finally:
            for module, name, _ in replaced:
                setattr(module, name, search.originals[name])


@dataclass(frozen=True)
class _Atoms:
    """The heavy atoms of a conformation: what desolvation asks about each."""

    positions: NDArray[np.float64]
    residues: NDArray[np.int64]
    chains: NDArray[np.str_]
    volumes: NDArray[np.float64]


class _Search:
    """Stands in for PROPKA's functions of the same names during one prediction."""

    def __init__(self) -> None:
        self.originals: dict[str, Any] = {}
        self._atoms: dict[Any, _Atoms] = {}
        self._iteratives: tuple[Sequence[Any], dict[tuple[str, int], Any]] = ((), {})

    def desolvation(self, parameters: Any, group: Any) -> None:
        """`propka.energy.radial_volume_desolvation`: the volume of what surrounds a group, and how deep it lies."""
        conformation = group.atom.conformation_container
        if conformation not in self._atoms:
            self._atoms[conformation] = _heavy_atoms(parameters, conformation)
        atoms = self._atoms[conformation]
        dx, dy, dz = atoms.positions - np.array([[group.x], [group.y], [group.z]])
        squares = dx * dx + dy * dy + dz * dz
        others = (atoms.residues != group.atom.res_num) | (atoms.chains != group.atom.chain_id)
        near = others & (squares < parameters.desolv_cutoff_squared)
        shares = atoms.volumes[near] / np.maximum(propka.energy.MIN_DISTANCE_4TH, squares[near] * squares[near])
        # A cumulative sum adds one by one as PROPKA does; `sum` adds in pairs.
        volume = shares.cumsum()[-1:].sum().item()
        group.num_volume = int(np.count_nonzero(others & (squares < parameters.buried_cutoff_squared)))
        group.buried = propka.energy.calculate_weight(parameters, group.num_volume)
        group.energy_volume = (
            group.charge
            * parameters.desolvationPrefactor
            * max(0.0, volume - parameters.desolvationAllowance)
            * propka.energy.calculate_scale_factor(parameters, group.buried)
        )

    def backbone_determinants(self, titratable: Sequence[Any], backbone: Sequence[Any], version: Any) -> None:
        """`propka.determinants.set_backbone_determinants`: hydrogen bonds with the backbone."""
        bonds = version.parameters.backbone_NH_hydrogen_bond, version.parameters.backbone_CO_hydrogen_bond
        reach = max(cutoffs[-1] for bond in bonds for cutoffs in bond.values())
        reaching = [{*group.interaction_atoms_for_acids, *group.interaction_atoms_for_bases} for group in backbone]
        owner = np.repeat(np.arange(len(backbone)), [len(atoms) for atoms in reaching])
        positions = _positions([atom for atoms in reaching for atom in atoms])
        for group in titratable:
            own = _positions(group.interaction_atoms_for_acids)
            squares = ((positions[:, :, None] - own[:, None, :]) ** 2).sum(axis=0)
            near = np.unique(owner[(squares <= (reach + 0.01) ** 2).any(axis=1)])
            self.originals["set_backbone_determinants"]([group], [backbone[k] for k in near], version)

    def ion_determinants(self, conformation: Any, version: Any) -> None:
        """`propka.determinants.set_ion_determinants`, which looks for all ions once for every group."""
        if conformation.get_ions():
            self.originals["set_ion_determinants"](conformation, version)

    def find_iterative(self, pair: Sequence[Any], iteratives: Sequence[Any]) -> tuple[Any, Any]:
        """`propka.iterative.find_iterative`: what stands for two groups while the pKa are iterated."""
        if self._iteratives[0] is not iteratives:
            self._iteratives = iteratives, {_key(iterative.group): iterative for iterative in iteratives}
        first, second = (self._iteratives[1][_key(group)] for group in pair)
        return first, second


def _key(group: Any) -> tuple[str, int]:
    """What makes two of PROPKA's groups equal."""
    return group.label, group.atom.res_num


def _positions(atoms: Sequence[Any]) -> NDArray[np.float64]:
    """(3, A) Angstrom."""
    return np.array([[getattr(atom, axis) for atom in atoms] for axis in "xyz"], dtype=np.float64)


def _heavy_atoms(parameters: Any, conformation: Any) -> _Atoms:
    atoms = conformation.get_non_hydrogen_atoms()
    volumes = parameters.VanDerWaalsVolume
    return _Atoms(
        positions=_positions(atoms),
        residues=np.array([atom.res_num for atom in atoms]),
        chains=np.array([atom.chain_id for atom in atoms]),
        volumes=np.array(
            [
                volumes["C4"]
                if atom.element == "C" and atom.name not in ("CA", "C")
                else volumes.get(atom.element, 1.0)
                for atom in atoms
            ]
        ),
    )
