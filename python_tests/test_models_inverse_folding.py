"""Surprise and encodings of partners, and the files of networks for inverse folding."""

import dataclasses

import numpy as np
import pytest
import torch
from synthetic import ALL_TYPES, helix, moved, random_rotation, write

from resblock.errors import InputError
from resblock.models.inverse_folding import (
    SURPRISE_FEATURES,
    InverseFolder,
    InverseFoldingConfig,
    chains_of,
    is_described,
    surprise,
    types_of,
)
from resblock.nn.inverse_folding import FURTHEST, NO_NEIGHBOUR, OTHER_CHAIN, TYPES
from resblock.structure import EXTENDED_FEATURES, PartnerFeatures, read_partner
from resblock.structure.scales import CHARGE, KYTE_DOOLITTLE, RESIDUE_NAMES, VOLUME

SMALL = InverseFoldingConfig(size=16, edge_size=8, layers=2, lstm_layers=1, neighbours=8)


@pytest.fixture
def folder():
    torch.manual_seed(5)
    return InverseFolder(SMALL, SMALL.network(), {"partners": ["1ABC"]})


@pytest.fixture(scope="module")
def partner(tmp_path_factory):
    atoms = [*helix(ALL_TYPES), *moved(helix("KLEDKVEELLSK"), shift=(0.0, 9.5, 3.0), chain="L")]
    return PartnerFeatures.of(read_partner(write(tmp_path_factory.mktemp("partner") / "p.pdb", atoms)))


def test_what_the_network_takes_of_a_partner(partner):
    chains = chains_of(partner, 8)
    assert chains.lengths.tolist() == [20, 12]
    assert [RESIDUE_NAMES[k] for k in chains.types.tolist()[:20]] == [r.parent for r in partner.residues[:20]]
    assert chains.neighbours.shape == chains.separations.shape == (32, 8)
    assert chains.neighbours[:, 0].tolist() == list(range(32)), "each is its own nearest"
    alpha = partner.backbone.ca
    for row in (0, 9, 25):
        expected = np.argsort(np.linalg.norm(alpha - alpha[row], axis=1), kind="stable")[:8]
        assert chains.neighbours[row].tolist() == expected.tolist()
        for place, separation in zip(expected, chains.separations[row].tolist(), strict=True):
            same = (place < 20) == (row < 20)
            assert separation == (place - row + FURTHEST if same else OTHER_CHAIN)
    few = chains_of(partner, 40)
    assert (few.neighbours[:, 32:] == -1).all()
    assert (few.separations[:, 32:] == NO_NEIGHBOUR).all()


def test_incomplete_and_unknown_residues(partner):
    atoms = partner.backbone.atoms.copy()
    atoms[3, 2] = np.nan
    residues = list(partner.residues)
    residues[5] = dataclasses.replace(residues[5], parent="UNK")
    backbone = dataclasses.replace(partner.backbone, atoms=atoms)
    chains = chains_of(dataclasses.replace(partner, backbone=backbone, residues=tuple(residues)), 8)
    assert (chains.neighbours[3] == -1).all()
    assert not (chains.neighbours == 3).any()
    assert torch.isfinite(chains.atoms).all()
    assert chains.types[5] == TYPES
    assert np.flatnonzero(~chains.predictable.numpy()).tolist() == [3, 5]


def test_surprise_is_what_it_says(partner):
    generator = np.random.default_rng(1)
    log_p = np.log(generator.dirichlet(np.ones(TYPES), 32))
    table = surprise(log_p, partner)
    assert table.shape == (32, len(SURPRISE_FEATURES)) == (32, 48)
    named = dict(zip(SURPRISE_FEATURES, table.T, strict=True))
    for row, residue in enumerate(partner.residues):
        p = dict(zip(RESIDUE_NAMES, np.exp(log_p[row]), strict=True))
        assert named["surprise own"][row] == pytest.approx(np.log(p[residue.parent]))
        assert named["surprise entropy"][row] == pytest.approx(-sum(x * np.log(x) for x in p.values()))
        assert named["surprise gap"][row] == pytest.approx(np.log(p[residue.parent] / max(p.values())))
        for name, values in (("hydropathy", KYTE_DOOLITTLE), ("charge", CHARGE), ("volume", VOLUME)):
            unit = 50.0 if name == "volume" else 1.0
            expected = sum(share * values.get(one, 0.0) / unit for one, share in p.items())
            assert named[f"surprise expected {name}"][row] == pytest.approx(expected)
            more = values.get(residue.parent, 0.0) / unit - expected
            assert named[f"surprise unexpected {name}"][row] == pytest.approx(more)
    own, around = named["surprise own"], named["surprise own, 14 A"]
    assert own.min() < around.min() < around.max() < own.max(), "means"
    # Means over exposed residues near each, as by loops.
    relative = partner.columns(["RESA"])[:, 0]
    weight = np.clip(relative / 10.0, 0.02, 1.0)
    apart = np.linalg.norm(partner.centres[4] - partner.centres.astype(float), axis=1)
    share = np.clip(0.5 + (6.0 - apart) / 2.0, 0.0, 1.0) * weight
    assert named["surprise own, 6 A"][4] == pytest.approx((share * own).sum() / share.sum(), rel=1e-4)


