"""Kinds of structure files that people have: which residues are read of each, written down by hand."""

import bz2
import codecs
import lzma
from dataclasses import replace

import numpy as np
import pytest
from synthetic import helix, mmcif, moved, pdb, with_b_factors

from resblock.errors import InputError
from resblock.structure import notes, read_partner

SEQUENCE = "MKTAYIAKQRQW"
NAMES = ["MET", "LYS", "THR", "ALA", "TYR", "ILE", "ALA", "LYS", "GLN", "ARG", "GLN", "TRP"]


@pytest.fixture
def read(tmp_path):
    """Reads a text, under whatever name, as a partner."""

    def read_text(text, name="x.pdb", **options):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_partner(tmp_path / name, **options)

    return read_text


def residues(partner):
    return [f"{r.chain} {r.label} {r.name}" for r in partner.residues]


def expected(chain="A", names=NAMES, start=1):
    return [f"{chain} {start + k} {name}" for k, name in enumerate(names)]


def ion(number, name="CA", xyz=(40.0, 0.0, 0.0), record="HETATM", chain="A"):
    base = helix("A")[0]
    return replace(base, name=name, residue=name, number=number, xyz=xyz, element=name, record=record, chain=chain)


def renamed(atoms, number, name, **changes):
    return tuple(replace(a, residue=name, **changes) if a.number == number else a for a in atoms)


def joined(*texts):
    """Atom lines of several texts, one after the other."""
    return "\n".join(line for text in texts for line in text.splitlines() if line[:6] in ("ATOM  ", "HETATM"))


# Not residues


@pytest.mark.parametrize("record", ["ATOM", "HETATM"])
@pytest.mark.parametrize("text", [pdb, mmcif])
def test_calcium_is_no_alpha_carbon(read, record, text):
    ions = (ion(201, record=record), ion(202, xyz=(40.0, 0.0, 3.5), record=record))
    partner = read(text(helix(SEQUENCE) + ions))
    assert residues(partner) == expected()
    assert partner.left_out == ("2 CA",)


def test_caps_are_no_residues_whatever_their_atoms_are_called(read):
    cap = tuple(replace(a, residue="ACE", number=0, record="HETATM") for a in helix("G") if a.name in ("CA", "C", "O"))
    here = moved(cap, shift=(-2.0, 1.0, 0.0))
    partner = read(pdb(here + helix(SEQUENCE)))
    assert residues(partner) == expected()
    assert partner.left_out == ("1 ACE",)


def test_a_residue_without_alpha_carbon_is_said(read):
    atoms = tuple(a for a in helix(SEQUENCE) if (a.number, a.name) != (5, "CA"))
    partner = read(pdb(atoms))
    assert residues(partner) == [line for line in expected() if "TYR" not in line]
    assert partner.left_out == ("residue A 5 TYR (no alpha carbon)",)
    assert partner.linked.tolist() == [False, True, True, True, False, *[True] * 6]


@pytest.mark.parametrize("numbers", [(5, 6), (5, 5)])
def test_waters_whose_numbers_wrap_around_stand_for_no_residue(read, numbers):
    waters = tuple(
        replace(ion(number, "O"), residue="SOL", xyz=(30.0 + 4 * k, 0.0, 0.0), record="ATOM")
        for k, number in enumerate(numbers)
    )
    partner = read(pdb(helix(SEQUENCE) + waters))
    assert residues(partner) == expected()
    assert partner.left_out == ("2 waters",)


@pytest.mark.parametrize("damage", [(22, 26, "****"), (30, 38, "********"), (54, 60, "   nan")])
def test_what_a_damaged_water_says_does_not_matter(read, damage):
    start, stop, word = damage
    water = joined(pdb((replace(ion(301, "O"), residue="TIP3", name="OH2"),)))
    partner = read(joined(pdb(helix(SEQUENCE))) + "\n" + water[:start] + word + water[stop:])
    assert residues(partner) == expected()
    assert partner.left_out == ("1 waters",)


