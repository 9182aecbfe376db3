"""Configurations: presets, files and single settings, and what is refused of them."""

import pytest

from resblock.errors import InputError
from resblock.training.config import PRESETS, TrainingConfig, read_toml, resolve_config


def test_the_papers_preset_is_the_paper():
    paper = PRESETS["paper"]
    assert (paper.network.num_layers, paper.network.hidden_size) == (60, 8)
    assert (paper.network.input_dropout, paper.network.dropout) == (0.15, 0.6)
    assert (paper.optimisation.optimiser, paper.optimisation.batch_size) == ("adam", 500)
    assert paper.data.selection == "closest"
    assert resolve_config() == paper == TrainingConfig()


@pytest.mark.parametrize("preset", PRESETS)
def test_toml_round_trip(preset, tmp_path):
    config = PRESETS[preset]
    file = tmp_path / "config.toml"
    file.write_text(config.to_toml())
    assert TrainingConfig().updated(read_toml(file)) == config


def test_file_and_settings_replace_fields_in_this_order(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text("[network]\nhidden_size = 16\nnum_layers = 4\n[optimisation]\nlearning_rate = 1\n")
    config = resolve_config("windows", file, ("network.num_layers=6", "data.selection=closest"))
    assert (config.network.hidden_size, config.network.num_layers) == (16, 6)
    assert config.optimisation.learning_rate == 1.0
    assert config.data.selection == "closest"
    assert config.optimisation.schedule == PRESETS["windows"].optimisation.schedule


BAD_TOML = {
    "[network": "no TOML",
    "[netwrk]\nhidden_size = 8": "section 'netwrk' is unknown; the sections are data, network, chain, optimisation",
    "network = 3": "'network' is a section",
    "[network]\nlayers = 8": "field network.layers is unknown; .network. has hidden_size",
    "[network]\ninput_size = 8": "field network.input_size is unknown",
    "[network]\nhidden_size = 0": "network.hidden_size is 0; it must be at least 1",
    "[network]\nhidden_size = 8.5": "network.hidden_size is 8.5; expected a whole number",
    "[network]\nhidden_size = true": "network.hidden_size is True; expected a whole number",
    "[network]\ndropout = 1.0": "network.dropout is 1.0; it must be from 0 to below 1",
    "[network]\ndropout = nan": "network.dropout is nan; expected a finite number",
    '[network]\nresidual = "yes"': "network.residual is 'yes'; expected true or false",
    '[network]\noutput_peephole = "next"': "network.output_peephole is next; it must be current or previous",
    '[data]\nselection = "all"': "data.selection is 'all'; choose 'closest' or 'random'",
    "[data]\nvalidation_pairs = 0": "data.validation_pairs is 0",
    "[data]\nwindow = 4": "data.window is 4; it must be odd and at least 1",
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


@pytest.mark.parametrize("setting", ["hidden_size=8", "network.hidden_size", "=", "network.=3", "a.b=1"])
def test_a_bad_setting_is_named(setting):
    with pytest.raises(InputError, match="setting '"):
        resolve_config(settings=(setting,))


def test_missing_file_and_unknown_preset(tmp_path):
    with pytest.raises(InputError, match=r"none\.toml: cannot be read"):
        resolve_config(file=tmp_path / "none.toml")
    with pytest.raises(
        InputError,
        match="preset 'best' is unknown; the presets are paper, windows, residues, neighbours, chain",
    ):
        resolve_config("best")