def test_nothing_is_a_surprise_where_nothing_is_known(partner):
    residues = (dataclasses.replace(partner.residues[0], parent="UNK"), *partner.residues[1:])
    table = surprise(np.full((32, TYPES), -np.log(TYPES)), dataclasses.replace(partner, residues=residues))
    assert not table[0, :12].any()
    assert table[1, :12].any()


def test_a_described_partner_has_further_columns(folder, partner):
    described = folder.describe(partner)
    assert described.feature_names == (*partner.feature_names, *folder.names("encodings"))
    assert described.features.shape == (32, len(partner.feature_names) + 48 + 16)
    assert described.features.dtype == np.float32
    np.testing.assert_array_equal(described.columns(partner.feature_names), partner.features)
    log_p, encodings = folder.expected(partner)
    np.testing.assert_allclose(np.exp(log_p).sum(1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(described.columns([f"folding {k}" for k in range(16)]), encodings)


def test_a_description_knows_neither_types_in_advance_nor_where_a_partner_lies(folder, partner):
    other = tuple(dataclasses.replace(residue, name="ALA", parent="ALA") for residue in partner.residues)
    np.testing.assert_array_equal(
        folder.expected(partner)[1], folder.expected(dataclasses.replace(partner, residues=other))[1]
    )
    rotation = random_rotation(np.random.default_rng(2))
    atoms = partner.backbone.atoms @ rotation + 40.0
    turned = dataclasses.replace(partner, backbone=dataclasses.replace(partner.backbone, atoms=atoms))
    np.testing.assert_allclose(folder.expected(partner)[0], folder.expected(turned)[0], atol=1e-3)
    assert (types_of(partner) < TYPES).all()


def test_files_hold_the_network_in_half_precision(folder, partner, tmp_path):
    folder.save(tmp_path / "f.safetensors")
    again = InverseFolder.load(tmp_path / "f.safetensors")
    assert (again.config, again.card) == (SMALL, {"partners": ["1ABC"]})
    np.testing.assert_allclose(again.expected(partner)[0], folder.expected(partner)[0], atol=0.02)
    again.save(tmp_path / "g.safetensors")
    assert (tmp_path / "g.safetensors").read_bytes() == (tmp_path / "f.safetensors").read_bytes()
    third = InverseFolder.load(tmp_path / "g.safetensors")
    assert third.digest == again.digest != folder.digest
    np.testing.assert_array_equal(third.expected(partner)[0], again.expected(partner)[0])


def test_names_of_columns(folder):
    assert folder.names("none") == ()
    assert folder.names("surprise") == SURPRISE_FEATURES
    assert folder.names("encodings") == (*SURPRISE_FEATURES, *(f"folding {k}" for k in range(16)))
    assert all(map(is_described, folder.names("encodings")))
    assert not any(map(is_described, EXTENDED_FEATURES))


def test_what_is_no_such_file_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        InverseFolder.load(tmp_path / "none")
    odd = InverseFolder(dataclasses.replace(SMALL, size=32), folder.network)
    odd.save(tmp_path / "odd.safetensors")
    with pytest.raises(InputError, match=r"odd\.safetensors: weights and description do not fit"):
        InverseFolder.load(tmp_path / "odd.safetensors")


@pytest.mark.parametrize(
    ("field", "value"), [("size", 0), ("layers", 0), ("neighbours", 0), ("lstm_layers", -1), ("dropout", 1.0)]
)
def test_impossible_networks_are_refused(field, value):
    with pytest.raises(InputError, match=f"network.{field}"):
        dataclasses.replace(SMALL, **{field: value}).check()
    with pytest.raises(InputError, match="an even size"):
        dataclasses.replace(SMALL, size=15).check()
