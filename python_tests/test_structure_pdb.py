"""Columns of PDB and mmCIF files, their numbers and encodings, and the confidence of predictions."""

import bz2
import codecs
import lzma
from dataclasses import replace

import numpy as np
import pytest
from structure_texts import NAMES, SEQUENCE, expected, in_columns, ion, joined, renamed, residues
from synthetic import helix, mmcif, moved, pdb, with_b_factors

from resblock.errors import InputError
from resblock.structure import notes
from resblock.structure.formats import read_structure

# Confidence of predictions


PLDDT = [95.5, 93.0, 90.25, 88.0, 80.0, 71.0, 60.5, 49.0, 48.0, 30.0, 97.0, 12.0]


@pytest.mark.parametrize(
    ("header", "predicted"),
    [
        ("TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR A PROTEIN\n", True),
        ("REMARK   1 B-FACTOR COLUMN HOLDS PLDDT\n", True),
        ("TITLE     ESMFOLD V1 PREDICTION\nEXPDTA    THEORETICAL MODEL\n", True),
        ("TITLE     A LYSOZYME\n", False),
        ("", False),
        ("TITLE     X SOLVED WITH AN ALPHAFOLD MODEL\n", False),
        ("EXPDTA    X-RAY DIFFRACTION\nREMARK 200 STARTING MODEL: ALPHAFOLD\n", False),
    ],
)
def test_confidence_is_known_by_what_the_file_says(read, header, predicted):
    partner = read(header + with_b_factors(pdb(helix(SEQUENCE)), PLDDT))
    assert (None if partner.plddt is None else partner.plddt.tolist()) == (PLDDT if predicted else None)


@pytest.mark.parametrize(("metric", "predicted"), [("pLDDT", True), ("PAE", False)])
def test_confidence_of_mmcif_is_known_by_its_metric(read, metric, predicted):
    about = f"_ma_qa_metric.id 1\n_ma_qa_metric.name score\n_ma_qa_metric.type {metric}\n"
    text = mmcif(helix(SEQUENCE)).replace("loop_", about + "loop_", 1).replace(" 0.00 ", " 61.50 ")
    assert (read(text).plddt is not None) == predicted
    assert not predicted or read(text).plddt.tolist() == [61.5] * 12


def test_confidence_between_0_and_1_is_in_per_cent(read):
    shares = [0.95, 0.93, 0.9, 0.88, 0.8, 0.71, 0.6, 0.49, 0.48, 0.3, 0.97, 0.12]
    partner = read("TITLE     ESMFOLD V1 PREDICTION FOR INPUT\n" + with_b_factors(pdb(helix(SEQUENCE)), shares))
    np.testing.assert_allclose(partner.plddt, np.array(shares) * 100)


def test_what_is_hardly_placed_is_said(read):
    partner = read("TITLE     ALPHAFOLD PREDICTION\n" + with_b_factors(pdb(helix(SEQUENCE)), PLDDT))
    (line,) = notes(partner)
    assert "4 residues with pLDDT under 50" in line
    assert "chain A residue LYS 8" in line


# Columns, numbers and encodings


@pytest.mark.parametrize("word", ["9" * 20, "1" * 5000, "1.5", "A000"])
def test_a_number_of_a_residue_that_is_none_is_refused_with_its_row(read, word):
    text = mmcif(helix(SEQUENCE)).replace(" 12 A 1\n", f" {word} A 1\n", 1)
    with pytest.raises(InputError, match=r"atom_site row \d+: auth_seq_id is .* not a number"):
        read(text)


def test_a_file_without_residue_numbers_is_refused(read):
    lines = mmcif(helix(SEQUENCE)).splitlines()
    names = [line.split(".")[1].strip() for line in lines if line.startswith("_atom_site.")]
    keep = [k for k, name in enumerate(names) if not name.endswith("_seq_id")]
    rows = [" ".join(line.split()[k] for k in keep) for line in lines if line.startswith("ATOM")]
    with pytest.raises(InputError, match="atom_site has no auth_seq_id"):
        read("\n".join(["data_x", "loop_", *(f"_atom_site.{names[k]}" for k in keep), *rows, ""]))


