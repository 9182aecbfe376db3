"""Inverse folding is learned, and nothing that must not be seen is learned from."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from made_complexes import made_complex

from resblock.errors import InputError
from resblock.evaluation.groups import Member, write_groups
from resblock.models.inverse_folding import InverseFolder
from resblock.pairs import save_complex
from resblock.structure import PAPER_FEATURES, Residue
from resblock.structure.backbone import Backbone
from resblock.training import pretraining
from resblock.training.folding import FoldingRun, load_partners
from resblock.training.pretraining import Settings, pretrain

SMALL = (
    "network.size=16", "network.edge_size=8", "network.layers=2", "network.neighbours=6", "network.lstm_layers=1",
    "optimisation.epochs=3", "optimisation.batch_residues=60", "optimisation.validation_share=0.25",
)  # fmt: skip


def taught(complex, seed):
    """Backbones whose shape says which of two types a residue has."""
    generator = np.random.default_rng(seed)

    def partner_of(partner):
        bent = generator.random(len(partner)) < 0.5
        names = np.where(bent, "TRP", "GLY")
        residues = tuple(Residue("A", k + 1, "", name, name) for k, name in enumerate(names.tolist()))
        n = np.arange(len(partner))[:, None] * np.array([3.8, 0.0, 0.0])
        c = n + np.where(bent[:, None], [1.5, 1.9, 0.0], [2.4, 0.0, 0.9])
        atoms = np.stack([n, n + np.array([1.4, 0.3, 0.0]), c, c + np.array([0.0, 1.2, 0.0])], axis=1)
        backbone = Backbone(atoms + generator.normal(0.0, 0.02, atoms.shape), partner.backbone.linked)
        return dataclasses.replace(partner, residues=residues, backbone=backbone)

    return dataclasses.replace(complex, receptor=partner_of(complex.receptor), ligand=partner_of(complex.ligand))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    for k in range(8):
        complex = taught(made_complex(k, f"D{k}", (30, 20), PAPER_FEATURES), k)
        save_complex(directory / f"D{k}.npz", complex)
    kept = taught(made_complex(9, "1EAY", (30, 20), PAPER_FEATURES), 9)
    save_complex(directory / "1EAY.npz", kept)
    save_complex(directory / "D0.bound.npz", dataclasses.replace(kept, code="D0.bound", origin="D0"))
    return directory


def members():
    """Each partner a cluster of its own, in the group of its complex's number."""
    return [
        Member(f"D{k}", partner, 2 * k + side, k % 4 + 1)
        for k in range(8)
        for side, partner in enumerate(("receptor", "ligand"), start=1)
    ]


