"""Models, copies, data blocks, and what is said about what was read."""

from dataclasses import replace

import numpy as np
import pytest
from structure_texts import NAMES, SEQUENCE, expected, frames, ion, joined, mmcif_models, residues
from synthetic import helix, mmcif, moved, pdb

from resblock.errors import InputError

# Models and data blocks


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
    # An atom that is written twice begins no model either.
    at = next(k for k, a in enumerate(second) if (a.number, a.name) == (3, "CB"))
    twice = (*second[: at + 1], replace(second[at], occupancy=0.5), *second[at + 1 :])
    partner = read(f"{joined(pdb(helix(SEQUENCE)))}\nEND\n{joined(pdb(twice))}\nEND\n")
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
    assert read(text, model=7).remarks == ("model 7, one of 2",)
    np.testing.assert_array_equal(read(text, model=7).coordinates, read(pdb(bent)).coordinates)
    with pytest.raises(InputError, match="no model 1; there are 3, 7"):
        read(text, model=1)


def test_models_without_numbers_are_counted(read):
    base = helix(SEQUENCE)
    bent = tuple(replace(a, xyz=(a.xyz[0], a.xyz[1], a.xyz[2] * 1.2)) for a in base)
    for written in ("", "A"):
        text = frames(base, bent).replace("MODEL        1", f"MODEL {written}").replace("MODEL        2", "MODEL")
        np.testing.assert_array_equal(read(text, model=2).coordinates, read(pdb(bent)).coordinates)
        with pytest.raises(InputError, match="no model 3; there are 1, 2"):
            read(text, model=3)


@pytest.mark.parametrize("cut", [0, 1])
def test_models_of_different_residues_are_no_copies(read, cut):
    """One of them lacks its last residue, or has another number or name there: an assembly has what is alike."""
    base = helix(SEQUENCE)
    turned = moved(base, rotation=np.diag([-1.0, -1.0, 1.0]), shift=(0.0, 25.0, 0.0))
    for change in (
        lambda atoms: tuple(a for a in atoms if a.number < 12),
        lambda atoms: tuple(replace(a, number=13) if a.number == 12 else a for a in atoms),
        lambda atoms: tuple(replace(a, residue="ALA") if a.number == 12 else a for a in atoms),
    ):
        models = [base, turned]
        models[cut] = change(models[cut])
        assert read(frames(*models)).remarks == ("model 1 of 2",)


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
