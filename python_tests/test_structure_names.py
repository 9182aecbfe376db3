"""Names of residues, atoms and chains in structure files that people have."""

from dataclasses import replace

import numpy as np
import pytest
from structure_texts import NAMES, SEQUENCE, expected, in_columns, ion, joined, renamed, residues
from synthetic import helix, modified, moved, pdb

from resblock.structure import notes

# Names


@pytest.mark.parametrize(
    ("letter", "name", "parent"),
    [
        *(("H", name, "HIS") for name in ("HSD", "HSE", "HSP", "HID", "HIE", "HIP", "HISD")),
        *(("C", name, "CYS") for name in ("CYX", "CYM", "SEC")),
        ("D", "ASH", "ASP"), ("E", "GLH", "GLU"), ("K", "LYN", "LYS"), ("K", "LYSH", "LYS"), ("Y", "TYM", "TYR"),
        ("A", "NALA", "ALA"), ("W", "CTRP", "TRP"), ("A", "DAL", "ALA"), ("R", "DAR", "ARG"), ("S", "HSE", "SER"),
        ("D", "ASX", "ASP"), ("E", "GLX", "GLU"), ("K", "PYL", "LYS"),
    ],
)  # fmt: skip
def test_names_of_force_fields_and_of_the_dictionary_stand_for_their_parents(read, letter, name, parent):
    atoms = renamed(helix(f"MKTA{letter}IAKQRQW"), 5, name)
    partner = read(pdb(atoms))
    assert residues(partner) == expected(names=[name if n == "TYR" else n for n in NAMES])
    assert partner.residues[4].parent == parent
    assert notes(partner) == []


def test_atoms_of_force_fields_have_their_usual_names(read):
    changed = {("ILE", "CD1"): "CD"}
    atoms = tuple(replace(a, name=changed.get((a.residue, a.name), a.name)) for a in helix(SEQUENCE))
    assert read(pdb(atoms)).digest == read(pdb(helix(SEQUENCE))).digest


# Chains


@pytest.mark.parametrize("names", [("PROA", "PROB"), ("PRO1", "PRO2"), ("A", "B")])
def test_segments_name_chains_that_have_no_name(read, names):
    first = modified(helix(SEQUENCE), 1, "MSE", SD=("SE", "SE"))
    lines = [
        line[:21] + " " + line[22:72].ljust(50) + segment.ljust(4) + line[76:]
        for segment, atoms in ((names[0], first), (names[1], moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0))))
        for line in joined(pdb(atoms)).splitlines()
    ]
    partner = read("\n".join(lines))
    second = expected(names[1], ["MET", "LYS", "TRP", "TYR", "ASP", "ALA"])
    assert residues(partner) == expected(names[0], ["MSE", *NAMES[1:]]) + second
    assert partner.left_out == ()
    assert partner.remarks[1:] == ("chains are named by segments (columns 73-76)",)


@pytest.mark.parametrize("sequence", ["MKTAYI", "GG"])
def test_the_entrys_name_is_no_segment_whatever_waters_there_are(read, sequence):
    """Old files have the entry's name in columns 73-76 and the line's number behind it, of one digit up to line 9."""
    protein = joined(pdb(tuple(replace(a, chain=" ") for a in helix(sequence)))).splitlines()
    waters = [
        line for k in range(100)
        for line in joined(pdb((replace(ion(k, "O", (30.0 + k, 0.0, 0.0)), residue="HOH", chain=" "),))).splitlines()
    ]  # fmt: skip
    lines = [f"{line[:72]}1ABC{k:4d}" for k, line in enumerate(protein + waters)]
    partner = read("\n".join(lines))
    assert partner.chains == ("",)
    assert partner.remarks == ("model 1 of 1",)


