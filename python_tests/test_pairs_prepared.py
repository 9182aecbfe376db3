"""Complexes, and the files that hold prepared ones."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, moved, random_rotation, write

from resblock.errors import InputError
from resblock.pairs import Complex, load_complex, load_complexes, prepared, save_complex
from resblock.structure import PAPER_FEATURES, PartnerFeatures, feature_names, read_partner, residue_features
from resblock.structure.frame import canonical_frame


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dimer")
    numbered = [replace(a, insertion_code="B") if a.number == 3 else a for a in helix(ALL_TYPES)]
    receptor = read_partner(write(directory / "r.pdb", numbered))
    ligand = read_partner(write(directory / "l.pdb", moved(helix("GMKWYD"), chain="L")))
    generator = np.random.default_rng(0)
    area = np.maximum(generator.normal(size=(20, 6)), 0).astype(np.float32)
    return Complex(
        code="MADE",
        receptor=PartnerFeatures.of(receptor),
        ligand=PartnerFeatures.of(ligand),
        contact_area=area,
        distance=np.where(area > 0, 3.0, np.nan).astype(np.float32),
        lost_contacts=4,
        key="abc",
        origin="MADE2",
        kind="antibody",
        cluster="1ABC",
        conformations=("unbound", "bound"),
    )


def assert_same(one, other):
    for field in ("code", "lost_contacts", "key", "origin", "kind", "cluster", "conformations"):
        assert getattr(one, field) == getattr(other, field)
    np.testing.assert_array_equal(one.contact_area, other.contact_area)
    np.testing.assert_array_equal(one.distance, other.distance)
    for a, b in zip(one.partners, other.partners, strict=True):
        for field in ("path", "residues", "feature_names", "sequence", "left_out"):
            assert getattr(a, field) == getattr(b, field)
        for first, second in (
            (a.backbone.atoms, b.backbone.atoms),
            *((getattr(a, f), getattr(b, f)) for f in ("features", "linked", "surface", "centres", "sequence_index")),
        ):
            np.testing.assert_array_equal(first, second)
            assert first.dtype == second.dtype


def test_round_trip(made, tmp_path):
    save_complex(tmp_path / "MADE.npz", made)
    assert_same(load_complex(tmp_path / "MADE.npz"), made)
    assert prepared.stored_key(tmp_path / "MADE.npz") == "abc"
    assert [p.name for p in tmp_path.iterdir()] == ["MADE.npz"]


def test_round_trip_without_contacts(made, tmp_path):
    unknown = replace(made, contact_area=None, distance=None)
    save_complex(tmp_path / "x.npz", unknown)
    loaded = load_complex(tmp_path / "x.npz")
    assert_same(loaded, unknown)
    with pytest.raises(InputError, match="no contacts known"):
        loaded.labels()


def test_features_are_float32_and_raw(made):
    assert made.receptor.features.dtype == np.float32
    assert np.isnan(made.receptor.features[:, 8]).any()
    assert made.receptor.letters == ALL_TYPES
    assert made.receptor.residues[2].label == "3B"
    assert made.is_dimer


def test_surface_pairs_and_labels_go_together(made):
    surface = made.receptor.surface.copy()
    surface[[0, 7]] = False
    partly = replace(made, receptor=replace(made.receptor, surface=surface))
    pairs, labels = partly.surface_pairs(), partly.labels()
    assert len(pairs) == len(labels) == 18 * 6
    assert pairs.tolist() == sorted(pairs.tolist())
    assert not {0, 7} & set(pairs[:, 0].tolist())
    np.testing.assert_array_equal(labels, made.contact_area[tuple(pairs.T)] > 0)


def test_nothing_tells_where_a_partner_lies(made, tmp_path):
    generator = np.random.default_rng(1)
    elsewhere = moved(helix("GMKWYD"), random_rotation(generator), (40.0, -7.0, 3.0), chain="L")
    partner = PartnerFeatures.of(read_partner(write(tmp_path / "l.pdb", elsewhere)))
    np.testing.assert_allclose(partner.centres, made.ligand.centres, atol=0.01)
    np.testing.assert_allclose(partner.features, made.ligand.features, atol=0.1)


@pytest.mark.parametrize("version", [4, 99])
def test_another_format_version_is_refused(version, made, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "FORMAT_VERSION", version)
        save_complex(tmp_path / "other.npz", made)
    with pytest.raises(InputError, match=rf"format version {version}, this program reads 5\); run `resblock prepare`"):
        load_complex(tmp_path / "other.npz")
    assert prepared.stored_key(tmp_path / "other.npz") is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x80\x04N.", b"\x93NUMPY\x01\x00"])
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a usable prepared complex"):
        load_complex(path)


def test_an_array_of_its_own_is_no_archive(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"not a usable prepared complex \(not an \.npz archive\)"):
        load_complex(tmp_path / "x.npy")


def test_a_pickle_is_not_opened(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, format_version=np.int64(1), key=np.array([{}], dtype=object))
    (tmp_path / "x.npz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError):
        load_complex(tmp_path / "x.npz")
    assert prepared.stored_key(tmp_path / "x.npz") is None


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(where=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans())
def test_damaged_files_are_refused_or_read(made, where, byte, cut, tmp_path_factory):
    directory = tmp_path_factory.getbasetemp()
    whole = directory / "whole.npz"
    if not whole.exists():
        save_complex(whole, made)
    content = bytearray(whole.read_bytes())
    at = int(where * (len(content) - 1))
    content = content[:at] if cut else content[:at] + bytes([byte]) + content[at + 1 :]
    (directory / "damaged.npz").write_bytes(content)
    try:
        loaded = load_complex(directory / "damaged.npz")
    except InputError as error:
        refusal = str(error)
    else:
        assert_same(loaded, made)  # the checksums of zip leave nothing in between
        return
    assert "\n" not in refusal


@pytest.mark.parametrize("hidden", ["contact_area", "distance", "receptor_chain"])
def test_an_entry_that_hides_the_one_behind_it_is_refused(hidden, made, tmp_path):
    save_complex(tmp_path / "x.npz", made)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    begin = content.rindex(f"{hidden}.npy".encode()) - 46
    end = content.index(b"PK\x01\x02", begin + 4)
    before = content.rindex(b"PK\x01\x02", 0, begin)
    content[before + 32 : before + 34] = (end - begin).to_bytes(2, "little")  # the length of its comment
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=rf"not a usable prepared complex \({hidden} is not a file in the archive\)"):
        load_complex(tmp_path / "x.npz")


def test_an_entry_marked_as_encrypted_is_refused(made, tmp_path):
    save_complex(tmp_path / "x.npz", made)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"not a usable prepared complex .*encrypted"):
        load_complex(tmp_path / "x.npz")


def test_a_failed_write_leaves_nothing(made, tmp_path, monkeypatch):
    def fail(stream, **arrays):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        save_complex(tmp_path / "x.npz", made)
    assert list(tmp_path.iterdir()) == []


def test_load_complexes(made, tmp_path):
    for code in ("B", "A", "C"):
        save_complex(tmp_path / f"{code}.npz", replace(made, code=code))
    assert [c.code for c in load_complexes(tmp_path)] == ["A", "B", "C"]
    assert [c.code for c in load_complexes(tmp_path, ["C", "A"])] == ["C", "A"]
    with pytest.raises(InputError, match="no prepared complex X"):
        load_complexes(tmp_path, ["X"])
    with pytest.raises(InputError, match="no such directory"):
        load_complexes(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no prepared complexes"):
        load_complexes(tmp_path / "empty")


def test_columns_by_name(made):
    partner = made.receptor
    assert partner.columns(partner.feature_names) is partner.features
    places = [partner.feature_names.index(name) for name in ("RESA", "IC")]
    np.testing.assert_array_equal(partner.columns(("RESA", "IC")), partner.features[:, places])
    assert partner.columns(PAPER_FEATURES).shape == (20, 9)
    with pytest.raises(InputError, match=r"r\.pdb: the features have no 'charm', .*; prepare it anew"):
        partner.columns(("IC", "charm"))


@pytest.mark.parametrize("features", ["paper", "extended"])
def test_a_partner_holds_places_sides_and_the_surface(features, tmp_path):
    atoms = helix(ALL_TYPES) + moved(helix(ALL_TYPES[::-1]), shift=(0.0, 8.0, 2.0), chain="B")
    structure = read_partner(write(tmp_path / "two.pdb", atoms))
    partner = PartnerFeatures.of(structure, features)
    frame = canonical_frame(structure.coordinates)
    table = residue_features(structure, features)
    np.testing.assert_array_equal(partner.features, table.astype(np.float32))
    np.testing.assert_array_equal(partner.surface, table[:, feature_names(features).index("AESA")] > 0)
    assert 0 < (~partner.surface).sum() < 40, "some residue must be buried for this test to tell anything"
    for k in range(40):
        np.testing.assert_allclose(partner.centres[k], frame[structure.atom_residue == k].mean(axis=0), atol=1e-5)
        named = {structure.atom_names[a]: frame[a] for a in np.flatnonzero(structure.atom_residue == k)}
        if "CB" in named:
            way = named["CB"] - named["CA"]
            assert partner.sides[k] @ way / np.linalg.norm(way) > 0.99
    assert partner.chains == ("A", "B")
    assert len(partner) == 40
    np.testing.assert_array_equal(partner.linked, structure.linked)
    assert partner.chain_starts.tolist() == structure.chain_starts.tolist() == [0, 20]
    assert partner.surface_residues.tolist() == np.flatnonzero(partner.surface).tolist()


def test_two_chains_on_a_side_are_no_dimer(made):
    first, *rest = made.receptor.residues
    two = replace(made.receptor, residues=(replace(first, chain="Z"), *rest))
    assert not replace(made, receptor=two).is_dimer
    assert not replace(made, ligand=two).is_dimer


def test_what_is_not_said_is_not_known(made):
    bare = Complex("BARE", made.receptor, made.ligand)
    assert (bare.contact_area, bare.distance, bare.lost_contacts, bare.key) == (None, None, 0, "")


INCONSISTENT = {
    "rows": ("receptor_features", lambda v: v[:-1]),
    "columns": ("ligand_features", lambda v: v[:, 1:]),
    "a type": ("receptor_surface", lambda v: v.astype(np.int64)),
    "turned pairs": ("contact_area", lambda v: v.T.copy()),
    "negative areas": ("contact_area", lambda v: -v - 1),
    "doubled": ("distance", lambda v: v.astype(np.float64)),
    "a flat backbone": ("ligand_backbone", lambda v: v.reshape(len(v), -1)),
    "centres of others": ("receptor_centres", lambda v: v[:, :2]),
    "links": ("ligand_linked", lambda v: v[:1]),
    "sequences": ("receptor_sequence", lambda v: np.append(v, "M")),
    "names": ("ligand_name", lambda v: v[:-1]),
}


@pytest.mark.parametrize("how", INCONSISTENT)
def test_arrays_that_do_not_fit_together_are_refused(how, made, tmp_path):
    save_complex(tmp_path / "x.npz", made)
    entry, change = INCONSISTENT[how]
    arrays = dict(np.load(tmp_path / "x.npz"))
    arrays[entry] = change(arrays[entry])
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=r"x\.npz: not a usable prepared complex"):
        load_complex(tmp_path / "x.npz")


def test_an_entry_larger_than_its_bytes_takes_no_memory(made, tmp_path):
    save_complex(tmp_path / "x.npz", made)
    arrays = dict(np.load(tmp_path / "x.npz"))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.save(stream, array)
            content = stream.getvalue()
            if name == "distance":
                content = content.replace(b"(20, 6), }", b"(20000, 600000000), }", 1)
            archive.writestr(f"{name}.npy", content)
    with pytest.raises(InputError, match="not a usable prepared complex"):
        load_complex(tmp_path / "x.npz")
