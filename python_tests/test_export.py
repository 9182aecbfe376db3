"""Exports: what the documentation of each program asks for, written by hand, and read back where that can be done."""

import csv
import io
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
import yaml
from made_results import LIGAND, RANKED, RECEPTOR, partner, results
from programs import skip_or_fail

from resblock.errors import InputError
from resblock.export import FORMATS, Options, export
from resblock.report import write_scored_structure
from resblock.structure import Residue, read_partner

PLAIN = results()


def files(format, of=PLAIN, **options):
    return FORMATS[format](of, Options(**options))


def test_every_format_of_the_documentation_is_there():
    assert list(FORMATS) == [
        "haddock", "lightdock", "pydock", "cluspro", "hdock", "boltz", "chai", "protenix", "rfdiffusion", "bindcraft",
        "boltzgen", "pymol", "chimerax", "residues",
    ]  # fmt: skip


# Docking


def test_haddock_restraints_are_ambiguous_and_under_one_segment_a_partner():
    text = files("haddock", top=2)["ambig.tbl"]
    assert [" ".join(restraint.split()) for restraint in text.split("\n\n") if restraint] == [
        "assign (resi 3 and segid A) ( (resi 1 and segid B) or (resi 3 and segid B) ) 2.0 2.0 0.0",
        "assign (resi 4 and segid A) ( (resi 1 and segid B) or (resi 3 and segid B) ) 2.0 2.0 0.0",
        "assign (resi 1 and segid B) ( (resi 3 and segid A) or (resi 4 and segid A) ) 2.0 2.0 0.0",
        "assign (resi 3 and segid B) ( (resi 3 and segid A) or (resi 4 and segid A) ) 2.0 2.0 0.0",
    ]


def test_haddock_lists_have_active_residues_and_an_empty_line_for_passive_ones():
    made = files("haddock")
    assert made["receptor.act-pass"] == "2 3 4 5\n\n"
    assert made["ligand.act-pass"] == "1 3 4 5\n\n"


def test_haddock_holds_the_chains_of_a_partner_by_distances():
    lines = files("haddock")["unambig.tbl"].splitlines()
    # Alpha carbons of residues k lie at x = 3.3 k.
    assert lines == [
        "assign (segid A and resi 1 and name CA) (segid A and resi 6 and name CA) 16.500 0.0 0.0",
        "assign (segid A and resi 4 and name CA) (segid A and resi 5 and name CA) 3.300 0.0 0.0",
        "assign (segid B and resi 1 and name CA) (segid B and resi 5 and name CA) 13.200 0.0 0.0",
        "assign (segid B and resi 3 and name CA) (segid B and resi 4 and name CA) 3.300 0.0 0.0",
    ]
    assert "unambig.tbl" not in files("haddock", TWO_CHAINS_A)


CHAIN = partner("a.pdb", [Residue("A", k + 3, "", r.name, r.parent) for k, r in enumerate(RECEPTOR.residues)])
CHAIN_B = partner("b.pdb", [Residue("A", k + 9, "", r.name, r.parent) for k, r in enumerate(LIGAND.residues)])


def ranked_of(receptor, ligand):
    return [type(RANKED[0])(k + 1, 0.5, receptor.residues[k], ligand.residues[k]) for k in range(3)]


TWO_CHAINS_A = results(
    ranked_of(CHAIN, CHAIN_B), receptor=CHAIN, ligand=CHAIN_B, of_receptor=[0.5] * 6, of_ligand=[0.4] * 5
)


def test_numbers_stay_the_authors_where_they_can():
    made = files("hdock", TWO_CHAINS_A, top=2)
    assert made["receptor_site.txt"] == "3:A\n4:A\n"
    # The same letter on both sides would not tell the partners apart.
    assert made["ligand_site.txt"] == "9:B\n10:B\n"
    rows = list(csv.DictReader(io.StringIO(made["numbering.csv"])))
    assert list(rows[6].values()) == ["ligand", "A", "9", "ASP", "B", "9"]


def test_lightdock_restraints_keep_insertion_codes():
    # Numbers below 1 and above 9999 begin anew in their chain; BA gets the first letter that no other chain has.
    assert files("lightdock")["restraints.list"].splitlines() == [
        "R A.ALA.2", "R A.LEU.3", "R A.MSE.4", "R H.SER.52A",
        "L B.ASP.1", "L B.MSE.7B", "L C.LYS.1", "L C.ARG.2",
    ]  # fmt: skip


