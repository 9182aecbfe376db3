"""Deep peephole LSTMs with residual connections, and the residue pairs of two proteins that touch.

`import resblock` needs torch and numpy only, and imports neither before a name is asked for. The protein side
(`predict`, `Prediction`, `resblock.structure`, `resblock.pairs`) is imported where it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from resblock.nn import AttentionPooling, ResAttnLSTM, ResAttnLSTMConfig, ResidualLSTM
    from resblock.ops import residual_lstm
    from resblock.prediction import Prediction, predict

__version__ = "0.1.0"

__all__ = [
    "AttentionPooling",
    "Prediction",
    "ResAttnLSTM",
    "ResAttnLSTMConfig",
    "ResidualLSTM",
    "predict",
    "residual_lstm",
]

#: Module of each name that does not come from `resblock.nn`.
_HOMES: Final = {
    "residual_lstm": "resblock.ops",
    "Prediction": "resblock.prediction",
    "predict": "resblock.prediction",
}

_MODULES: Final = ("nn", "ops")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"resblock.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'resblock' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "resblock.nn")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