def test_serial_numbers_of_six_digits_hide_no_atom(read):
    lines = joined(pdb(helix(SEQUENCE))).splitlines()
    long = [line if k < 40 else f"{line[:5]}{100_000 + k}{line[11:]}" for k, line in enumerate(lines)]
    assert residues(read("\n".join(long))) == expected()


def test_a_line_that_is_shifted_is_refused(read):
    lines = joined(pdb(helix(SEQUENCE))).splitlines()
    with pytest.raises(InputError, match="line 6 begins with blanks"):
        read("\n".join([*lines[:5], f" {lines[5]}", *lines[6:]]))


@pytest.mark.parametrize("before", ["# made\n", "  # made\n  ", " \n\t"])
def test_blanks_and_comments_may_stand_before_the_data_block(read, before):
    assert read(before + mmcif(helix(SEQUENCE))).format == "mmcif"


@pytest.mark.parametrize(
    "absent",
    [("occupancy",), ("B_iso_or_equiv", "group_PDB"), ("pdbx_PDB_ins_code",), ("auth_asym_id", "auth_seq_id"),
     ("label_alt_id", "pdbx_PDB_model_num", "type_symbol", "label_entity_id", "id")],
)  # fmt: skip
def test_optional_columns_of_mmcif_may_be_missing_or_unknown(read, absent):
    whole = mmcif(helix(SEQUENCE))
    lines = whole.splitlines()
    names = [line.split(".")[1].strip() for line in lines if line.startswith("_atom_site.")]
    rows = [line.split() for line in lines if line.startswith("ATOM")]
    keep = [k for k, name in enumerate(names) if name not in absent]
    head = ["data_x", "loop_", *(f"_atom_site.{names[k]}" for k in keep)]
    without = "\n".join([*head, *(" ".join(row[k] for k in keep) for row in rows), ""])
    head = ["data_x", "loop_", *(f"_atom_site.{name}" for name in names)]
    unknown = [" ".join("?" if names[k] in absent else word for k, word in enumerate(row)) for row in rows]
    for text in (without, "\n".join([*head, *unknown, ""])):
        partner = read(text)
        assert residues(partner) == expected("ZA" if "auth_asym_id" in absent else "A")
        np.testing.assert_array_equal(partner.coordinates, read(whole).coordinates)
    by_label = "chains are named by label_asym_id: the file has no names of the author's"
    assert read(without).remarks[1:] == ((by_label,) if "auth_asym_id" in absent else ())


def test_a_table_of_no_atoms_is_refused(read):
    head = mmcif(helix(SEQUENCE)).partition("ATOM")[0]
    with pytest.raises(InputError, match=r"x\.pdb: no atoms found"):
        read(head + "#\nloop_\n_other.a\n_other.b\n1 2\n")


@pytest.mark.parametrize("name", ["x.txt", "x.mcif", "x.ent", "x"])
@pytest.mark.parametrize("text", [pdb, mmcif])
@pytest.mark.parametrize("pack", [bytes, bz2.compress, lzma.compress])
def test_the_kind_is_found_from_the_content(read, name, text, pack):
    partner = read(pack(text(helix(SEQUENCE)).encode()), name)
    assert residues(partner) == expected()
    assert partner.format == ("mmcif" if text is mmcif else "pdb")


def test_a_letter_behind_a_number_is_not_hexadecimal_before_9999(read):
    text = in_columns(joined(pdb(helix(SEQUENCE))), 22, "100A", lambda line: line[22:26].strip() == "5")
    with pytest.raises(InputError, match=r"line \d+: residue number '100A' .* is not a whole number"):
        read(text)


@pytest.mark.parametrize("text", [pdb, mmcif])
def test_a_byte_order_mark_hides_no_line(read, text):
    atoms = helix(SEQUENCE)
    lines = text(atoms) if text is mmcif else joined(pdb(atoms))
    partner = read(codecs.BOM_UTF8 + lines.encode())
    assert residues(partner) == expected()
    assert len(partner.atom_names) == len(atoms)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (pdb(helix("MKTA")).encode("utf-16"), "save it in UTF-8"),
        (b"PK\x03\x04" + bytes(60), "unpack it"),
        (b"\x7fELF" + bytes(60), "give a PDB or mmCIF file"),
    ],
)
def test_what_is_no_text_is_refused_with_what_to_do(read, content, advice):
    with pytest.raises(InputError, match=f"x.pdb: .*{advice}"):
        read(content)