def test_it_learns(data, tmp_path):
    settings = Settings.of((*SMALL, "optimisation.epochs=40", "optimisation.learning_rate=1e-2"))
    said = []
    weights = pretrain(data, tmp_path / "run", settings, progress=said.append)
    rows = [line.split("\t") for line in (tmp_path / "run" / "log.tsv").read_text().splitlines()]
    assert rows[0] == ["epoch", "loss", "perplexity", "recovery"]
    assert [row[0] for row in rows[1:]] == [str(k) for k in range(1, 41)]
    assert said == ["\t".join(row) for row in rows[1:]]
    first, last = (float(rows[k][2]) for k in (1, -1))
    assert last < 1.5 < first, "two types by halves have a perplexity of two"
    assert float(rows[-1][3]) > 0.9
    folder = InverseFolder.load(weights)
    assert folder.card["left_out"] is None
    assert len(folder.card["complexes"]) >= 6
    assert not {"1EAY", "D0.bound"} & set(folder.card["complexes"])


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(data, tmp_path, monkeypatch):
    settings = Settings.of((*SMALL, "optimisation.shown=0.5"))
    whole = pretrain(data, tmp_path / "whole", settings)

    def stop(said):
        if said.startswith("2\t"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(data, tmp_path / "parts", settings, progress=stop)
    assert not (tmp_path / "parts" / "weights.safetensors").exists()
    done = []
    parts = pretrain(data, tmp_path / "parts", settings, progress=done.append)
    assert [said.split()[0] for said in done] == ["3"]
    assert parts.read_bytes() == whole.read_bytes()
    assert pretrain(data, tmp_path / "parts", settings, progress=done.append) == parts
    monkeypatch.setattr(pretraining, "load_partners", None)
    pretrain(data, tmp_path / "parts", settings)


def test_other_settings_and_foreign_directories_are_refused(data, tmp_path):
    settings = Settings.of((*SMALL, "optimisation.epochs=1"))
    pretrain(data, tmp_path / "run", settings)
    with pytest.raises(InputError, match="holds a run with other settings"):
        pretrain(data, tmp_path / "run", Settings.of(SMALL))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    with pytest.raises(InputError, match="is no pretraining run"):
        pretrain(data, tmp_path / "other", settings)


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    settings = Settings.of(SMALL)
    partners = load_partners(data, 6, 0.5)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    run = FoldingRun(settings.network, settings.optimisation, *partners.divided(0.2, 1))
    with pytest.raises(InputError, match=r"checkpoint\.pt: damaged checkpoint"):
        run.load(tmp_path / "checkpoint.pt")


def test_whole_clusters_of_a_group_are_left_out(data):
    """The ligand of D2 (group 3) is in the cluster of D0's receptor (group 1)."""
    table = [dataclasses.replace(m, cluster=1) if (m.code, m.partner) == ("D2", "ligand") else m for m in members()]
    loaded = load_partners(data, 6, 0.5, table, left_out=1)
    sizes = sorted(zip(loaded.codes, (len(chains.types) for chains in loaded.chains), strict=True))
    assert ("D2", 30) in sizes
    assert ("D2", 20) not in sizes
    assert {code for code, _ in sizes} == {"D1", "D2", "D3", "D5", "D6", "D7"}
    everything = load_partners(data, 6, 0.5, table)
    assert len(everything.codes) == 16
    with pytest.raises(InputError, match="group 7 is not in the table"):
        load_partners(data, 6, 0.5, table, left_out=7)
    with pytest.raises(InputError, match="D7: its receptor is not in the table"):
        load_partners(data, 6, 0.5, [member for member in table if member.code != "D7"])


def test_clusters_are_held_out_whole_and_count_less_than_their_size(data):
    table = [dataclasses.replace(m, cluster=1) if m.code in ("D0", "D1") else m for m in members()]
    loaded = load_partners(data, 6, 0.5, table)
    assert sorted(loaded.chances.tolist()) == pytest.approx([0.5] * 4 + [1.0] * 12)
    train, held = loaded.divided(0.3, seed=2)
    assert not set(train.clusters) & set(held.clusters)
    assert len(train.codes) + len(held.codes) == 16
    assert held.codes
    assert loaded.divided(0.3, seed=2)[1].codes == held.codes
    with pytest.raises(InputError, match="no partner is left"):
        loaded.chosen([0]).divided(0.9, seed=1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimisation.epochs=0", r"optimisation\.epochs is 0"),
        ("optimisation.noise=-1.0", r"optimisation\.noise"),
        ("network.size=0", r"network\.size"),
        ("network.depth=2", r"field network\.depth is unknown"),
        ("data.noise=1", "section 'data' is unknown"),
        ("optimisation.epochs=two", r"optimisation\.epochs is 'two'"),
    ],
)
def test_impossible_settings_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        Settings.of((setting,))


def test_pretrain_by_the_command_line(run, data, tmp_path):
    write_groups(tmp_path / "groups.tsv", members())
    given = [word for setting in (*SMALL, "optimisation.epochs=1") for word in ("--set", setting)]
    groups = "--groups", tmp_path / "groups.tsv", "--leave-out", "2"
    status, text, err = run("pretrain", data, "--out", tmp_path / "run", *given, *groups)
    assert (status, text) == (0, f"Weights: {tmp_path / 'run' / 'weights.safetensors'}\n")
    assert re.search(r"epoch, loss, perplexity, recovery: 1 \d", err)
    card = InverseFolder.load(tmp_path / "run" / "weights.safetensors").card
    assert card["left_out"] == 2
    assert not {"D1", "D5"} & set(card["complexes"])
    status, _, err = run("pretrain", data, "--out", tmp_path / "run", "--leave-out", "2")
    assert (status, err) == (2, "error: --leave-out needs to know the groups; give --groups\n")


def test_bfloat16_trains_too(data, tmp_path):
    settings = Settings.of((*SMALL, "optimisation.epochs=1", "optimisation.bfloat16=true"))
    weights = pretrain(data, tmp_path / "run", settings)
    assert all(torch.isfinite(one).all() for one in InverseFolder.load(weights).network.state_dict().values())
