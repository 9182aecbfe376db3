import csv
import gzip
import time

import numpy as np
import pytest
from synthetic import ALL_TYPES, helix, mmcif, moved, random_rotation, write

from resblock.errors import InputError
from resblock.pairs import (
    Described,
    Recipe,
    benchmark,
    load_complex,
    load_complexes,
    prepare_benchmark,
    prepare_complex,
)
from resblock.pairs.labels import BoundContacts, contact_areas, label_pairs, smallest_distances
from resblock.structure import read_partner
from resblock.structure.paper import atom_radii
from resblock.structure.tessellation import tessellate

ROLES = "receptor_unbound", "ligand_unbound", "receptor_bound", "ligand_bound"
RECEPTOR = helix(ALL_TYPES)
LIGAND = moved(helix("KLEDKVEELLSK"), shift=(0.0, 9.5, 3.0), chain="L")


def write_complex(directory, receptor=RECEPTOR, ligand=LIGAND, bound=(RECEPTOR, LIGAND)):
    write(directory / "receptor_unbound.pdb", receptor)
    write(directory / "ligand_unbound.pdb", ligand)
    write(directory / "receptor_bound.pdb", bound[0])
    write(directory / "ligand_bound.pdb", bound[1])


@pytest.fixture
def complexes(tmp_path):
    directory = tmp_path / "benchmark"
    write_complex(directory / "GOOD")
    write_complex(directory / "SMALL", receptor=RECEPTOR[:60])
    write_complex(directory / "BAD")
    (directory / "BAD" / "ligand_bound.pdb").write_text("nothing\n")
    (directory / "index.tsv").write_text("code\n")
    (directory / "pictures").mkdir()
    return directory


def test_contacts_are_near_and_distances_exact(tmp_path):
    receptor = read_partner(write(tmp_path / "r.pdb", RECEPTOR))
    ligand = read_partner(write(tmp_path / "l.pdb", LIGAND))
    area, distance = contact_areas(receptor, ligand), smallest_distances(receptor, ligand)
    for k in range(len(receptor.residues)):
        for m in range(len(ligand.residues)):
            here = receptor.coordinates[receptor.atom_residue == k]
            there = ligand.coordinates[ligand.atom_residue == m]
            expected = np.linalg.norm(here[:, None] - there, axis=-1).min()
            assert distance[k, m] == pytest.approx(expected)
    assert 10 < np.count_nonzero(area) < 60
    assert distance[area > 0].max() < 2 * (1.87 + 1.4)  # expanded spheres of two carbons
    assert (area[distance < 3.5] > 0).all()
    np.testing.assert_allclose(contact_areas(ligand, receptor).T, area, atol=1e-6)


def test_labels_on_unbound_residues_count_what_is_lost(tmp_path):
    bound = [read_partner(write(tmp_path / f"{k}.pdb", x)) for k, x in enumerate((RECEPTOR, LIGAND))]
    whole = label_pairs(*bound, *bound)
    assert whole.lost_contacts == 0
    np.testing.assert_allclose(whole.contact_area, contact_areas(*bound), rtol=1e-6)
    touching = int(whole.contact_area.sum(axis=1).argmax())
    cut = read_partner(write(tmp_path / "cut.pdb", [a for a in RECEPTOR if a.number != touching + 1]))
    part = label_pairs(cut, bound[1], *bound)
    assert part.contact_area.shape == (19, 12)
    assert part.lost_contacts == np.count_nonzero(whole.contact_area[touching])
    np.testing.assert_array_equal(part.contact_area, np.delete(whole.contact_area, touching, axis=0))
    unbound_more = label_pairs(bound[0], bound[1], cut, bound[1])
    assert np.isnan(unbound_more.distance[touching]).all()
    assert (unbound_more.contact_area[touching] == 0).all()


def test_a_complex_where_the_partners_lie_apart(tmp_path):
    """Unbound files anywhere in space give the same complex: only the bound ones tell contacts."""
    generator = np.random.default_rng(3)
    write_complex(tmp_path / "HERE")
    write_complex(
        tmp_path / "APART",
        receptor=moved(RECEPTOR, random_rotation(generator), (80.0, 5.0, -31.0)),
        ligand=moved(LIGAND, random_rotation(generator), (-60.0, 15.0, 9.0)),
    )
    here, apart = prepare_complex(tmp_path / "HERE"), prepare_complex(tmp_path / "APART")
    np.testing.assert_array_equal(here.contact_area, apart.contact_area)
    for side in ("receptor", "ligand"):
        one, other = getattr(here, side), getattr(apart, side)
        # The turned files are rounded to 0.001 Angstrom.
        np.testing.assert_allclose(one.features, other.features, atol=0.15)
        np.testing.assert_array_equal(one.surface, other.surface)


