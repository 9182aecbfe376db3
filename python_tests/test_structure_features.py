import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic import ALL_TYPES, helix, mmcif, moved, random_rotation, write

from resblock.errors import InputError
from resblock.files import cache_directory
from resblock.structure import PAPER_FEATURES, features, read_partner, residue_features
from resblock.structure.frame import canonical_frame
from resblock.structure.paper import atom_radii
from resblock.structure.scales import REFERENCE_AREA, RESIDUE_NAMES, UNKNOWN
from resblock.structure.tessellation import tessellate

AREAS = slice(0, 4)


@pytest.fixture
def bundle(tmp_path):
    second = moved(helix(ALL_TYPES[::-1]), shift=(0.0, 10.0, 2.0), chain="B")
    return read_partner(write(tmp_path / "bundle.pdb", helix(ALL_TYPES) + second))


def test_areas_make_up_the_whole_surface_of_the_cells(bundle):
    table = residue_features(bundle)
    result = tessellate(bundle.coordinates, atom_radii(bundle))
    surface = result.accessible.copy()
    for (first, second), area in zip(result.pairs, result.areas, strict=True):
        surface[first] += area
        surface[second] += area
    whole = np.bincount(bundle.atom_residue, surface)
    np.testing.assert_allclose(table[:, AREAS].sum(axis=1), whole, rtol=1e-6)


def test_contacts_are_with_the_same_partner_alone(tmp_path):
    near = read_partner(write(tmp_path / "a.pdb", helix(ALL_TYPES)))
    table = residue_features(near)
    second = moved(helix(ALL_TYPES), shift=(0.0, 10.0, 0.0), chain="B")
    both = residue_features(read_partner(write(tmp_path / "ab.pdb", helix(ALL_TYPES) + second)))
    exterior, accessible = PAPER_FEATURES.index("EC"), PAPER_FEATURES.index("AESA")
    assert (both[:20, accessible] <= table[:, accessible] + 1e-6).all()
    assert both[:20, exterior].sum() > table[:, exterior].sum() + 10


def test_relative_area_and_scales(bundle):
    table = residue_features(bundle)
    column = {name: table[:, k] for k, name in enumerate(PAPER_FEATURES)}
    reference = [REFERENCE_AREA[residue.parent] for residue in bundle.residues]
    np.testing.assert_allclose(column["RESA"], 100 * column["AESA"] / reference)
    arginine = bundle.residues.index(next(r for r in bundle.residues if r.parent == "ARG"))
    assert (column["HI-E"][arginine], column["HI-KD"][arginine]) == (-2.53, -4.5)
    assert column["pKa-model"][arginine] == 12.5


def test_every_scale_knows_every_type():
    from resblock.structure import scales

    for scale in (scales.EISENBERG, scales.KYTE_DOOLITTLE, scales.REFERENCE_AREA):
        assert set(scale) == {*RESIDUE_NAMES, UNKNOWN}
    assert len(RESIDUE_NAMES) == 20


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_placement_does_not_matter(seed, bundle):
    generator = np.random.default_rng(seed)
    shift = generator.uniform(-300, 300, 3)
    turned = bundle.coordinates @ random_rotation(generator) + shift
    elsewhere = replace(bundle, coordinates=turned)
    np.testing.assert_allclose(residue_features(elsewhere), residue_features(bundle), rtol=0, atol=1e-6)


@pytest.mark.parametrize("code", ["1AY7", "1A2K"])
def test_placement_of_a_file_does_not_matter(code, db5):
    """A turned PDB file is rounded to 0.001 Angstrom again; areas move by that times a length."""
    generator = np.random.default_rng(5)
    for side in ("receptor", "ligand"):
        partner = read_partner(db5 / code / f"{side}_unbound.pdb.gz")
        turned = partner.coordinates @ random_rotation(generator) + generator.uniform(-50, 50, 3)
        table = residue_features(partner)
        difference = np.abs(residue_features(replace(partner, coordinates=turned)) - table)
        assert np.nanmax(difference) < 1e-6
        rounded = replace(partner, coordinates=np.round(turned, 3))
        difference = np.abs(residue_features(rounded) - table)
        assert np.nanmax(difference[:, :5]) < 0.25
        assert np.nanmax(difference[:, 8]) < 0.1