def test_pydock_has_a_section_for_each_partner():
    assert files("pydock")["pydock.ini"] == (
        "[receptor]\npdb = receptor.pdb\nmol = A,H\nnewmol = A,H\nrestr = A.Ala.2,A.Leu.3,A.Mse.4,H.Ser.1\n\n"
        "[ligand]\npdb = ligand.pdb\nmol = B,C\nnewmol = B,C\nrestr = B.Asp.1,B.Mse.3,C.Lys.1,C.Arg.2\n"
    )


def test_cluspro_lists_are_words_of_chain_and_number():
    made = files("cluspro")
    assert made["receptor_attraction.txt"] == "a-2 a-3 a-4 h-1\n"
    assert made["ligand_attraction.txt"] == "b-1 b-3 c-1 c-2\n"


def test_hdock_sites_are_number_and_chain():
    made = files("hdock")
    assert made["receptor_site.txt"] == "2:A\n3:A\n4:A\n1:H\n"
    assert made["ligand_site.txt"] == "1:B\n3:B\n1:C\n2:C\n"


@pytest.mark.parametrize("format", ["haddock", "lightdock", "pydock", "cluspro", "hdock"])
def test_structures_have_the_residues_that_the_restraints_name(format, tmp_path):
    made = files(format)
    named = {
        "haddock": lambda: (
            [("A", n) for n in made["receptor.act-pass"].split()] + [("B", n) for n in made["ligand.act-pass"].split()]
        ),
        "lightdock": lambda: re.findall(r"^[RL] (\w)\.\w+\.(\w+)$", made["restraints.list"], re.M),
        "pydock": lambda: re.findall(r"(\w)\.\w+\.(\d+)", made["pydock.ini"]),
        "cluspro": lambda: [
            (chain.upper(), number)
            for role in ("receptor", "ligand")
            for chain, number in re.findall(r"(\w)-(\d+)", made[f"{role}_attraction.txt"])
        ],
        "hdock": lambda: [
            (chain, number)
            for role in ("receptor", "ligand")
            for number, chain in re.findall(r"(\d+):(\w)", made[f"{role}_site.txt"])
        ],
    }[format]()
    assert len(named) == 8
    found = {}
    for role in ("receptor", "ligand"):
        (tmp_path / f"{role}.pdb").write_text(made[f"{role}.pdb"])
        for before, after in zip(
            {"receptor": RECEPTOR, "ligand": LIGAND}[role].residues,
            read_partner(tmp_path / f"{role}.pdb").residues,
            strict=True,
        ):
            found[after.chain, after.label] = before
    marked = [one.residue for side in PLAIN.sides for one in side.residues if one.marked]
    assert [found[one] for one in named] == marked


# Co-folding


def test_boltz_pockets_count_in_the_sequence():
    made = yaml.safe_load(files("boltz")["boltz.yaml"])
    assert [one["protein"] for one in made["sequences"]] == [
        {"id": "A", "sequence": "GALM"}, {"id": "B", "sequence": "ST"},
        {"id": "C", "sequence": "DEM"}, {"id": "D", "sequence": "KR"},
    ]  # fmt: skip
    assert made["version"] == 1
    # The other partner's likeliest chain is what a pocket holds.
    assert [one["pocket"] for one in made["constraints"]] == [
        {"binder": "C", "contacts": [["A", 2], ["A", 3], ["A", 4], ["B", 1]], "max_distance": 8},
        {"binder": "A", "contacts": [["C", 1], ["C", 3], ["D", 1], ["D", 2]], "max_distance": 8},
    ]


def test_boltz_contacts_are_the_first_pairs():
    made = yaml.safe_load(files("boltz", form="pairs", top=3)["boltz.yaml"])
    assert [(one["contact"]["token1"], one["contact"]["token2"]) for one in made["constraints"]] == [
        (["A", 4], ["C", 3]), (["A", 3], ["C", 1]), (["A", 1], ["C", 3]),
    ]  # fmt: skip


def test_places_are_those_of_the_whole_sequence_where_the_file_states_it():
    stated = partner("s.cif", CHAIN.residues, sequence=("XXGALMSTKK",), sequence_index=[2, 3, 4, 5, 6, 7])
    pairs = ranked_of(stated, CHAIN_B)
    of = results(pairs, receptor=stated, ligand=CHAIN_B, of_receptor=[0.5] * 6, of_ligand=[0.4] * 5)
    text = files("boltz", of, form="pairs", top=1)["boltz.yaml"]
    made = yaml.safe_load(text)
    assert made["sequences"][0]["protein"]["sequence"] == "XXGALMSTKK"
    assert made["constraints"][0]["contact"]["token1"] == ["A", 3]
    assert "# A: receptor chain A, sequence as the file states it" in text
    assert "# B: ligand chain A, sequence of the residues observed" in text