def test_formats_can_be_mixed(tmp_path):
    write_complex(tmp_path / "PDB")
    write_complex(tmp_path / "CIF")
    (tmp_path / "CIF" / "ligand_unbound.pdb").unlink()
    (tmp_path / "CIF" / "ligand_unbound.cif").write_text(mmcif(LIGAND))
    one, other = prepare_complex(tmp_path / "PDB"), prepare_complex(tmp_path / "CIF")
    np.testing.assert_array_equal(one.ligand.features, other.ligand.features)
    assert one.ligand.residues == other.ligand.residues


def test_one_failure_stops_nothing_and_a_second_run_does_what_is_left(complexes, tmp_path):
    out = tmp_path / "new" / "out"
    seen = []
    first = prepare_benchmark(complexes, out, jobs=2, progress=lambda made, total: seen.append((made[0].code, total)))
    assert [entry.code for entry in first.done] == ["GOOD", "SMALL"]
    (failed,) = first.failed
    assert failed.code == "BAD"
    assert "ligand_bound.pdb: no ATOM records" in failed.reason
    assert sorted(seen) == [("BAD", 3), ("GOOD", 3), ("SMALL", 3)]
    assert (first.done[0].receptor_residues, first.done[0].ligand_residues) == (20, 12)
    assert first.done[0].contacts > 10
    assert [d.code for d in load_complexes(out)] == ["GOOD", "SMALL"]
    assert not list(out.glob(".*"))

    write_complex(complexes / "BAD")
    write(complexes / "SMALL" / "ligand_unbound.pdb", LIGAND[:50])
    second = prepare_benchmark(complexes, out, jobs=1)
    assert [entry.code for entry in second.unchanged] == ["GOOD"]
    assert [entry.code for entry in second.done] == ["BAD", "SMALL"]

    (out / "GOOD.npz").write_bytes(b"damaged")
    third = prepare_benchmark(complexes, out, only=["GOOD"], jobs=1)
    assert [entry.code for entry in third.done] == ["GOOD"]
    assert load_complex(out / "GOOD.npz").is_dimer