def test_chain_names_of_two_letters(read):
    text = joined(pdb(helix("MKTAYIAHQRQW")), pdb(moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")))
    partner = read("\n".join(line[:20] + "A" + line[21:] for line in text.splitlines()))
    assert partner.chains == ("AA", "AB")
    assert residues(partner)[7] == "AA 8 HIS"


def test_two_letters_of_one_chain_are_no_residue_names_of_another(read):
    """HIS of the chains AA and A: a fourth letter A would make HISA of A."""
    one = in_columns(joined(pdb(helix("MKHAYIHK"))), 20, "AA")
    other = joined(pdb(moved(helix("GWYH"), shift=(0.0, 20.0, 0.0))))
    partner = read(one + "\n" + other)
    assert [(r.chain, r.name) for r in partner.residues] == [
        *(("AA", name) for name in ("MET", "LYS", "HIS", "ALA", "TYR", "ILE", "HIS", "LYS")),
        *(("A", name) for name in ("GLY", "TRP", "TYR", "HIS")),
    ]


def test_names_of_four_letters_in_a_box_of_waters_are_no_chain_names(read):
    protein = in_columns(joined(pdb(helix("MKHAYI"))), 17, "HISD", lambda line: line[17:20] == "HIS")
    waters = tuple(
        replace(ion(100 + k, "O", (30.0 + 3 * k, 0.0, 0.0)), residue="TIP3", name="OH2", record="ATOM", chain="W")
        for k in range(200)
    )
    partner = read(protein + "\n" + joined(pdb(waters)))
    assert [(r.chain, r.name) for r in partner.residues][2] == ("A", "HISD")
    assert partner.chains == ("A",)
    assert partner.left_out == ("200 waters",)


@pytest.mark.parametrize("water_chain", [" ", "W"])
def test_segments_name_chains_beside_waters_and_lipids(read, water_chain):
    """As CHARMM-GUI writes membranes: names of four letters, chains in columns 73-76 alone."""
    parts = [
        in_columns(joined(pdb(moved(helix(SEQUENCE), shift=(0.0, 20.0 * k, 0.0), chain=" "))).replace("\n", "      \n")
                   + "      ", 72, segment)
        for k, segment in enumerate(("PROA", "PROB"))
    ]  # fmt: skip
    others = tuple(
        replace(ion(k, "C", (40.0 + 4 * k, 0.0, 0.0)), residue=name, name="C1", record="ATOM", chain=water_chain)
        for k, name in enumerate(("POPC", "TIP3", "POPE"), start=1)
    )
    partner = read("\n".join([*parts, joined(pdb(others))]))
    assert residues(partner) == expected("PROA") + expected("PROB")


def test_names_of_four_letters_and_chain_names_of_two_may_stand_in_one_file(read):
    protein = in_columns(joined(pdb(helix("MKHAYI"))), 17, "HISD", lambda line: line[17:20] == "HIS")
    other = in_columns(joined(pdb(moved(helix("GWYH"), shift=(0.0, 20.0, 0.0)))), 20, "XB")
    partner = read(protein + "\n" + other)
    assert [(r.chain, r.name) for r in partner.residues][2] == ("A", "HISD")
    assert partner.chains == ("A", "XB")


@pytest.mark.parametrize("chains", [["A", "B"], [" A", "B "]])
def test_spaces_around_chain_names_do_not_matter(read, chains):
    text = pdb(helix(SEQUENCE) + moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B"))
    assert read(text, chains=chains).chains == ("A", "B")


def test_blocks_out_of_order_are_put_in_the_order_of_their_bonds(read):
    atoms = helix(SEQUENCE)
    text = joined(pdb(tuple(a for a in atoms if a.number > 7)), pdb(tuple(a for a in atoms if a.number <= 7)))
    partner = read(text)
    assert residues(partner) == expected()
    assert partner.digest == read(pdb(atoms)).digest


def test_a_ring_is_read_from_where_the_file_begins_it(read):
    """Bonds between all neighbours and between the ends: the last is not followed for ever."""
    atoms = helix("GGGGGG")
    angle = 2 * np.pi / 6
    ring = []
    for k in range(6):
        turn = np.array(
            [[np.cos(k * angle), -np.sin(k * angle), 0], [np.sin(k * angle), np.cos(k * angle), 0], [0, 0, 1]]
        )
        for name, xyz in (
            ("N", (3.6, -1.3, 0.0)),
            ("CA", (4.2, 0.0, 0.4)),
            ("C", (3.6, 1.3, 0.0)),
            ("O", (4.3, 2.0, -0.9)),
        ):
            template = next(a for a in atoms if a.name == name)
            ring.append(replace(template, number=k + 1, xyz=tuple(np.round(turn @ np.array(xyz), 3).tolist())))
    partner = read(pdb(tuple(ring)))
    assert residues(partner) == expected(names=["GLY"] * 6)
    assert partner.linked.tolist() == [False, *[True] * 5]


def test_a_chromophore_inside_a_chain_is_said_to_be_left_out(read):
    """Three residues fused into one that has no alpha carbon of that name."""
    fused = tuple(
        replace(a, residue="CRO", number=6, record="HETATM", name=f"{a.name}{a.number - 4}") for a in helix(SEQUENCE)
        if 5 <= a.number <= 7
    )  # fmt: skip
    rest = [a for a in helix(SEQUENCE) if not 5 <= a.number <= 7]
    partner = read(pdb((*[a for a in rest if a.number < 5], *fused, *[a for a in rest if a.number > 7])))
    assert residues(partner) == [line for line in expected() if int(line.split()[1]) not in (5, 6, 7)]
    assert partner.left_out == ("1 CRO",)
    assert partner.linked.tolist() == [False, True, True, True, False, True, True, True, True]


@pytest.mark.parametrize("name", ["DAL", "CSO"])
def test_a_modified_residue_before_the_end_of_its_chain_is_part_of_it(read, name):
    """Between two gaps nothing is bonded to it; TER says that it belongs to the polymer."""
    atoms = renamed(tuple(a for a in helix(SEQUENCE) if a.number not in (5, 7)), 6, name, record="HETATM")
    kept = [line.replace("ILE", name) for line in expected() if line.split()[1] not in ("5", "7")]
    other = joined(pdb(moved(helix("GG"), shift=(0.0, 20.0, 0.0), chain="B")))
    partner = read(other + "\nTER\n" + joined(pdb(atoms)) + "\nTER\n")
    assert residues(partner) == ["B 1 GLY", "B 2 GLY", *kept]
    assert partner.left_out == ()
    assert read(joined(pdb(atoms)) + "\n").left_out == (f"1 {name}",)


def test_the_end_of_a_chain_of_one_atom_is_not_that_of_another(read):
    """A residue between two gaps; an ion's chain ends after it, or before it."""
    first, gapped = helix("MKTA"), renamed(helix("AAAA", start=6), 8, "DAL", record="HETATM")
    kept = tuple(a for a in gapped if a.number == 8)
    ended = joined(pdb((ion(301, chain="B"),))) + "\nTER\n"
    chain, free = joined(pdb(first)), joined(pdb(moved(kept, shift=(60.0, 0.0, 0.0))))
    assert "1 DAL" in read(f"{chain}\n{free}\n{ended}").left_out
    partner = read(f"{chain}\n{ended}{free}\nTER\n")
    assert [r.name for r in partner.residues] == ["MET", "LYS", "THR", "ALA", "DAL"]


@pytest.mark.parametrize("ter", ["", "TER\n"])
def test_a_modified_residue_that_nothing_holds_is_a_ligand(read, ter):
    """Without TER nothing says whether what stands behind a chain belongs to it."""
    free = joined(pdb(moved(renamed(helix("A", start=301), 301, "DAL", record="HETATM"), shift=(60.0, 0.0, 0.0))))
    partner = read(joined(pdb(helix(SEQUENCE))) + "\n" + ter + free)
    assert residues(partner) == expected()
    assert partner.left_out == ("1 DAL",)
    other = joined(pdb(moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")))
    partner = read(other + "\nTER\n" + joined(pdb(helix(SEQUENCE))) + "\n" + ter + free)
    assert partner.left_out == ("1 DAL",), "the other chain's TER says nothing of this one"
