import io
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import propka.conformation_container
import propka.run
import propka.version
import pytest
from synthetic import ALL_TYPES, helix, moved, write

from resblock.structure import read_partner
from resblock.structure.pka import _pdb_text
from resblock.structure.propka_neighbours import _Search, neighbour_search


def text(tmp_path, apart):
    """Three helices, of which one lies within PROPKA's cutoffs and the other `apart` from the first."""
    shifts = ((0.0, 0.0, 0.0), (0.0, 9.0, 3.0), (apart, 0.0, 0.0))
    atoms = [
        atom
        for shift, chain in zip(shifts, "ABC", strict=True)
        for atom in moved(helix(ALL_TYPES), shift=shift, chain=chain)
    ]
    return _pdb_text(read_partner(write(tmp_path / "helices.pdb", atoms)))


def values(text):
    """All that PROPKA says of each of its groups."""
    molecule = propka.run.single("x.pdb", optargs=["--quiet"], stream=io.StringIO(text), write_pka=False)
    return [
        (
            group.label,
            *(group.pka_value, group.buried, group.num_volume, group.energy_volume, group.energy_local),
            *((other.label, other.value) for kind in group.determinants.values() for other in kind),
        )
        for group in molecule.conformations["AVR"].groups
    ]


#: Within all cutoffs, across that of the Coulomb terms, across that of desolvation, and beyond all.
@pytest.mark.parametrize("apart", [9.0, 16.0, 25.0, 80.0])
def test_all_is_as_in_propka_to_the_last_bit(tmp_path, apart):
    given = text(tmp_path, apart)
    expected = values(given)
    assert max(len(group) for group in expected) > 10  # there is something to leave out
    with neighbour_search():
        assert values(given) == expected


def test_ions_are_not_left_out(tmp_path):
    ion = "HETATM 9999 CA    CA A 500       2.000   4.500   1.500  1.00  0.00          CA"
    lines = text(tmp_path, 16.0).splitlines()
    given = "\n".join([*lines[:-1], ion, "END", ""])
    expected = values(given)
    assert expected != values("\n".join(lines))
    with neighbour_search():
        assert values(given) == expected


def test_propka_does_not_look_at_all_atoms(tmp_path, monkeypatch):
    monkeypatch.setattr(propka.version, "radial_volume_desolvation", None)
    with neighbour_search():
        assert values(text(tmp_path, 16.0))


def test_hydrogen_bonds_are_looked_for_in_reach_only():
    """PROPKA's own function gets a group with those of the backbone up to its largest cutoff, in their order."""
    atom = namedtuple("Atom", "x y z")

    def group(acids, bases=()):
        here = [[atom(*place) for place in places] for places in (acids, bases)]
        return SimpleNamespace(interaction_atoms_for_acids=here[0], interaction_atoms_for_bases=here[1])

    own = (5.0, -2.0, 1.0)
    directions = [sign * np.eye(3)[axis] for axis in range(3) for sign in (-1.0, 1.0)]
    near, far = ([own + length * way for way in directions] for length in (4.005, 4.015))
    backbone = [group([place]) for pair in zip(near, far, strict=True) for place in pair]
    backbone += [group([]), group([far[0]], [near[0]]), group([far[1], own]), group([far[2], far[3]], [far[4]])]
    titratable = [group([(90.0, 0.0, 0.0), own]), group([(90.0, 0.0, 0.0)]), group([], [own])]
    # Energy, and the distances between which it falls to nothing.
    bonds = {"COO": [-0.85, 2.0, 3.0], "CYS": [-0.85, 3.0, 4.0]}, {"HIS": [0.85, 2.0, 3.5]}
    for amides, carbonyls in (bonds, bonds[::-1]):
        given = []
        search = _Search()
        search.originals["set_backbone_determinants"] = lambda *arguments, to=given: to.append(arguments)
        parameters = SimpleNamespace(backbone_NH_hydrogen_bond=amides, backbone_CO_hydrogen_bond=carbonyls)
        search.backbone_determinants(titratable, backbone, SimpleNamespace(parameters=parameters))
        assert [groups for groups, _, _ in given] == [[one] for one in titratable]
        places = [[backbone.index(one) for one in others] for _, others, _ in given]
        assert places == [[*range(0, 12, 2), 13, 14], [], []]
        assert all(version.parameters is parameters for _, _, version in given)


def test_propka_is_its_own_again_afterwards(tmp_path):
    before = propka.version.radial_volume_desolvation, propka.conformation_container.set_backbone_determinants
    with neighbour_search():
        assert propka.version.radial_volume_desolvation != before[0]
    with pytest.raises(ValueError, match="does not seem to contain"), neighbour_search():
        values("END\n")
    after = propka.version.radial_volume_desolvation, propka.conformation_container.set_backbone_determinants
    assert after == before
