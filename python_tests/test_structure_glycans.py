"""Residues that carry a sugar: those bonded to one, and no others."""

import csv

from synthetic import helix, pdb, write

SEQUENCE = "MKNLEKSFHRDETVQKIS"


def sugar(text, number, atom, away=1.45, name="NAG"):
    """A sugar's first carbon so far from a residue's atom, along x."""
    lines = text.splitlines()
    near = next(line for line in lines if int(line[22:26]) == number and line[12:16].strip() == atom)
    xyz = [float(near[k : k + 8]) for k in (30, 38, 46)]
    xyz[0] += away
    place = "".join(f"{value:8.3f}" for value in xyz)
    carbon = f"HETATM 9000  C1  {name} Z 901    {place}  1.00 20.00           C"
    return "\n".join([*(line for line in lines if line != "END"), carbon, "END", ""])


def carriers(partner):
    return [partner.residues[k].number for k in partner.glycosylated.nonzero()[0]]


def with_side_chain(text, number, atom):
    """A text whose residue has this atom 1.5 Angstrom from its beta carbon."""
    lines = text.splitlines()
    place, beta = next(
        (k, line) for k, line in enumerate(lines) if int(line[22:26]) == number and line[12:16].strip() == "CB"
    )
    x = float(beta[30:38]) + 1.5
    lines.insert(place + 1, f"{beta[:12]} {atom:<3}{beta[16:30]}{x:8.3f}{beta[38:76]} {atom[0]}")
    return "\n".join([*lines, ""])


def test_a_residue_bonded_to_a_sugar_carries_it(read):
    text = with_side_chain(pdb(helix(SEQUENCE)), 3, "ND2")
    assert carriers(read(text)) == []
    assert carriers(read(sugar(text, 3, "ND2"))) == [3]
    assert carriers(read(sugar(text, 3, "ND2", away=2.5))) == [], "beside it, not bonded"
    assert carriers(read(sugar(text, 3, "CB", away=-1.45))) == [], "another atom"
    serine = with_side_chain(pdb(helix(SEQUENCE)), 7, "OG")
    assert carriers(read(sugar(serine, 7, "OG", name="NGA"))) == [7]


def test_carriers_are_in_the_table_and_in_a_note(run, tmp_path):
    text = sugar(with_side_chain(pdb(helix(SEQUENCE)), 3, "ND2"), 3, "ND2")
    (tmp_path / "sugared.pdb").write_text(text)
    other = write(tmp_path / "other.pdb", helix(SEQUENCE[::-1], chain="B"))
    status, _, err = run("predict", tmp_path / "sugared.pdb", other, "--out", tmp_path / "run")
    assert status == 0
    assert "1 residue with a glycan" in err
    assert "(chain A residue ASN 3)" in err
    with (tmp_path / "run" / "residues.csv").open() as file:
        assert [row["residue"] for row in csv.DictReader(file) if row["glycan"] == "yes"] == ["3"]