def test_ions_of_one_number_are_counted(read):
    ions = tuple(replace(ion(1, "NA", (30.0 + 4 * k, 0.0, 0.0)), record="ATOM", chain=" ") for k in range(30))
    assert read(pdb(helix(SEQUENCE) + ions)).left_out == ("30 NA",)


# Modified residues, alternatives and point mutations


@pytest.mark.parametrize("name", ["MSE", "MLY", "SEP", "DAL", "DVA"])
def test_a_modified_residue_behind_the_chain_is_read_in_its_place(read, name):
    atoms = renamed(helix(SEQUENCE), 6, name, record="HETATM")
    behind = joined(pdb(tuple(a for a in atoms if a.number != 6))) + "\nTER\n"
    partner = read(behind + joined(pdb(tuple(a for a in atoms if a.number == 6))))
    assert residues(partner) == expected(names=[name if n == "ILE" else n for n in NAMES])
    assert partner.linked.tolist() == [False, *[True] * 11]


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize(("first", "second", "read_as"), [(0.7, 0.3, "CYS"), (0.3, 0.7, "CSO"), (0.5, 0.5, "CYS")])
@pytest.mark.parametrize("interleaved", [False, True])
def test_of_two_kinds_of_residue_the_likelier_is_read(read, shift, first, second, read_as, interleaved):
    base = helix("MKTACIAKQRQW")
    one = tuple(replace(a, alternative="A", occupancy=first) for a in base if a.number == 5)
    other = tuple(
        replace(a, residue="CSO", alternative="B", occupancy=second, record="HETATM",
                xyz=(a.xyz[0] + shift, a.xyz[1], a.xyz[2])) for a in one
    )  # fmt: skip
    both = [a for pair in zip(one, other, strict=True) for a in pair] if interleaved else [*one, *other]
    atoms = (*(a for a in base if a.number < 5), *both, *(a for a in base if a.number > 5))
    for text in (pdb, mmcif):
        partner = read(text(atoms))
        assert residues(partner) == expected(names=[read_as if n == "TYR" else n for n in NAMES])
        assert partner.linked.tolist() == [False, *[True] * 11]


def test_the_likelier_kind_is_that_of_the_backbone_not_of_more_atoms(read):
    base = helix("MKTAGIAKQRQW")
    small = tuple(replace(a, alternative="A", occupancy=0.6) for a in base if a.number == 5)
    large = tuple(replace(a, alternative="B", occupancy=0.4) for a in helix(SEQUENCE) if a.number == 5)
    atoms = (*(a for a in base if a.number < 5), *large, *small, *(a for a in base if a.number > 5))
    assert residues(read(pdb(atoms)))[4] == "A 5 GLY"


def test_a_place_without_a_label_is_read_where_it_is_the_likelier(read):
    base = helix(SEQUENCE)
    own = [a for a in base if a.number == 5]
    first = [replace(a, occupancy=0.7) for a in own]
    second = [replace(a, alternative="B", occupancy=0.3, xyz=tuple(x + 0.4 for x in a.xyz)) for a in own]
    both = [a for pair in zip(first, second, strict=True) for a in pair]
    partner = read(pdb((*(a for a in base if a.number < 5), *both, *(a for a in base if a.number > 5))))
    np.testing.assert_array_equal(partner.coordinates, read(pdb(base)).coordinates)
    swapped = [replace(a, occupancy=1.0 - a.occupancy) for a in both]
    partner = read(pdb((*(a for a in base if a.number < 5), *swapped, *(a for a in base if a.number > 5))))
    assert not np.array_equal(partner.coordinates, read(pdb(base)).coordinates)


