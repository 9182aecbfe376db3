"""What a search varies: fields of a configuration, their values, and every combination of them."""

import pytest

from resblock.errors import InputError
from resblock.sweep.space import SEED, Choices, Range, cells, check_axes, configured, negatives_field, parse_axis
from resblock.training.config import PRESETS, resolve_config


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("model.num_layers=20,40", Choices((20, 40))),
        ("model.dropout=0, 0.6", Choices((0.0, 0.6))),
        ("model.peephole=true,false", Choices((True, False))),
        ("model.selection=closest,random", Choices(("closest", "random"))),
        ("model.features=paper,extended", Choices(("paper", "extended"))),
        ("model.kind=windows,residues", Choices(("windows", "residues"))),
        ("optimisation.learning_rate=1e-4:1e-2", Range(1e-4, 1e-2)),
        ("model.hidden_size=4:16", Range(4, 16)),
    ],
)
def test_values_have_the_type_of_their_field(text, axis):
    assert parse_axis(text) == (text.partition("=")[0], axis)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.num_layers", "is not of the form SECTION.FIELD"),
        ("model.num_layers=", "is not of the form SECTION.FIELD"),
        ("model.layers=3", "field model.layers is unknown"),
        ("model.num_layers=3,x", "model.num_layers is 'x'"),
        ("model.num_layers=0,2", "at least 1"),
        ("model.num_layers=2,2", "a value twice"),
        ("model.num_layers=4:2", "is no range"),
        ("model.peephole=true:false", "is no range"),
    ],
)
def test_values_that_cannot_be_varied(text, message):
    with pytest.raises(InputError, match=message):
        parse_axis(text)


@pytest.mark.parametrize(("preset", "field"), [("chain", "model.num_layers=2"), ("paper", "model.encoder=lstm")])
def test_fields_are_those_of_the_kind_of_model(preset, field):
    with pytest.raises(InputError, match=f"field {field.partition('=')[0]} is unknown"):
        parse_axis(field, preset)
    other = "residues" if preset == "paper" else "windows"
    parse_axis(field, preset, (f"model.kind={other}",))


def test_a_range_of_magnitudes_is_searched_by_its_logarithm():
    assert Range(1e-4, 1e-2).logarithmic
    assert not Range(4, 16).logarithmic
    assert not Range(0.0, 0.9).logarithmic


def test_the_negatives_are_those_of_the_model():
    fields = [negatives_field(PRESETS[name]) for name in ("paper", "windows", "chain")]
    assert fields == ["model.closest_per_positive", "model.negatives_per_positive", "model.negatives_per_complex"]


@pytest.mark.parametrize("field", ["", "optimisation.seed"])
def test_what_varies_nothing_is_refused(field):
    with pytest.raises(InputError, match=field or "nothing to vary"):
        check_axes({field: Choices((1, 2))} if field else {})


def test_a_grid_is_every_combination_with_every_seed():
    axes = {"model.num_layers": Choices((2, 4)), "model.dropout": Choices((0.0, 0.5))}
    grid = list(cells(axes, (1, 2)))
    assert len(grid) == 8
    assert grid[0] == {"model.num_layers": 2, "model.dropout": 0.0, SEED: 1}
    config = configured(PRESETS["paper"], grid[-1])
    assert (config.model.num_layers, config.model.dropout) == (4, 0.5)
    assert config == resolve_config("paper", None, ("model.num_layers=4", "model.dropout=0.5"))


def test_a_kind_of_model_comes_before_its_fields():
    config = configured(PRESETS["paper"], {"model.dropout": 0.5, "model.kind": "residues", SEED: 1})
    assert (config.kind.kind, config.model.dropout) == ("residues", 0.5)
