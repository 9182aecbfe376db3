"""The sequence that a file states, the place of each residue in it, and what of a file is left out."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, mmcif, moved, write

from resblock.structure import read_partner
from resblock.structure.formats import read_structure
from resblock.structure.scales import RESIDUE_NAMES
from resblock.structure.sequence import places

THREE = dict(zip("ARNDCQEGHILKMFPSTWYV", RESIDUE_NAMES, strict=True))


def seqres(chain, sequence):
    """SEQRES records, thirteen residues a line."""
    names = [THREE[letter] for letter in sequence]
    lines = [names[k : k + 13] for k in range(0, len(names), 13)]
    return [
        f"SEQRES {number:3d} {chain} {len(names):4d}  {' '.join(line)}" for number, line in enumerate(lines, start=1)
    ]


def poly_seq_scheme(chain, sequence):
    """The loop of mmCIF that says the same."""
    head = ["data_x", "loop_", *(f"_pdbx_poly_seq_scheme.{name}" for name in ("asym_id", "entity_id", "seq_id"))]
    head += [f"_pdbx_poly_seq_scheme.{name}" for name in ("mon_id", "pdb_strand_id", "hetero")]
    return "\n".join([*head, *(f"A 1 {k} {THREE[x]} {chain} n" for k, x in enumerate(sequence, start=1)), "#", ""])


def with_records(path, records):
    path.write_text("\n".join([*records, path.read_text()]))
    return path


def test_a_file_without_a_statement_states_nothing(tmp_path):
    partner = read_partner(write(tmp_path / "x.pdb", helix(ALL_TYPES)))
    assert partner.sequence == ("",)
    assert (partner.sequence_index == -1).all()


@pytest.mark.parametrize(
    "record", ["SEQRES", "SEQRES   1", "SEQRES   1 A\nDBREF", "SEQRES   1 A    3  MET\nDBREF  1ABC"]
)
def test_damaged_records_state_nothing_and_refuse_nothing(record, tmp_path):
    path = with_records(write(tmp_path / "x.pdb", helix(ALL_TYPES)), [record])
    assert len(read_partner(path)) == len(ALL_TYPES)


def test_residues_are_found_in_the_stated_sequence(tmp_path):
    """The file shows neither the first three residues nor a loop in the middle; the other chain it shows whole."""
    whole = "GSM" + ALL_TYPES
    seen = tuple(atom for atom in helix(ALL_TYPES) if not 8 <= atom.number <= 11)
    other = moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
    path = with_records(write(tmp_path / "x.pdb", seen + other), [*seqres("A", whole), *seqres("B", "MKWYDA")])
    partner = read_partner(path)
    assert partner.sequence == (whole, "MKWYDA")
    expected = [*(k + 3 for k in range(20) if not 7 <= k <= 10), *range(6)]
    assert partner.sequence_index.tolist() == expected
    assert read_partner(path, ["B"]).sequence == ("MKWYDA",)
    assert read_partner(path, ["B", "A"]).sequence_index[:6].tolist() == list(range(6))


def test_mmcif_states_it_too():
    atoms = mmcif(helix("MKWY", chain="H")).partition("\n")[2]
    for scheme, sequences in ((poly_seq_scheme("H", "MKWYDA"), {"H": "MKWYDA"}), ("data_x\n", {})):
        assert read_structure("x.cif", f"{scheme}{atoms}".encode()).sequences == sequences


@given(st.text("ACDEFGHIKLMNPQRSTVWY", min_size=12, max_size=60), st.data())
def test_places_are_of_equal_residues_in_order(stated, data):
    start = data.draw(st.integers(0, 4))
    end = data.draw(st.integers(len(stated) - 4, len(stated)))
    found = places(stated, stated[start:end])
    known = found[found >= 0]
    assert (np.diff(known) > 0).all()
    assert all(stated[place] == letter for place, letter in zip(found, stated[start:end], strict=True) if place >= 0)
    assert (found >= 0).all()


def test_a_mutated_residue_has_no_place():
    assert places("MKWYDAGHIL", "MKWADAGHIL").tolist() == [0, 1, 2, -1, 4, 5, 6, 7, 8, 9]
    assert places("MKWADAGHIL", "MKWYDAGHIL").tolist() == [0, 1, 2, -1, 4, 5, 6, 7, 8, 9]
    assert places("", "MKW").tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("stated", "observed", "behind"),
    [
        # Two gaps of 3 residues and 5 matches, -14 + 10, are more than 5 mismatches.
        ("MKWYDAEEVT" "NRG" "IP" "SDL" "ACF", "MKWYDAEEVT" "IP" "ACF", [13, 14, 18, 19, 20]),
        # Gaps of 3 and 2 residues and 4 matches, -13 + 8, are less than 4 mismatches.
        ("MKWYDAEEVT" "NRG" "IP" "SD" "AC", "MKWYDAEEVT" "IP" "AC", [-1, -1, -1, -1]),
    ],
)  # fmt: skip
def test_what_gaps_cost(stated, observed, behind):
    """A match scores 2, a mismatch -1, a gap -5 and -1 for each further residue; the end is free."""
    assert places(stated, observed).tolist() == [*range(10), *behind]


def test_what_is_a_stretch_of_the_sequence_needs_no_alignment(monkeypatch):
    monkeypatch.setitem(sys.modules, "Bio.Align", None)  # an import fails
    for start, end in ((0, 4), (0, 10), (2, 6), (6, 10)):
        assert places("MKWYDAGHIL", "MKWYDAGHIL"[start:end]).tolist() == list(range(start, end))
    with pytest.raises(ImportError):
        places("MKWYDAWYDA", "WYDA")  # in two places: which is for the aligner to say


def test_what_is_left_out_is_said(tmp_path):
    atoms = helix("MKWYDA")
    water = tuple(
        replace(atoms[0], name="O", residue="HOH", number=100 + k, xyz=(30.0 + 5 * k, 0.0, 0.0), element="O")
        for k in range(2)
    )
    other = moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
    path = write(tmp_path / "x.pdb", atoms + water + other)
    assert read_partner(path, ["A"]).left_out == ("chain B", "2 waters")
    assert read_partner(path).left_out == ("2 waters",)


@pytest.mark.parametrize("name", ["receptor.pdb", "ligand.cif"])
def test_the_example_is_read_whole(name):
    from importlib.resources import files

    assert read_partner(str(files("resblock") / "example" / name)).left_out == ()