def test_atoms_that_two_kinds_of_residue_share_belong_to_either(read):
    """N, C and O stand once, under the name of the less likely residue."""
    base = helix("MKTAVIAKQRQW")
    own = [a for a in base if a.number == 5]
    shared = [a for a in own if a.name in ("N", "C", "O")]
    rest = [a for a in own if a.name not in ("N", "C", "O")]
    valine = [replace(a, alternative="A", occupancy=0.3) for a in rest]
    alanine = [replace(a, residue="ALA", alternative="B", occupancy=0.7) for a in rest if a.name in ("CA", "CB")]
    atoms = (*(a for a in base if a.number < 5), *shared, *valine, *alanine, *(a for a in base if a.number > 5))
    partner = read(pdb(atoms))
    assert residues(partner)[4] == "A 5 ALA"
    names = [name for name, k in zip(partner.atom_names, partner.atom_residue, strict=True) if k == 4]
    assert sorted(names) == ["C", "CA", "CB", "N", "O"]
    assert partner.linked.tolist() == [False, *[True] * 11]


def test_one_conformer_is_read_where_occupancies_cross(read):
    """The backbone of A is likelier, and so A's side chain is read although B's is likelier."""
    base = helix(SEQUENCE)
    own = [a for a in base if a.number == 5]
    backbone = {"N", "CA", "C", "O"}
    first = [replace(a, alternative="A", occupancy=0.7 if a.name in backbone else 0.4) for a in own]
    second = [
        replace(a, alternative="B", occupancy=0.3 if a.name in backbone else 0.6, xyz=tuple(x + 0.4 for x in a.xyz))
        for a in own
    ]
    both = [a for pair in zip(first, second, strict=True) for a in pair]
    partner = read(pdb((*(a for a in base if a.number < 5), *both, *(a for a in base if a.number > 5))))
    np.testing.assert_array_equal(partner.coordinates, read(pdb(base)).coordinates)


def test_two_places_without_a_label_are_one_atom_in_the_likelier(read):
    base = helix(SEQUENCE)
    at = next(k for k, a in enumerate(base) if (a.number, a.name) == (5, "CB"))
    here = replace(base[at], occupancy=0.4)
    there = replace(base[at], occupancy=0.6, xyz=tuple(x + 0.5 for x in base[at].xyz))
    partner = read(pdb((*base[:at], here, there, *base[at + 1 :])))
    assert residues(partner) == expected()
    assert partner.coordinates[at].tolist() == pytest.approx(there.xyz)
    assert partner.left_out == ("1 second places of atoms",)


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


def test_segments_name_chains_that_have_no_name(read):
    lines = [
        line[:21] + " " + line[22:72].ljust(50) + segment.ljust(4) + line[76:]
        for segment, atoms in (("PROA", helix(SEQUENCE)), ("PROB", moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0))))
        for line in pdb(atoms).splitlines()
        if line.startswith("ATOM")
    ]
    partner = read("\n".join(lines))
    assert residues(partner) == expected("PROA") + expected("PROB", ["MET", "LYS", "TRP", "TYR", "ASP", "ALA"])
    assert partner.remarks[1:] == ("chains are named by segments (columns 73-76)",)