@pytest.mark.parametrize("scheme", [False, True])
def test_the_whole_sequence_is_known(read, scheme):
    """Of entity_poly, of which pdbx_poly_seq_scheme is the longer form; the first two residues are not observed."""
    whole = "GSMKTAYIAKQRQW"
    letters = f"_entity_poly.pdbx_seq_one_letter_code_can\n;{whole[:9]}\n{whole[9:]}\n;\n"
    tables = "_entity_poly.entity_id 1\n_entity_poly.pdbx_strand_id A,B\n" + letters
    if scheme:
        names = ["GLY", "SER", *NAMES]
        rows = "".join(f"A {k} {name}\n" for k, name in enumerate(names, start=1))
        items = ("pdb_strand_id", "seq_id", "mon_id")
        tables += "loop_\n" + "".join(f"_pdbx_poly_seq_scheme.{item}\n" for item in items) + rows
    partner = read(mmcif(helix(SEQUENCE)).replace("loop_", tables + "loop_", 1))
    assert partner.sequence == (whole,)
    assert partner.sequence_index.tolist() == list(range(2, 14))


@pytest.mark.parametrize(
    ("start", "written"),
    [(9995, ["9995", "9996", "9997", "9998", "9999", "A000", "A001", "A002", "A003", "A004", "A005", "A006"]),
     (9995, ["9995", "9996", "9997", "9998", "9999", "2710", "2711", "2712", "2713", "2714", "2715", "271A"]),
     (9995, ["9995", "9996", "9997", "9998", "9999", "2710", "2711", "2712", "2713", "2714", "2715", "2716"]),
     # The last of those with capitals, 26 36^3 after A000, is followed by the first of those without.
     (1_223_050, ["ZZZU", "ZZZV", "ZZZW", "ZZZX", "ZZZY", "ZZZZ", "a000", "a001", "a002", "a003", "a004", "a005"]),
     (-5, ["  -5", "  -4", "  -3", "  -2", "  -1", "   0", "   1", "   2", "   3", "   4", "   5", "   6"])],
)  # fmt: skip
def test_residue_numbers_beyond_four_digits(read, start, written):
    lines = joined(pdb(helix(SEQUENCE))).splitlines()
    partner = read("\n".join(line[:22] + written[int(line[22:26]) - 1] + line[26:] for line in lines))
    numbers = [start + k for k in range(12)]
    if written[-1] == "271A":
        numbers[-1] = 0x271A
    assert [r.number for r in partner.residues] == numbers


def test_a_hexadecimal_number_is_the_reading_nearer_to_the_one_before(read):
    """After 9999 four digits may be either: 2711 follows 2710, and 1044 follows 1041."""
    written = ["9998", "9999", "2710", "2711", "   1", "1041", "1044", "1045", "271A", "2723", "  -3", "1F00"]
    numbers = [9998, 9999, 10000, 10001, 1, 1041, 1044, 1045, 0x271A, 0x2723, -3, 0x1F00]
    lines = joined(pdb(helix(SEQUENCE))).splitlines()
    partner = read("\n".join(line[:22] + written[int(line[22:26]) - 1] + line[26:] for line in lines))
    assert [r.number for r in partner.residues] == numbers


@pytest.mark.parametrize("far", ["1e12", "-999999999999.5"])
def test_places_are_read_as_long_as_decimals_are_left(far):
    whole = mmcif(helix(SEQUENCE))
    x = f"{helix(SEQUENCE)[40].xyz[0]:.3f}"
    assert read_structure("x.cif", whole.replace(f" {x} ", f" {far} ", 1).encode()).atoms.xyz[40, 0] == float(far)
    with pytest.raises(InputError, match="Cartn_x is '1000000000001', not a number that can stand there"):
        read_structure("x.cif", whole.replace(f" {x} ", " 1000000000001 ", 1).encode())


