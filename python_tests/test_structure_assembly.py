"""Biological assemblies from the operators that PDB and mmCIF files state."""

import numpy as np
import pytest
from synthetic import helix, mmcif, moved, pdb, remark_350

from resblock.errors import InputError
from resblock.structure import assembly, read_partner

ONE, OTHER = helix("MKTAYIAKQRQW"), moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
#: A half turn about z and a shift.
TURN, SHIFT = np.diag([-1.0, -1.0, 1.0]), np.array([60.0, 0.0, 5.0])


SAME = (np.eye(3), np.zeros(3))


def pdb_file():
    program = "SOFTWARE DETERMINED QUATERNARY STRUCTURE: MONOMERIC"
    first, second = remark_350(1, "AB", (SAME, (TURN, SHIFT))), remark_350(2, "B", ((TURN, SHIFT),), program)
    return first + second + pdb(ONE + OTHER)


def mmcif_file(expression="1,2", details="author_and_software_defined_assembly"):
    """The subchains of the asymmetric unit have other names than the author's chains."""
    operators = [
        f"{name} . {' '.join(str(x) for row, at in zip(rotation, shift, strict=True) for x in (*row, at))}"
        for name, rotation, shift in (("1", np.eye(3), np.zeros(3)), ("2", TURN, SHIFT))
    ]
    items = [item for row in "123" for item in (*(f"matrix[{row}][{k}]" for k in "123"), f"vector[{row}]")]
    about = "\n".join(
        [
            "loop_", "_pdbx_struct_assembly.id", "_pdbx_struct_assembly.details", f"1 {details}", "2 .",
            "loop_", "_pdbx_struct_assembly_gen.assembly_id", "_pdbx_struct_assembly_gen.oper_expression",
            "_pdbx_struct_assembly_gen.asym_id_list", f"1 '{expression}' ZA,ZB", "2 2 ZB",
            "loop_", "_pdbx_struct_oper_list.id", "_pdbx_struct_oper_list.type",
            *(f"_pdbx_struct_oper_list.{item}" for item in items), *operators, "",
        ]
    )  # fmt: skip
    return mmcif(ONE + OTHER).replace("loop_", about + "loop_", 1)


@pytest.fixture(params=[pdb_file, mmcif_file, lambda: mmcif_file("(1-2)"), lambda: mmcif_file("(1)(1,2)")])
def path(request, tmp_path):
    path = tmp_path / "x"
    path.write_text(request.param())
    return path


def place(partner, chain):
    return partner.coordinates[[partner.residues[k].chain == chain for k in partner.atom_residue]]


def test_copies_are_where_the_operators_put_them(path):
    partner = read_partner(path, assembly="1")
    assert partner.chains == ("A", "B", "A-2", "B-2")
    assert partner.remarks == ("model 1 of 1", "assembly 1")
    for chain in "AB":
        np.testing.assert_allclose(place(partner, f"{chain}-2"), place(partner, chain) @ TURN.T + SHIFT)


def test_an_assembly_may_hold_a_part(path):
    partner = read_partner(path, assembly="2")
    assert partner.chains == ("B",)
    np.testing.assert_allclose(place(partner, "B"), place(read_partner(path), "B") @ TURN.T + SHIFT)


def test_copies_can_be_chosen(path):
    assert read_partner(path, ["A-2"], assembly="1").chains == ("A-2",)


def test_without_asking_a_larger_unit_is_said(path):
    partner = read_partner(path)
    assert partner.chains == ("A", "B")
    assert partner.remarks == ("model 1 of 1", "the authors' biological unit has 2 copies (--assembly 1)")


def test_the_unit_of_a_program_is_not_that_of_the_authors(tmp_path):
    (tmp_path / "x").write_text(mmcif_file(details="software_defined_assembly"))
    assert read_partner(tmp_path / "x").remarks == ("model 1 of 1",)


def test_one_that_is_not_there_is_refused(path, tmp_path):
    with pytest.raises(InputError, match="no assembly 3; there are 1, 2"):
        read_partner(path, assembly="3")
    (tmp_path / "none.pdb").write_text(pdb(ONE))
    with pytest.raises(InputError, match="no assembly 1; the file describes none"):
        read_partner(tmp_path / "none.pdb", assembly="1")


def test_an_assembly_of_nothing_is_refused(tmp_path):
    (tmp_path / "x.pdb").write_text(remark_350(1, "X", (SAME,)) + pdb(ONE))
    with pytest.raises(InputError, match="assembly 1 has 0 atoms"):
        read_partner(tmp_path / "x.pdb", assembly="1")


def test_of_a_product_the_last_operator_acts_first(tmp_path):
    half = mmcif_file("(2)(3)").replace("\n2 . ", "\n3 . 1 0 0 0 0 1 0 10.0 0 0 1 0\n2 . ", 1)
    (tmp_path / "x").write_text(half)
    there = place(read_partner(tmp_path / "x", ["A"], assembly="1"), "A")
    here = place(read_partner(tmp_path / "x", ["A"]), "A")
    np.testing.assert_allclose(there, (here + np.array([0.0, 10.0, 0.0])) @ TURN.T + SHIFT)


@pytest.mark.parametrize("damage", [("2 . -1.0", "2 . x"), ("'1,2'", "'(1-'"), ("'1,2'", "'7'")])
def test_damaged_operators_cost_the_assembly_alone(tmp_path, damage):
    (tmp_path / "x").write_text(mmcif_file().replace(*damage))
    assert read_partner(tmp_path / "x").chains == ("A", "B")
    with pytest.raises(InputError, match=f"{tmp_path}/x: .*"):
        read_partner(tmp_path / "x", assembly="1")


def test_operators_that_gemmi_cannot_read_cost_the_assembly_alone(tmp_path, monkeypatch):
    def fail(text):
        raise RuntimeError("damaged")

    monkeypatch.setattr(assembly.gemmi, "read_pdb_string", fail)
    (tmp_path / "x.pdb").write_text(pdb_file())
    assert read_partner(tmp_path / "x.pdb").chains == ("A", "B")
    with pytest.raises(InputError, match="the file describes none"):
        read_partner(tmp_path / "x.pdb", assembly="1")


@pytest.mark.parametrize(("name", "just_enough"), [("_MAX_ATOMS", 2 * len(ONE + OTHER)), ("_MAX_COPIES", 2)])
def test_assemblies_have_limits(tmp_path, monkeypatch, name, just_enough):
    (tmp_path / "x").write_text(mmcif_file("(1)(1,2)"))
    monkeypatch.setattr(assembly, name, just_enough)
    assert read_partner(tmp_path / "x", assembly="1").chains == ("A", "B", "A-2", "B-2")
    monkeypatch.setattr(assembly, name, just_enough - 1)
    with pytest.raises(InputError, match="assembly 1"):
        read_partner(tmp_path / "x", assembly="1")


def test_the_limits_are_those_of_two_million_atoms_and_ten_thousand_operators():
    assert (assembly._MAX_ATOMS, assembly._MAX_COPIES) == (2_000_000, 10_000)
