"""Partners described by networks that have not seen them, as inputs of pair models."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from made_complexes import made_complex

from resblock.errors import InputError
from resblock.evaluation import evaluate
from resblock.evaluation.groups import Member, write_groups
from resblock.models import Ensemble, InverseFolder, load_ensemble, save_ensemble
from resblock.models.inverse_folding import SURPRISE_FEATURES, InverseFoldingConfig
from resblock.pairs import INTERFACE, save_complex
from resblock.training.config import resolve_config
from resblock.training.cross_validation import cross_validate
from resblock.training.description import Describer
from resblock.training.run import train

SMALL = InverseFoldingConfig(size=8, edge_size=8, layers=1, neighbours=6)
SETTINGS = (
    "model.negatives_per_complex=30", "data.validation_pairs=40", "model.size=8", "model.pair_size=8",
    "optimisation.epochs=1",
)  # fmt: skip


def folder(seed, left_out=None, config=SMALL):
    torch.manual_seed(seed)
    return InverseFolder(config, config.network(), {"left_out": left_out})


@pytest.fixture
def folding(tmp_path):
    directory = tmp_path / "folding"
    directory.mkdir()
    folder(1).save(directory / "all.safetensors")
    for group in (1, 2):
        folder(group + 1, group).save(directory / f"group-{group}.safetensors")
    members = [
        Member(f"D{k}", side, 2 * k + number, (k + number) % 2 + 1)
        for k in range(6)
        for number, side in enumerate(("receptor", "ligand"))
    ]
    write_groups(directory / "groups.tsv", members)
    return directory


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    for k in range(6):
        save_complex(tmp_path / "data" / f"D{k}.npz", made_complex(k, f"D{k}"))
    return tmp_path / "data"


@pytest.fixture
def split(tmp_path):
    (tmp_path / "split").write_text("D0 train\nD1 train\nD2 train\nD3 validation\n")
    return tmp_path / "split"


def test_each_partner_is_described_by_the_network_of_its_group(folding, cache):
    describer = Describer.load(folding)
    for code, groups in (("D0", (1, 2)), ("D1", (2, 1))):
        complex = made_complex(4, code)
        for _ in range(2):  # the second time out of the cache
            described = describer.describe(complex)
            for partner, plain, group in zip(described.partners, complex.partners, groups, strict=True):
                expected = InverseFolder.load(folding / f"group-{group}.safetensors").describe(plain)
                assert partner.feature_names == expected.feature_names
                np.testing.assert_array_equal(partner.features, expected.features)
    assert len(list((cache / "folding").iterdir())) == 4


def test_parts_are_described_by_the_network_of_the_partner_that_they_are_of(folding):
    describer = Describer.load(folding)
    part = dataclasses.replace(made_complex(4, "D0.l1-l2"), origin="D0", kind=INTERFACE)
    described = describer.describe(part)
    for partner, plain in zip(described.partners, part.partners, strict=True):
        expected = describer.folders[2].describe(plain)
        np.testing.assert_array_equal(partner.features, expected.features)
    with pytest.raises(InputError, match="X: the receptor of X is in no group"):
        describer.describe(made_complex(4, "X"))


def test_a_damaged_cache_is_made_anew(folding, cache):
    describer, complex = Describer.load(folding), made_complex(4, "D0")
    first = describer.describe(complex)
    for path in (cache / "folding").iterdir():
        np.save(path, np.zeros((3, 3)))
    np.testing.assert_array_equal(describer.describe(complex).receptor.features, first.receptor.features)


def test_a_network_that_has_seen_its_group_is_refused(folding):
    folder(3, 1).save(folding / "group-2.safetensors")
    with pytest.raises(InputError, match=re.escape("group-2.safetensors: was trained without group 1, not 2")):
        Describer.load(folding)
    folder(3, 2, dataclasses.replace(SMALL, size=16)).save(folding / "group-2.safetensors")
    with pytest.raises(InputError, match="another size"):
        Describer.load(folding)
    (folding / "group-2.safetensors").unlink()
    with pytest.raises(InputError, match=r"group-2\.safetensors: no such file"):
        Describer.load(folding)


@pytest.mark.parametrize(
    ("preset", "seen"), [("residues", "surprise"), ("residues", "encodings"), ("paper", "surprise")]
)
def test_weights_bring_the_network_along_that_describes_new_partners(preset, seen, folding, data, split, tmp_path):
    small = SETTINGS if preset == "residues" else ("model.num_layers=2", "optimisation.epochs=1")
    config = resolve_config(preset, None, (*small, f"model.folding={seen}"))
    outcome = train(data, tmp_path / "run", config, split, folding=folding)
    ensemble = load_ensemble(outcome.weights)
    whole = InverseFolder.load(folding / "all.safetensors")
    assert ensemble.folder.digest == whole.digest
    added = [name for name in ensemble.feature_names if name.startswith(("surprise", "folding"))]
    assert added == list(whole.names(seen))
    assert ensemble.feature_set == ("extended" if preset == "residues" else "paper")
    complex = made_complex(9, "NEW")
    described = dataclasses.replace(
        complex, receptor=whole.describe(complex.receptor), ligand=whole.describe(complex.ligand)
    )
    scores = ensemble.complex_log_odds(complex)
    np.testing.assert_array_equal(scores, ensemble.complex_log_odds(described))
    validation = Describer.load(folding).describe(made_complex(3, "D3"))
    (result,) = evaluate(ensemble, [validation])
    assert outcome.metrics["mean_auroc"] == result.auroc
    save_ensemble(tmp_path / "again.safetensors", ensemble)
    assert (tmp_path / "again.safetensors").read_bytes() == outcome.weights.read_bytes()


def test_ensembles_share_one_network(folding, data, split, tmp_path):
    config = resolve_config("residues", None, (*SETTINGS, "model.folding=surprise", "optimisation.ensemble=2"))
    both = load_ensemble(train(data, tmp_path / "run", config, split, folding=folding).weights)
    assert len(both.models) == 2
    plain = load_ensemble(train(data, tmp_path / "plain", resolve_config("residues", None, SETTINGS), split).weights)
    assert plain.folder is None
    mixed = Ensemble.of([plain, both])
    assert mixed.folder is both.folder
    assert np.isfinite(mixed.complex_log_odds(made_complex(9, "NEW"))).all()
    other = Ensemble(both.models, folder=folder(8))
    with pytest.raises(InputError, match="different networks for inverse folding"):
        Ensemble.of([both, other])


def test_models_that_see_inverse_folding_need_it(data, split, tmp_path):
    config = resolve_config("residues", None, (*SETTINGS, "model.folding=surprise"))
    with pytest.raises(InputError, match=r"model\.folding is surprise: .*give --folding"):
        train(data, tmp_path / "run", config, split)
    with pytest.raises(InputError, match=r"model\.folding is 'all'"):
        resolve_config("residues", None, ("model.folding=all",))


def test_cross_validation_describes_partners_too(folding, data, tmp_path):
    (tmp_path / "folds").write_text("D0 1\nD1 1\nD2 2\nD3 2\n")
    (tmp_path / "homologues").write_text("".join(f"D{k}\n" for k in range(6)))
    config = resolve_config("residues", None, (*SETTINGS, "model.folding=surprise"))
    (row,) = cross_validate(
        data, tmp_path / "cv", {"small": config}, [1],
        folds_file=tmp_path / "folds", homologues_file=tmp_path / "homologues", folding=folding,
    )  # fmt: skip
    weights = load_ensemble(tmp_path / "cv/small/seed-1/fold-1/weights.safetensors")
    assert set(SURPRISE_FEATURES) <= set(weights.feature_names)
    described = Describer.load(folding).describe(made_complex(0, "D0"))
    assert row.results[0] == evaluate(weights, [described])[0]


def test_the_command_line_takes_the_directory(run, folding, data, split, tmp_path):
    settings = [word for one in (*SETTINGS, "model.folding=surprise") for word in ("--set", one)]
    given = "train", data, "--out", tmp_path / "run", "--preset", "residues", "--split", split, *settings
    assert run(*given)[0] == 2
    assert run(*given, "--folding", folding)[0] == 0
    assert load_ensemble(tmp_path / "run" / "weights.safetensors").folder is not None