def test_chai_restraints_name_residues_by_letter_and_place():
    made = files("chai", form="pairs")
    assert made["chai.fasta"].splitlines()[:2] == [">protein|name=A", "GALM"]
    rows = list(csv.DictReader(io.StringIO(made["chai.restraints"])))
    assert [(row["chainA"], row["res_idxA"], row["chainB"], row["res_idxB"]) for row in rows] == [
        ("A", "M4", "C", "M3"), ("A", "L3", "C", "D1"), ("A", "G1", "C", "M3"), ("B", "S1", "D", "R2"),
    ]  # fmt: skip
    assert {row["connection_type"] for row in rows} == {"contact"}
    assert len({row["restraint_id"] for row in rows}) == 4
    pockets = list(csv.DictReader(io.StringIO(files("chai")["chai.restraints"])))
    assert {(row["chainA"], row["res_idxA"], row["connection_type"]) for row in pockets} == {
        ("C", "", "pocket"), ("A", "", "pocket"),
    }  # fmt: skip


def test_protenix_counts_entities_from_one():
    (job,) = json.loads(files("protenix", form="pairs", top=1)["protenix.json"])
    assert [one["proteinChain"]["sequence"] for one in job["sequences"]] == ["GALM", "ST", "DEM", "KR"]
    assert job["constraint"]["contact"] == [
        {
            "entity1": 1, "copy1": 1, "position1": 4, "entity2": 3, "copy2": 1, "position2": 3,
            "min_distance": 0, "max_distance": 8.0,
        }
    ]  # fmt: skip
    (job,) = json.loads(files("protenix")["protenix.json"])
    assert job["constraint"]["pocket"]["binder_chain"] == {"entity": 3, "copy": 1}
    assert {"entity": 2, "copy": 1, "position": 1} in job["constraint"]["pocket"]["contact_residues"]


# Design


def test_rfdiffusion_has_the_target_without_its_gaps():
    made = files("rfdiffusion")
    assert made["arguments.txt"].splitlines() == [
        "inference.input_pdb=target.pdb",
        "'contigmap.contigs=[A1-4/0 H1-2/0 70-100]'",
        "'ppi.hotspot_res=[A2,A3,A4,H1]'",
    ]
    gap = partner("g.pdb", [Residue("A", number, "", "ALA", "ALA") for number in (5, 6, 9, 10)])
    of = results(ranked_of(gap, CHAIN_B), receptor=gap, of_receptor=[0.5, 0.4, 0.3, 0.2], ligand=CHAIN_B)
    assert "[A5-6/A9-10/0 70-100]" in files("rfdiffusion", of)["arguments.txt"]
    assert "[A5,A6]" in files("rfdiffusion", of, top=2)["arguments.txt"]


def test_bindcraft_settings_have_chains_and_hotspots():
    settings = json.loads(files("bindcraft", target="ligand")["target.json"])
    assert settings["chains"] == "B,C"
    assert settings["target_hotspot_residues"] == "B1,B3,C1,C2"
    assert settings["lengths"] == [70, 100]
    assert sorted(settings) == [
        "binder_name", "chains", "design_path", "lengths", "number_of_final_designs", "starting_pdb",
        "target_hotspot_residues",
    ]  # fmt: skip


def test_boltzgen_counts_residues_in_the_chain(tmp_path):
    gap = partner("g.pdb", [Residue("A", number, "", "ALA", "ALA") for number in (5, 6, 9, 10)])
    of = results(ranked_of(gap, CHAIN_B), receptor=gap, of_receptor=[0.0, 0.4, 0.3, 0.2], ligand=CHAIN_B)
    made = files("boltzgen", of)
    design, target = yaml.safe_load(made["boltzgen.yaml"])["entities"]
    assert design["protein"]["sequence"] == "70..100"
    assert target["file"]["binding_types"] == [{"chain": {"id": "A", "binding": "2,3,4"}}]
    (tmp_path / "target.pdb").write_text(made["target.pdb"])
    assert [one.number for one in read_partner(tmp_path / "target.pdb").residues] == [1, 2, 3, 4]


