"""Tables 1 and 2: depths and numbers of units of the paper's network, a search over its own grid."""

from __future__ import annotations

from typing import Final

from resblock.study.part import Study
from resblock.sweep.results import Result
from resblock.sweep.search import Plan, search
from resblock.sweep.space import Axis, Choices
from resblock.training.config import PRESETS

VERSION: Final = 1
#: The paper's depths and widths.
LAYERS: Final = (20, 40, 50, 55, 60, 65, 70, 80, 100)
UNITS: Final = (4, 6, 8, 10)
_QUICK_LAYERS: Final = (2, 4)
_QUICK_UNITS: Final = (4, 8)


def run(study: Study) -> Result:
    """Do the whole grid with every seed. `Study.quick`: two of each, a few layers deep."""
    layers, units = "model.num_layers", "model.hidden_size"
    axes: dict[str, Axis] = {
        layers: Choices(_QUICK_LAYERS if study.quick else LAYERS),
        units: Choices(_QUICK_UNITS if study.quick else UNITS),
    }
    titles = {layers: "Table 1. ", units: "Table 2. "}
    return search(study, Plan(base=study.shortened(PRESETS["paper"]), axes=axes, titles=titles))