def test_impossible_benchmarks(complexes, tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        prepare_benchmark(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(InputError, match="no complex 9XYZ"):
        prepare_benchmark(complexes, tmp_path / "out", only=["GOOD", "9XYZ"])
    with pytest.raises(InputError, match="receptor_bound"):
        prepare_benchmark(complexes / "GOOD", tmp_path / "out")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be made"):
        prepare_benchmark(complexes, tmp_path / "file", jobs=1)


def test_missing_and_doubled_files(complexes):
    (complexes / "GOOD" / "ligand_bound.cif").write_text("data_x\n")
    with pytest.raises(InputError, match=r"ligand_bound.*found ligand_bound\.pdb, ligand_bound\.cif"):
        prepare_complex(complexes / "GOOD")
    (complexes / "SMALL" / "ligand_bound.pdb").unlink()
    with pytest.raises(InputError, match=r"one file ligand_bound\.pdb.*found none"):
        prepare_complex(complexes / "SMALL")


def test_sizes_of_the_papers_dimers(db5):
    """1BKD: 463 x 166 residues; single chains on each side where the benchmark says so."""
    with (db5 / "index.tsv").open() as stream:
        rows = {row["code"]: row for row in csv.DictReader(stream, delimiter="\t")}
    complex = prepare_complex(db5 / "1BKD")
    assert (len(complex.receptor), len(complex.ligand)) == (463, 166)
    assert complex.is_dimer
    assert complex.lost_contacts == 0
    assert 100 < complex.labels().sum() < 160
    assert rows["1BKD"]["paper_test"] == "1"
    many = prepare_complex(db5 / "1VFB")
    assert many.is_dimer == (rows["1VFB"]["dimer"] == "1")


def test_contact_areas_are_sums_over_atoms(tmp_path):
    receptor = read_partner(write(tmp_path / "r.pdb", RECEPTOR))
    ligand = read_partner(write(tmp_path / "l.pdb", LIGAND))
    atoms = len(receptor.coordinates)
    result = tessellate(
        np.concatenate([receptor.coordinates, ligand.coordinates]),
        np.concatenate([atom_radii(receptor), atom_radii(ligand)]),
    )
    expected = np.zeros((20, 12))
    for pair, area in zip(result.pairs.tolist(), result.areas.tolist(), strict=True):
        first, second = sorted(pair)
        if first < atoms <= second:
            expected[receptor.atom_residue[first], ligand.atom_residue[second - atoms]] += area
    np.testing.assert_allclose(contact_areas(receptor, ligand), expected, atol=1e-9)


def test_the_biggest_complexes_come_first(complexes, tmp_path):
    write_complex(complexes / "BIG", receptor=moved(helix(ALL_TYPES * 2)))
    write_complex(complexes / "TINY", receptor=RECEPTOR[:40])
    seen = []

    def show(made, total):
        seen.append((made[0].code, total))

    prepare_benchmark(complexes, tmp_path / "out", only=["TINY", "GOOD", "BIG"], jobs=1, progress=show)
    assert seen == [("BIG", 3), ("GOOD", 3), ("TINY", 3)]


def test_the_key_is_of_files_and_versions(complexes, monkeypatch):
    def key(**given):
        return benchmark.ComplexTask(complexes / "GOOD", **given).key()

    keys = [key()]
    for name in ("FORMAT_VERSION", "FEATURE_VERSION", "LABEL_VERSION", "READING_VERSION"):
        with monkeypatch.context() as patch:
            patch.setattr(benchmark, name, -1)
            keys.append(key())
    keys += [key(recipe=Recipe(bound=True)), key(about=Described("antibody")), key(about=Described(cluster="1ABC"))]
    for role in ROLES:
        path = complexes / "GOOD" / f"{role}.pdb"
        content = path.read_text()
        path.write_text(content + "REMARK\n")
        keys.append(key())
        path.write_text(content)
    assert len(set(keys)) == len(keys) == 12
    assert key() == keys[0]
    (complexes / "GOOD" / "ligand_bound.pdb.gz").write_bytes(
        gzip.compress((complexes / "GOOD" / "ligand_bound.pdb").read_bytes())
    )
    (complexes / "GOOD" / "ligand_bound.pdb").unlink()
    assert key() == keys[0], "compression changes nothing"


def test_what_a_prepared_complex_holds(complexes, tmp_path):
    complex = prepare_complex(complexes / "GOOD")
    assert complex.code == "GOOD"
    assert complex.key == benchmark.ComplexTask(complexes / "GOOD").key()
    assert complex.receptor.features.shape == (20, 142)
    assert [r.chain for r in (complex.receptor.residues[0], complex.ligand.residues[0])] == ["A", "L"]
    receptor, ligand = (read_partner(complexes / "GOOD" / f"{side}_bound.pdb") for side in ("receptor", "ligand"))
    np.testing.assert_allclose(complex.distance, smallest_distances(receptor, ligand), rtol=1e-6)
    start = time.perf_counter()
    entry = prepare_benchmark(complexes, tmp_path / "out", only=["GOOD"], jobs=1).done[0]
    assert 0 < entry.seconds < time.perf_counter() - start
    assert entry.contacts == complex.labels().sum()


def test_lost_contacts_are_counted(complexes, tmp_path):
    whole = prepare_complex(complexes / "GOOD")
    touching = int(whole.contact_area.sum(axis=1).argmax())
    write(complexes / "GOOD" / "receptor_unbound.pdb", [a for a in RECEPTOR if a.number != touching + 1])
    entry = prepare_benchmark(complexes, tmp_path / "out", only=["GOOD"], jobs=1).done[0]
    assert entry.lost_contacts == np.count_nonzero(whole.contact_area[touching]) > 0
    assert (entry.receptor_residues, entry.ligand_residues) == (19, 12)


def test_what_failed_has_no_counts(complexes, tmp_path):
    out = tmp_path / "out"
    start = time.perf_counter()
    (failed,) = prepare_benchmark(complexes, out, only=["BAD"], jobs=1).complexes
    assert 0 < failed.seconds < time.perf_counter() - start
    prepare_benchmark(complexes, out, only=["GOOD"], jobs=1)
    (unchanged,) = prepare_benchmark(complexes, out, only=["GOOD"], jobs=1).complexes
    assert (failed.receptor_residues, failed.contacts, failed.lost_contacts) == (0, 0, 0)
    assert (unchanged.receptor_residues, unchanged.ligand_residues, unchanged.status) == (20, 12, "unchanged")
    assert unchanged.contacts > 10
    assert failed.status == "failed"
    assert failed.reason.startswith(str(complexes))


def test_it_says_what_each_file_held(complexes, tmp_path):
    """And what is to be noted of the unbound ones, which models see."""
    for role in ROLES:
        side = RECEPTOR if role.startswith("receptor") else LIGAND
        write(complexes / "GOOD" / f"{role}.pdb", [a for a in side if (a.residue, a.name) != ("LYS", "NZ")])
    entry = prepare_benchmark(complexes, tmp_path / "out", only=["GOOD"], jobs=1).done[0]
    assert [line.partition(",")[0] for line in entry.read[:4]] == [f"{role}: {role}.pdb" for role in ROLES]
    for line, role in zip(entry.read[4:], ROLES[:2], strict=True):
        assert line.startswith("note: ")
        assert f"{role}.pdb: " in line
        assert "side-chain atoms missing" in line


def test_what_nobody_foresaw_is_named(complexes, tmp_path, monkeypatch):
    def fail(*given):
        raise KeyError("unforeseen")

    monkeypatch.setattr(BoundContacts, "between", fail)
    (failed,) = prepare_benchmark(complexes, tmp_path / "out", only=["GOOD"], jobs=1).complexes
    assert failed.reason == "KeyError('unforeseen')"
