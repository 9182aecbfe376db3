import logging
from dataclasses import replace

import numpy as np
import pytest
from synthetic import ALL_TYPES, helix, modified, moved, write

from resblock.errors import InputError
from resblock.structure import notes, pka, read_partner
from resblock.structure.frame import canonical_frame


@pytest.fixture
def helix_pair(tmp_path):
    atoms = helix(ALL_TYPES) + moved(helix(ALL_TYPES), shift=(0.0, 14.0, 0.0), chain="B")
    return read_partner(write(tmp_path / "pair.pdb", atoms))


def test_only_titratable_types_have_a_pka(helix_pair):
    predicted, model = pka.propka_pka(helix_pair), pka.model_pka(helix_pair)
    titratable = [residue.parent in pka.MODEL_PKA for residue in helix_pair.residues]
    np.testing.assert_array_equal(~np.isnan(predicted), titratable)
    np.testing.assert_array_equal(~np.isnan(model), titratable)
    assert np.nanmax(np.abs(predicted - model)) < 3.0
    assert np.nanmax(np.abs(predicted - model)) > 0.05


def test_nothing_is_printed_or_written(helix_pair, capfd, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    pka.propka_pka(helix_pair)
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_disulphide_does_not_titrate(tmp_path):
    first = helix("AACAA")
    second = moved(first, rotation=np.diag([-1.0, -1.0, 1.0]), chain="B")
    sulphur = [np.array(a.xyz) for a in first + second if a.name == "SG"]
    outward = sulphur[0] - np.mean([a.xyz for a in first], axis=0)
    outward /= np.linalg.norm(outward)
    bonded = moved(second, shift=tuple(sulphur[0] + 2.05 * outward - sulphur[1]))
    partner = read_partner(write(tmp_path / "bridge.pdb", first + bonded))
    apart = read_partner(write(tmp_path / "apart.pdb", first + moved(bonded, shift=(0, 0, 50.0))))
    cysteines = [2, 7]
    assert np.isnan(pka.propka_pka(partner)[cysteines]).all()
    assert np.isfinite(pka.propka_pka(apart)[cysteines]).all()
    assert np.isfinite(pka.model_pka(partner)[cysteines]).all()


def test_a_missing_side_chain_has_the_model_pka(tmp_path):
    atoms = [a for a in helix("AADAAKAA") if a.number != 3 or a.name in ("N", "CA", "C", "O", "CB")]
    partner = read_partner(write(tmp_path / "cut.pdb", atoms))
    assert pka.propka_pka(partner)[2] == pka.MODEL_PKA["ASP"]


def test_numbering_does_not_matter(tmp_path, helix_pair):
    odd = [replace(a, number=a.number * 7 - 50, insertion_code="C")
           for a in helix(ALL_TYPES) + moved(helix(ALL_TYPES), shift=(0.0, 14.0, 0.0), chain="B")]  # fmt: skip
    partner = read_partner(write(tmp_path / "odd.pdb", odd))
    np.testing.assert_array_equal(pka.propka_pka(partner), pka.propka_pka(helix_pair))


def test_beyond_the_limit_the_model_stands_in(helix_pair, monkeypatch):
    monkeypatch.setattr(pka, "MAX_RESIDUES", 39)
    np.testing.assert_array_equal(pka.propka_pka(helix_pair), pka.model_pka(helix_pair))


@pytest.fixture
def handed(monkeypatch):
    """Lines that PROPKA is given."""
    texts = []
    single = pka.propka.run.single
    monkeypatch.setattr(
        pka.propka.run,
        "single",
        lambda name, stream, **more: texts.append(stream.getvalue()) or single(name, stream=stream, **more),
    )

    def handed(partner):
        pka.propka_pka(partner)
        return texts[-1].splitlines()

    return handed


def test_what_propka_is_given(handed, tmp_path):
    """Parents in place of modified residues, one numbering, the partner's own frame, and TER between chains only."""
    first = modified(helix("MKDC", start=7), 7, "MSE", SD=("SE", "SE"))
    second = modified(moved(helix("SKDY"), shift=(0.0, 14.0, 0.0), chain="B"), 1, "SEP", OG=("PX", "P"))
    partner = read_partner(write(tmp_path / "two.pdb", first + second))
    lines = handed(partner)
    frame = canonical_frame(partner.coordinates)
    atoms = [line for line in lines if line.startswith("ATOM")]
    read = [(line[12:16].strip(), line[17:20], line[21], int(line[22:26])) for line in atoms]
    expected = [
        ({"SE": "SD"}.get(name, name), partner.residues[k].parent, "A", int(k) + 1)
        for name, k in zip(partner.atom_names, partner.atom_residue, strict=True)
        if name != "PX"
    ]
    assert read == expected
    assert {"OXT", "SD"} <= {name for name, *_ in read}
    assert lines.count("TER") == 1
    assert int(lines[lines.index("TER") - 1][22:26]) == 4
    assert lines[-1] == "END"
    assert [int(line[6:11]) for line in atoms][:3] == [1, 2, 3]
    positions = np.array([[float(line[start : start + 8]) for start in (30, 38, 46)] for line in atoms])
    kept = [name != "PX" for name in partner.atom_names]
    np.testing.assert_allclose(positions, frame[kept], atol=1e-4)
    assert all(line[54:66] == "  1.00  0.00" for line in atoms)


def test_the_log_is_as_loud_afterwards_as_before(helix_pair):
    logging.disable(logging.INFO)
    try:
        pka.propka_pka(helix_pair)
        assert logging.root.manager.disable == logging.INFO
    finally:
        logging.disable(logging.NOTSET)


def test_impossible_geometry_is_refused(helix_pair, monkeypatch):
    def fail(*given, **named):
        raise ZeroDivisionError

    monkeypatch.setattr(pka.propka.run, "single", fail)
    with pytest.raises(InputError, match=r"pair\.pdb: PROPKA cannot make sense of the geometry"):
        pka.propka_pka(helix_pair)


def test_a_partner_of_the_largest_size_is_predicted(helix_pair, monkeypatch):
    monkeypatch.setattr(pka, "MAX_RESIDUES", 40)
    assert np.nanmax(np.abs(pka.propka_pka(helix_pair) - pka.model_pka(helix_pair))) > 0.05


@pytest.mark.parametrize(
    ("sizes", "apart", "beyond"),
    [
        ((10,), 50.0, True),
        ((9,), 50.0, False),
        ((7, 7), 50.0, True),
        ((6, 6, 6), 50.0, False),
        ((5, 5), 1.99, True),
        ((5, 5), 2.01, False),
    ],
)
def test_ten_atoms_with_six_others_each_within_a_bond_are_too_many(helix_pair, sizes, apart, beyond):
    """Groups of atoms at one place each, so far apart; all other atoms stand alone."""
    places = np.arange(len(helix_pair.atom_names))[:, None] * np.array([20.0, 0.0, 0.0])
    at = np.searchsorted(helix_pair.atom_residue, np.arange(3, 3 + sum(sizes)))  # the first atoms of residues
    places[at] = np.repeat([[-50.0, apart * k, 0.0] for k in range(len(sizes))], sizes, axis=0)
    said = pka.is_beyond(replace(helix_pair, coordinates=places))
    assert said == (f"{sum(sizes)} atoms lie on others ({helix_pair.residues[3]}, ...)" if beyond else "")


def test_atoms_that_lie_on_others_are_not_shown_to_propka(helix_pair, monkeypatch):
    """PROPKA's search for rings takes hours among bonds that are none."""
    assert pka.is_beyond(helix_pair) == ""
    crowded = replace(helix_pair, coordinates=helix_pair.coordinates * 0.4)
    assert "atoms lie on others (chain A residue" in pka.is_beyond(crowded)
    monkeypatch.setattr(pka.propka.run, "single", None)
    np.testing.assert_array_equal(pka.propka_pka(crowded), pka.model_pka(crowded))
    assert any("model pKa in place of PROPKA's" in line for line in notes(crowded))
