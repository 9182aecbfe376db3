"""Configurations: presets, files and single settings, and what is refused of them."""

import pytest

from resblock.errors import InputError
from resblock.training.config import PRESETS, TrainingConfig, read_toml, resolve_config


def test_the_papers_preset_is_the_paper():
    paper = PRESETS["paper"]
    assert (paper.model.num_layers, paper.model.hidden_size) == (60, 8)
    assert (paper.model.input_dropout, paper.model.dropout) == (0.15, 0.6)
    assert (paper.optimisation.optimiser, paper.optimisation.batch_size) == ("adam", 500)
    assert paper.model.selection == "closest"
    assert resolve_config() == paper == TrainingConfig()


@pytest.mark.parametrize("preset", PRESETS)
def test_toml_round_trip(preset, tmp_path):
    config = PRESETS[preset]
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml())
    assert TrainingConfig().updated(read_toml(file)) == config


def test_file_and_settings_replace_fields_in_this_order(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[model]\nhidden_size = 16\nnum_layers = 4\n[optimisation]\nlearning_rate = 1\n")
    config = resolve_config("windows", file, ("model.num_layers=6", "model.selection=closest"))
    assert (config.model.hidden_size, config.model.num_layers) == (16, 6)
    assert config.optimisation.learning_rate == 1.0
    assert config.model.selection == "closest"
    assert config.optimisation.schedule == PRESETS["windows"].optimisation.schedule


BAD_TOML = {
    "[model": "no TOML",
    "[network]\nhidden_size = 8": "section 'network' is unknown; the sections are data, model, optimisation",
    "model = 3": "'model' is a section",
    "[model]\nlayers = 8": "field model.layers is unknown; .model. has hidden_size",
    "[model]\ninput_size = 8": "field model.input_size is unknown",
    "[model]\nhidden_size = 0": "model.hidden_size is 0; it must be at least 1",
    "[model]\nhidden_size = 8.5": "model.hidden_size is 8.5; expected a whole number",
    "[model]\nhidden_size = true": "model.hidden_size is True; expected a whole number",
    "[model]\ndropout = 1.0": "model.dropout is 1.0; it must be from 0 to below 1",
    "[model]\ndropout = nan": "model.dropout is nan; expected a finite number",
    '[model]\nresidual = "yes"': "model.residual is 'yes'; expected true or false",
    '[model]\noutput_peephole = "next"': "model.output_peephole is next; it must be current or previous",
    '[model]\nselection = "all"': "model.selection is 'all'; choose 'closest' or 'random'",
    "[data]\nvalidation_pairs = 0": "data.validation_pairs is 0",
    "[model]\nwindow = 4": "model.window is 4; it must be odd and at least 1",
    '[model]\nkind = "transformer"': "model.kind is 'transformer'; choose 'windows' or 'residues'",
    '[model]\nkind = "residues"\nwindow = 3': "field model.window is unknown; .model. has features",
    '[model]\nkind = "residues"\nencoder = "partner"': "model.encoder is partner; it must be a list of attention",
    '[model]\nfeatures = "all"': "features 'all': unknown",
    "[optimisation]\nlearning_rate = -1e-3": "optimisation.learning_rate is -0.001; it must be above 0",
    "[optimisation]\nseed = -1": "optimisation.seed is -1",
}


@pytest.mark.parametrize("text", BAD_TOML)
def test_a_bad_configuration_names_file_and_field(text, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=BAD_TOML[text]) as refused:
        resolve_config("paper", file)
    assert str(refused.value).startswith(f"{file}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["[optimisation]\nseed = " + "9" * 10_000, "[model]\nkind = " + "[" * 100_000], ids=["digits", "nested"]
)
def test_what_cannot_be_read_as_toml_is_refused(text, tmp_path):
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(InputError, match="is no TOML"):
        resolve_config("paper", tmp_path / "config.toml")
    name, _, value = text.partition("\n")[2].partition(" = ")
    with pytest.raises(InputError):
        resolve_config(settings=(f"{text[1 : text.index(']')]}.{name}={value}",))


def test_a_missing_configuration_is_called_missing(tmp_path):
    with pytest.raises(InputError, match=r"^\S*absent\.toml: no such file; check the path$"):
        read_toml(tmp_path / "absent.toml")


@pytest.mark.parametrize("setting", ["hidden_size=8", "model.hidden_size", "=", "model.=3", "a.b=1"])
def test_a_bad_setting_is_named(setting):
    with pytest.raises(InputError, match="setting '"):
        resolve_config(settings=(setting,))


def test_missing_file_and_unknown_preset(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: no such file"):
        resolve_config(file=tmp_path / "none.toml")
    with pytest.raises(
        InputError,
        match="preset 'best' is unknown; the presets are paper, windows, residues, neighbours, chain",
    ):
        resolve_config("best")