# Selections


def test_selections_have_the_authors_numbers():
    assert files("pymol")["selections.pml"].splitlines()[0] == (
        'select receptor_marked, (chain "" and resi 0+52+52A) or (chain "H" and resi 52A)'
    )
    assert files("chimerax", TWO_CHAINS_A)["selections.cxc"].splitlines() == [
        "name receptor_marked /A:3,4,5,6,7,8",
        "name ligand_marked /A:9,10,11,12,13",
    ]
    with pytest.raises(InputError, match="chain without a name"):
        files("chimerax")


def test_pymol_selects_the_residues(tmp_path):
    pymol = shutil.which("pymol")
    if pymol is None:
        skip_or_fail("PYMOL", "no pymol")
    negative = partner("n.pdb", [Residue("A", number, "", "ALA", "ALA") for number in (-5, -4, 3, 52)])
    of = results(ranked_of(negative, CHAIN_B), receptor=negative, of_receptor=[0.5, 0.0, 0.3, 0.2], ligand=CHAIN_B)
    export(of, "pymol", tmp_path, Options())
    write_scored_structure(tmp_path / "mine.pdb", negative, np.zeros(4))
    script = "load mine.pdb\n@selections.pml\npython\ncmd.save('chosen.pdb', 'receptor_marked')\npython end\n"
    (tmp_path / "run.pml").write_text(script)
    environment = {"PATH": os.defpath, "HOME": str(tmp_path)}
    subprocess.run(
        [pymol, "-cq", "run.pml"], cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120
    )
    found = {int(line[22:26]) for line in (tmp_path / "chosen.pdb").read_text().splitlines() if line[:4] == "ATOM"}
    assert found == {-5, 3, 52}


def test_plain_lists_begin_with_the_likeliest():
    assert files("residues")["receptor.txt"].splitlines() == [
        ":52A,:52,:0,H:52A", "", ":52A MSE 1.000", ":52 LEU 0.500", ":0 ALA 0.250", "H:52A SER 0.123",
    ]  # fmt: skip


# What cannot be


@pytest.mark.parametrize(
    ("options", "words"),
    [({"top": 0}, "at least 1"), ({"form": "atoms"}, "residues or pairs"), ({"target": "both"}, "receptor or ligand")],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        Options(**options)


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match="format 'xplor' is unknown; choose from haddock, lightdock"):
        export(PLAIN, "xplor", tmp_path, Options())
    none = results(of_receptor=np.zeros(6))
    for format in FORMATS:
        with pytest.raises(InputError, match="no residue of the receptor is marked"):
            FORMATS[format](none, Options())
    many = partner("m.cif", [Residue(f"c{k}", 1, "", "ALA", "ALA") for k in range(40)])
    crowd = results(ranked_of(many, CHAIN_B), receptor=many, ligand=CHAIN_B, of_receptor=[0.5] * 40)
    for format, words in (("lightdock", "more than the 36 chains"), ("boltz", "more than the 26 chains")):
        with pytest.raises(InputError, match=words):
            FORMATS[format](crowd, Options())
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_exported_from_the_command_line(run, tmp_path):
    assert run("predict", "--example", "--out", tmp_path / "run")[0] == 0
    for format in FORMATS:
        status, text, _ = run("export", tmp_path / "run", "--to", format, "--out", tmp_path / format, "--top", "3")
        assert status == 0
        assert all(path.name in text for path in (tmp_path / format).iterdir())
    status, _, err = run("export", tmp_path / "run", "--to", "bogus", "--out", tmp_path / "bogus")
    assert (status, len(err.splitlines())) == (2, 1)
    assert run("export", tmp_path, "--to", "residues", "--out", tmp_path / "x")[0] == 2


def test_a_prediction_is_exported_at_once(run, tmp_path):
    status, _, _ = run("predict", "--example", "--out", tmp_path / "run", "--export", "boltz,residues")
    assert status == 0
    assert (tmp_path / "run" / "export" / "boltz" / "boltz.yaml").is_file()
    assert run("predict", "--example", "--out", tmp_path / "run")[0] == 0, "and replaced"
    assert not (tmp_path / "run" / "export").exists()
    status, _, err = run("predict", "--example", "--out", tmp_path / "other", "--export", "boltz,bogus")
    assert status == 2
    assert "bogus" in err
    assert not (tmp_path / "other").exists()
