from dataclasses import replace

import numpy as np
import pytest
from synthetic import ALL_TYPES, helix, moved, write

from resblock.structure import pka, read_partner


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


def test_nothing_is_printed(helix_pair, capfd):
    pka.propka_pka(helix_pair)
    assert capfd.readouterr() == ("", "")


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