def test_a_modified_residue_of_a_polymer_needs_no_bond(read):
    """Between two gaps: an atom with a place in the sequence (label_seq_id) is of the polymer, whatever its record."""
    atoms = renamed(tuple(a for a in helix(SEQUENCE) if a.number not in (5, 7)), 6, "DAL", record="HETATM")
    assert "A 6 DAL" in residues(read(mmcif(atoms)))
    lines = mmcif(atoms).splitlines()
    unplaced = [" ".join([*w[:8], ".", *w[9:]]) if (w := line.split())[:1] == ["HETATM"] else line for line in lines]
    assert "A 6 DAL" not in residues(read("\n".join([*unplaced, ""])))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *((text, word) for text in (pdb, mmcif) for word in ("1.2O4", "1_0", "--1", "0x1", "1,5")),
        (pdb, "1e3"),
        (mmcif, "1e400"),
        (mmcif, "-1e200"),
    ],
)
def test_what_is_no_coordinate_is_refused_with_its_line(read, text, word):
    whole = text(helix(SEQUENCE))
    x = f"{helix(SEQUENCE)[40].xyz[0]:.3f}"
    changed = whole.replace(f"{x:>8}" if text is pdb else f" {x} ", f"{word:>8}" if text is pdb else f" {word} ", 1)
    with pytest.raises(InputError, match=r"(line|atom_site row) \d+: .*(coordinate|Cartn_x) .* not a number"):
        read(changed)


def test_coordinates_far_from_the_origin_keep_their_decimals(read):
    base, far = helix(SEQUENCE), moved(helix(SEQUENCE), shift=(1e8, -1e8, 1e8))
    here, there = read(mmcif(base)), read(mmcif(far))
    np.testing.assert_allclose(there.coordinates - np.array([1e8, -1e8, 1e8]), here.coordinates, rtol=0, atol=1e-7)


def test_an_uncertainty_in_brackets_is_no_part_of_a_number(read):
    whole = mmcif(helix(SEQUENCE))
    x = f"{helix(SEQUENCE)[40].xyz[0]:.3f}"
    assert read(whole.replace(f" {x} ", f" {x}(12) ", 1)).digest == read(whole).digest


def test_mercury_inside_a_residue_is_no_hydrogen(read):
    base = renamed(helix("MKTACIAKQRQW"), 5, "MMC", record="HETATM")
    sulphur = next(a for a in base if (a.number, a.name) == (5, "SG"))
    mercury = replace(sulphur, name="HG", element="HG", xyz=tuple(x + 1.4 for x in sulphur.xyz))
    hydrogen = replace(sulphur, name="HB2", element="H", xyz=tuple(x - 1.0 for x in sulphur.xyz))
    at = base.index(sulphur) + 1
    partner = read(pdb((*base[:at], mercury, hydrogen, *base[at:])))
    assert [(n, e) for n, e in zip(partner.atom_names, partner.elements, strict=True) if n[0] == "H"] == [("HG", "HG")]
    serine = helix("MKTASIAKQRQW")
    gamma = next(a for a in serine if (a.number, a.name) == (5, "OG"))
    wrong = replace(gamma, name="HG", element="HG", xyz=tuple(x + 0.9 for x in gamma.xyz))
    assert "HG" not in read(pdb((*serine, wrong))).atom_names


def test_heavy_elements_are_no_hydrogen(read):
    base = renamed(helix("MKTACIAKQRQW"), 5, "CAS", record="HETATM")
    sulphur = next(a for a in base if (a.number, a.name) == (5, "SG"))
    arsenic = replace(sulphur, name="AS", element="AS", xyz=tuple(x + 1.3 for x in sulphur.xyz))
    mercury = replace(ion(301, "HG"), xyz=(30.0, 0.0, 0.0))
    at = base.index(sulphur) + 1
    partner = read(pdb((*base[:at], arsenic, *base[at:], mercury)))
    assert residues(partner)[4] == "A 5 CAS"
    assert "AS" in partner.atom_names
    assert partner.left_out == ("1 HG",)