def test_mmcif_and_pdb_give_the_same(tmp_path, bundle):
    second = moved(helix(ALL_TYPES[::-1]), shift=(0.0, 10.0, 2.0), chain="B")
    (tmp_path / "bundle.cif").write_text(mmcif(helix(ALL_TYPES) + second))
    other = read_partner(tmp_path / "bundle.cif")
    np.testing.assert_array_equal(residue_features(other), residue_features(bundle))


def test_frame_is_right_handed_and_keeps_distances():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(50, 3)) * [5, 3, 1] + 20
    framed = canonical_frame(points)
    np.testing.assert_allclose(
        np.linalg.norm(framed[:, None] - framed, axis=-1),
        np.linalg.norm(points[:, None] - points, axis=-1),
        atol=1e-9,
    )
    assert np.abs(framed.mean(axis=0)).max() < 1e-9
    rotation = np.linalg.lstsq(points - points.mean(axis=0), framed, rcond=None)[0]
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_unknown_feature_set(bundle):
    with pytest.raises(InputError, match="features 'papre': unknown"):
        residue_features(bundle, "papre")


def as_bytes(table):
    stream = io.BytesIO()
    np.save(stream, table)
    return stream.getvalue()


class TestCache:
    @pytest.fixture
    def computed(self, monkeypatch):
        """Counts the times that features are computed."""
        calls = []
        compute = features.paper_features
        monkeypatch.setattr(features, "paper_features", lambda partner: calls.append(1) or compute(partner))
        return calls

    def test_an_unchanged_partner_is_computed_once(self, cache, bundle, computed):
        first = residue_features(bundle)
        np.testing.assert_array_equal(residue_features(replace(bundle, path="moved.pdb")), first)
        assert len(computed) == 1

    def test_another_content_or_version_is_computed(self, cache, bundle, computed, monkeypatch):
        residue_features(bundle)
        residue_features(replace(bundle, coordinates=bundle.coordinates * 1.001))
        monkeypatch.setattr(features, "FEATURE_VERSION", -1)
        residue_features(bundle)
        assert len(computed) == 3

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: b"",
            lambda content: b"not an array",
            lambda content: content[:-9],
            lambda content: as_bytes(np.load(io.BytesIO(content))[:, 1:]),
            lambda content: as_bytes(np.load(io.BytesIO(content)).astype(np.float32)),
        ],
    )
    def test_a_damaged_entry_is_computed_again(self, cache, bundle, computed, damage):
        first = residue_features(bundle)
        (entry,) = (cache / "features").iterdir()
        entry.write_bytes(damage(entry.read_bytes()))
        np.testing.assert_array_equal(residue_features(bundle), first)
        np.testing.assert_array_equal(residue_features(bundle), first)
        assert len(computed) == 2

    def test_an_unwritable_cache_does_not_matter(self, tmp_path, bundle, monkeypatch):
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("RESBLOCK_CACHE", str(tmp_path / "file"))
        assert residue_features(bundle).shape == (40, 9)

    def test_many_at_once(self, cache, bundle):
        with ThreadPoolExecutor(4) as pool:
            tables = list(pool.map(lambda _: residue_features(bundle), range(8)))
        for table in tables:
            np.testing.assert_array_equal(table, tables[0])
        assert [p.suffix for p in (cache / "features").iterdir()] == [".npy"]


def test_the_frame_follows_the_order_of_the_atoms(bundle):
    """Their trend lies along the first axis, their bend in the plane of the first two, both to the positive side."""
    framed = canonical_frame(bundle.coordinates)
    order = np.linspace(-1.0, 1.0, len(framed))
    trend, bend = order @ framed, order**2 @ framed
    assert trend[0] > 1
    np.testing.assert_allclose(trend[1:], 0.0, atol=1e-8)
    assert bend[1] > 1
    assert bend[2] == pytest.approx(0.0, abs=1e-8)


def test_the_cache_lies_where_the_variable_says_or_with_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("RESBLOCK_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("RESBLOCK_CACHE")
    assert cache_directory().name == "resblock"
    assert cache_directory().is_absolute()


def test_sets_of_features_have_entries_of_their_own(cache, bundle):
    assert residue_features(bundle, "extended").shape == (40, 142)
    assert residue_features(bundle, "paper").shape == (40, 9)
    assert len(list((cache / "features").iterdir())) == 2
