"""Clusters of partners in groups that contain the folds."""

import dataclasses

import numpy as np
import pytest
from made_complexes import made_complex, save_complexes

from resblock.errors import InputError
from resblock.evaluation.groups import make_groups, read_groups, write_groups
from resblock.evaluation.homologues import read_homologues
from resblock.pairs import save_complex
from resblock.structure import Residue
from resblock.structure.scales import RESIDUE_NAMES

FOLDS = {"A": 1, "B": 2, "C": 2}


def drawn(seed, length=80):
    return np.random.default_rng(seed).choice(RESIDUE_NAMES, length)


def related(names, seed):
    generator = np.random.default_rng(seed)
    return np.where(generator.random(len(names)) < 0.4, generator.choice(RESIDUE_NAMES, len(names)), names)


def complex_of(code, receptor, ligand, **fields):
    made = made_complex(1, code, (len(receptor), len(ligand)))
    partners = {
        side: dataclasses.replace(
            getattr(made, side), residues=tuple(Residue(chain, k + 1, "", name, name) for k, name in enumerate(names))
        )
        for side, chain, names in (("receptor", "R", receptor), ("ligand", "", ligand))
    }
    return dataclasses.replace(made, **partners, **fields)


@pytest.fixture
def complexes():
    family = drawn(1)
    # A chain of two domains links two families.
    bridge = np.concatenate([related(family, 11), related(drawn(2), 12)])
    return [
        complex_of("A", family, drawn(3)),
        complex_of("B", drawn(4), drawn(2)),
        complex_of("C", related(drawn(2), 13), drawn(5, 20)),
        complex_of("X", bridge, drawn(6)),
        complex_of("Y", drawn(7), related(drawn(6), 14)),
        complex_of("Y.bound", drawn(8), drawn(9), origin="Y"),
    ]


def test_homology_links_partners_to_clusters(complexes):
    members = {(m.code, m.partner): m for m in make_groups(complexes, FOLDS)}
    assert len(members) == 10, "variants are no partners of their own"
    clusters: dict[int, set] = {}
    for key, member in members.items():
        clusters.setdefault(member.cluster, set()).add("".join((key[0], key[1][0])))
    assert sorted(map(sorted, clusters.values())) == [
        ["Al"], ["Ar", "Bl", "Cr", "Xr"], ["Br"], ["Cl"], ["Xl", "Yl"], ["Yr"],
    ]  # fmt: skip
    assert clusters[1] == {"Ar", "Bl", "Cr", "Xr"}, "the largest comes first"


def test_the_chains_of_a_partner_are_linked(complexes):
    residues = complexes[3].receptor.residues
    chains = tuple(dataclasses.replace(one, chain="P" if k < 80 else "Q") for k, one in enumerate(residues))
    two = dataclasses.replace(complexes[3], receptor=dataclasses.replace(complexes[3].receptor, residues=chains))
    assert two.receptor.chains == ("P", "Q")
    linked = {(m.code, m.partner): m.cluster for m in make_groups([*complexes[:3], two, *complexes[4:]], FOLDS)}
    assert linked["A", "receptor"] == linked["B", "ligand"] == linked["X", "receptor"]
    alone = {(m.code, m.partner): m.cluster for m in make_groups([*complexes[:3], *complexes[4:]], FOLDS)}
    assert alone["A", "receptor"] != alone["B", "ligand"]


def test_groups_contain_the_folds_and_share_out_the_rest(complexes):
    members = {(m.code, m.partner): m.group for m in make_groups(complexes, FOLDS)}
    assert all(members[code, side] == fold for code, fold in FOLDS.items() for side in ("receptor", "ligand"))
    assert members["X", "receptor"] == 2, "where most of the cluster's dimers are"
    assert members["X", "ligand"] == members["Y", "ligand"]
    assert {members["X", "ligand"], members["Y", "receptor"]} == {1}, "the group with fewer partners"


def test_groups_are_the_same_every_time(complexes):
    once = make_groups(complexes, FOLDS)
    again = make_groups(reversed(complexes), FOLDS, jobs=2)
    assert sorted(map(dataclasses.astuple, once)) == sorted(map(dataclasses.astuple, again))


def test_a_table_of_groups(complexes, tmp_path):
    members = make_groups(complexes, FOLDS)
    write_groups(tmp_path / "groups.tsv", members)
    assert read_groups(tmp_path / "groups.tsv") == members
    for text in ("", "code\tpartner\n", (tmp_path / "groups.tsv").read_text() + "A\tB\n"):
        (tmp_path / "bad.tsv").write_text(text)
        with pytest.raises(InputError, match="no table of resblock homologues --groups"):
            read_groups(tmp_path / "bad.tsv")
    with pytest.raises(InputError, match="no prepared complex Z"):
        make_groups(complexes, {**FOLDS, "Z": 1})


def test_homologues_writes_lists_and_groups(run, complexes, tmp_path):
    data = save_complexes(tmp_path / "data", 0)
    for complex in complexes:
        save_complex(data / f"{complex.code}.npz", complex)
    (tmp_path / "folds").write_text("".join(f"{code} {fold}\n" for code, fold in FOLDS.items()))
    given = "homologues", data, "--jobs", "1", "--out", tmp_path / "out"
    status, text, _ = run(*given, "--groups", tmp_path / "folds")
    assert (status, text) == (0, f"10 partners in 6 clusters. The table is {tmp_path / 'out'}.\n")
    assert "A" in {member.code for member in read_groups(tmp_path / "out")}
    status, text, _ = run(*given, "--of", tmp_path / "folds")
    assert (status, text) == (0, f"3 of 6 complexes have a homologue. The list is {tmp_path / 'out'}.\n")
    assert read_homologues(tmp_path / "out") == {
        "A": set(), "B": {"C"}, "C": {"B"}, "X": {"A", "B", "C"}, "Y": set(), "Y.bound": set(),
    }  # fmt: skip
    status, _, err = run(*given, "--of", tmp_path / "folds", "--groups", tmp_path / "folds")
    assert (status, err) == (2, "error: --groups compares all partners; leave --of out\n")