def test_chain_names_of_two_letters(read):
    text = joined(pdb(helix("MKTAYIAHQRQW")), pdb(moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")))
    partner = read("\n".join(line[:20] + "A" + line[21:] for line in text.splitlines()))
    assert partner.chains == ("AA", "AB")
    assert residues(partner)[7] == "AA 8 HIS"


def in_columns(text, place, word, which=lambda line: True):
    """A PDB text with a word from a column on, in lines of atoms."""
    return "\n".join(
        line[:place] + word + line[place + len(word) :] if line[:4] in ("ATOM", "HETA") and which(line) else line
        for line in text.splitlines()
    )


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


@pytest.mark.parametrize("ter", ["", "TER\n"])
def test_a_modified_residue_that_nothing_holds_is_a_ligand(read, ter):
    """Without TER nothing says whether what stands behind a chain belongs to it."""
    free = joined(pdb(moved(renamed(helix("A", start=301), 301, "DAL", record="HETATM"), shift=(60.0, 0.0, 0.0))))
    partner = read(joined(pdb(helix(SEQUENCE))) + "\n" + ter + free)
    assert residues(partner) == expected()
    assert partner.left_out == ("1 DAL",)


# Models and data blocks


def frames(*models, model=True, end="ENDMDL"):
    return "\n".join(
        "\n".join(([f"MODEL     {k:4d}"] if model else []) + [joined(pdb(atoms)), end])
        for k, atoms in enumerate(models, start=1)
    )


@pytest.mark.parametrize("text", [frames, lambda *m: mmcif_models(*m)])
def test_copies_in_other_places_are_one_assembly(read, text):
    base = helix(SEQUENCE)
    turned = moved(base, rotation=np.diag([-1.0, -1.0, 1.0]), shift=(0.0, 25.0, 0.0))
    partner = read(text(base, turned))
    assert residues(partner) == expected("A") + expected("A-2")
    assert partner.remarks == ("models 1 to 2 are copies in other places: one assembly",)
    assert residues(read(text(base, turned), model=2)) == expected("A")
    with pytest.raises(InputError, match="no model 3; there are 1, 2"):
        read(text(base, turned), model=3)


def mmcif_models(*models):
    head, _, _ = mmcif(models[0]).partition("ATOM")
    rows = [
        line.rsplit(" ", 1)[0] + f" {k}"
        for k, atoms in enumerate(models, start=1)
        for line in mmcif(atoms).splitlines()
        if line.startswith("ATOM")
    ]
    return head + "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    "text",
    [frames, lambda *m: frames(*m, end=""), lambda *m: frames(*m, model=False, end="END"), lambda *m: mmcif_models(*m)],
    ids=["MODEL", "no ENDMDL", "END", "mmCIF"],
)
def test_of_conformers_the_first_is_read(read, text):
    base = helix(SEQUENCE)
    generator = np.random.default_rng(0)
    other = tuple(
        replace(a, xyz=tuple((np.array(a.xyz) + generator.normal(0, 0.5, 3)).round(3).tolist())) for a in base
    )
    partner = read(text(base, other))
    assert partner.digest == read(pdb(base)).digest
    assert partner.remarks == ("model 1 of 2",)
    assert read(text(base, other), model=2).remarks == ("model 2 of 2",)


def test_end_between_chains_ends_no_model(read):
    second = moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
    partner = read(f"{joined(pdb(helix(SEQUENCE)))}\nEND\n{joined(pdb(second))}\nEND\n")
    assert partner.chains == ("A", "B")
    assert partner.remarks == ("model 1 of 1",)


def test_data_blocks_are_read_together_unless_their_chains_have_one_name(read):
    one = mmcif(helix(SEQUENCE)).replace("data_", "data_first", 1)
    other = mmcif(moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")).replace("data_", "data_other", 1)
    partner = read(one + other)
    assert partner.chains == ("A", "B")
    assert "read together" in partner.remarks[1]
    with pytest.raises(InputError, match=r"data blocks first.*, other.* have chains of the same names"):
        read(one + one.replace("data_first", "data_other"))


def test_models_have_the_numbers_that_the_file_gives_them(read):
    base = helix(SEQUENCE)
    bent = tuple(replace(a, xyz=(a.xyz[0], a.xyz[1], a.xyz[2] * 1.2)) for a in base)
    text = frames(base, bent).replace("MODEL        1", "MODEL        3").replace("MODEL        2", "MODEL        7")
    assert read(text, model=7).remarks == ("model 7 of 2",)
    np.testing.assert_array_equal(read(text, model=7).coordinates, read(pdb(bent)).coordinates)
    with pytest.raises(InputError, match="no model 1; there are 3, 7"):
        read(text, model=1)


def test_copies_may_differ_in_their_waters(read):
    base = helix(SEQUENCE)
    turned = moved(base, rotation=np.diag([-1.0, -1.0, 1.0]), shift=(0.0, 25.0, 0.0))
    water = replace(ion(301, "O", (50.0, 1.0, 2.0)), residue="HOH")
    partner = read(frames((*base, water), turned))
    assert partner.chains == ("A", "A-2")


def test_a_copy_has_the_sequence_of_its_chain_and_a_name_that_is_free(read):
    base = helix(SEQUENCE)
    other = moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
    turned = [moved(one, rotation=np.diag([-1.0, -1.0, 1.0]), shift=(0.0, 60.0, 0.0)) for one in (base, other)]
    sequence = "SEQRES   1 A   12  " + " ".join(NAMES) + "\n"
    partner = read(sequence + frames(base + other, turned[0] + turned[1]))
    assert partner.chains == ("A", "B", "A-2", "B-2")
    assert partner.sequence == (SEQUENCE, "", SEQUENCE, "")
    text = mmcif_models(base + other, turned[0] + turned[1])
    partner = read(text.replace(" B 1\n", " A-2 1\n").replace(" B 2\n", " A-2 2\n"))
    assert partner.chains == ("A", "A-2", "A-3", "A-2-2")


# What is left out, and what is said about what is read


@pytest.mark.parametrize(("names", "kind"), [(("DA", "DT"), "DNA"), (("A", "U"), "RNA")])
def test_nucleic_acids_are_left_out_by_chain(read, names, kind):
    base = helix("G")[0]
    strand = tuple(
        replace(base, name=atom, residue=name, number=k, chain="C", element=atom[0], xyz=(30.0 + 3 * k, float(j), 0.0))
        for k, name in enumerate(names * 3, start=1)
        for j, atom in enumerate(("P", "C1'", "N9"))
    )
    partner = read(pdb(helix(SEQUENCE) + strand + (ion(301),)))
    assert residues(partner) == expected()
    assert partner.left_out == (f"{kind} chain C", "1 CA")


def test_what_was_read_is_one_line(read):
    other = moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
    partner = read(pdb(helix(SEQUENCE) + other + (ion(301),)), name="1abc.pdb")
    assert partner.contents == "1abc.pdb, model 1 of 1, chains A (12 residues), B (6 residues); left out: 1 CA"
    chosen = read(pdb(helix(SEQUENCE) + other), chains=["B"])
    assert chosen.contents == "x.pdb, model 1 of 1, chain B (6 residues); left out: chain A"


def test_what_is_wrong_with_another_chain_does_not_matter(read):
    twice = moved(helix("MKWYDA"), shift=(0.0, 20.0, 0.0), chain="B")
    text = pdb(helix(SEQUENCE) + twice + moved(twice, shift=(0.0, 20.0, 0.0)))
    with pytest.raises(InputError, match="chain B residue MET 1 atom N: this chain and residue number stand"):
        read(text)
    partner = read(text, chains=["A"])
    assert residues(partner) == expected()
    assert partner.left_out == ("chain B",)


def test_many_chains_are_left_out_by_their_number(read):
    others = [moved(helix("GG"), shift=(0.0, 20.0 * k, 0.0), chain="BCDEFGHIJKLMN"[k - 1]) for k in range(1, 14)]
    assert read(pdb(sum(others, helix(SEQUENCE))), chains=["A"]).left_out == ("13 chains",)
    assert read(pdb(sum(others[1:], helix(SEQUENCE))), chains=["A"]).left_out[-1] == "chain N"


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
     (-5, ["  -5", "  -4", "  -3", "  -2", "  -1", "   0", "   1", "   2", "   3", "   4", "   5", "   6"])],
)  # fmt: skip
def test_residue_numbers_beyond_four_digits(read, start, written):
    lines = joined(pdb(helix(SEQUENCE))).splitlines()
    partner = read("\n".join(line[:22] + written[int(line[22:26]) - 1] + line[26:] for line in lines))
    numbers = [start + k for k in range(12)]
    if written[-1] == "271A":
        numbers[-1] = 0x271A
    assert [r.number for r in partner.residues] == numbers


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
