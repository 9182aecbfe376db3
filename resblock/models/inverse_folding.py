"""What a partner's backbone makes one expect of its residues, and how far they differ: inputs of other models.

A residue that its backbone does not explain may be there for a partner: the surprise is higher at interfaces than on
other surface.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resblock.errors import InputError
from resblock.files import digest_of, read_container, write_container
from resblock.nn import Chains, InverseFolding
from resblock.nn.inverse_folding import FURTHEST, NO_NEIGHBOUR, OTHER_CHAIN, TYPES
from resblock.structure import PartnerFeatures
from resblock.structure.graph import nearest_backbones
from resblock.structure.neighbourhood import distances, exposure, neighbour_means
from resblock.structure.scales import CHARGE, KYTE_DOOLITTLE, RESIDUE_NAMES, STICKY, VOLUME

FORMAT: Final = "resblock.InverseFolding"
FORMAT_VERSION: Final = 1
#: Radii over which surprise is averaged, Angstrom.
RADII: Final = (6.0, 10.0, 14.0)
_PROPERTIES: Final = ("hydropathy", "charge", "volume", "stickiness")
_SURPRISE: Final = (
    "own",
    "entropy",
    "own-entropy",
    "gap",
    *(f"{what} {name}" for name in _PROPERTIES for what in ("expected", "unexpected")),
)
#: Names of the columns of `surprise`.
SURPRISE_FEATURES: Final = tuple(
    f"surprise {name}{where}" for where in ("", *(f", {radius:g} A" for radius in RADII)) for name in _SURPRISE
)
_ENCODING: Final = "folding "


@dataclasses.dataclass(frozen=True)
class InverseFoldingConfig:
    """Settings of a network for inverse folding."""

    size: int = 128
    """Features of a residue."""
    edge_size: int = 64
    """Features of a residue and one of its neighbours."""
    layers: int = 3
    """Layers of message passing."""
    lstm_layers: int = 0
    """Layers of each direction of the LSTM along the chain behind them; 0: none."""
    neighbours: int = 30
    """Nearest residues that a residue takes messages of, itself among them."""
    dropout: float = 0.1
    """After every layer, while training."""

    def check(self) -> None:
        """Refuse sizes that make no network.

        Raises
        ------
        InputError
            One is impossible.
        """
        for name in ("size", "edge_size", "layers", "neighbours"):
            if getattr(self, name) < 1:
                raise InputError(f"network.{name} is {getattr(self, name)}; it must be at least 1")
        if self.lstm_layers < 0 or (self.lstm_layers and self.size % 2):
            raise InputError(f"network.lstm_layers is {self.lstm_layers}; it must be 0 or above, with an even size")
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"network.dropout is {self.dropout}; it must be from 0 to below 1")

    def network(self) -> InverseFolding:
        """Make the network, untrained."""
        return InverseFolding(
            self.size, self.edge_size, self.layers, lstm_layers=self.lstm_layers, dropout=self.dropout
        )


@dataclasses.dataclass(frozen=True)
class InverseFolder:
    """A network for inverse folding, and what is known of it."""

    config: InverseFoldingConfig
    network: InverseFolding
    card: dict[str, Any] = dataclasses.field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        """What `of` needs besides the tensors, as plain values."""
        return {"config": dataclasses.asdict(self.config), "card": self.card}

    @classmethod
    def of(cls, description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> InverseFolder:
        """Make it anew, for evaluation; KeyError, TypeError, ValueError or RuntimeError if these do not fit."""
        config = InverseFoldingConfig(**description["config"])
        config.check()
        network = config.network()
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
        return cls(config, network.eval(), dict(description["card"]))

    def tensors(self) -> dict[str, Tensor]:
        """Weights in half precision: they are half as large, and the surprise is the same to .01."""
        return {name: tensor.half() for name, tensor in self.network.state_dict().items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, all or nothing, in half precision."""
        description = {"format": FORMAT, "format_version": FORMAT_VERSION, **self.description()}
        write_container(path, description, self.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> InverseFolder:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file cannot be used.
        """
        description, tensors = read_container(path, FORMAT, FORMAT_VERSION)
        try:
            return cls.of(description, tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path}: weights and description do not fit ({' '.join(str(error).split())})") from None

    @torch.inference_mode()
    def expected(self, partner: PartnerFeatures) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N, `TYPES`) log-probabilities of the types of all residues, and (N, size) encodings, none being shown."""
        self.network.eval()
        logits, encodings = self.network(chains_of(partner, self.config.neighbours))
        return logits.log_softmax(-1).numpy(), encodings.numpy()

    def describe(self, partner: PartnerFeatures) -> PartnerFeatures:
        """The partner with further columns: `SURPRISE_FEATURES`, and the encodings as ``folding 0`` and so on."""
        log_probabilities, encodings = self.expected(partner)
        table = np.concatenate([surprise(log_probabilities, partner), encodings], axis=1)
        return dataclasses.replace(
            partner,
            feature_names=(*partner.feature_names, *self.names("encodings")),
            features=np.concatenate([partner.features, table], axis=1).astype(np.float32),
        )

    def names(self, folding: str) -> tuple[str, ...]:
        """Names of the columns that a model sees whose field `folding` has this value."""
        if folding == "none":
            return ()
        encodings = (f"{_ENCODING}{k}" for k in range(self.config.size)) if folding == "encodings" else ()
        return (*SURPRISE_FEATURES, *encodings)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return digest_of(self.network.state_dict())


def is_described(name: str) -> bool:
    """Whether a column is one that `InverseFolder.describe` adds."""
    return name in SURPRISE_FEATURES or name.startswith(_ENCODING)


def types_of(partner: PartnerFeatures) -> NDArray[np.int64]:
    """(N,) place of each residue's type in `RESIDUE_NAMES`; `TYPES` for an unknown one."""
    place = {name: k for k, name in enumerate(RESIDUE_NAMES)}
    return np.array([place.get(residue.parent, TYPES) for residue in partner.residues])


def chains_of(partner: PartnerFeatures, neighbours: int) -> Chains:
    """What the network takes of a partner: its backbone, and the types that it is asked for."""
    found = nearest_backbones(partner.backbone, neighbours)
    ends = np.append(partner.chain_starts, len(partner))
    chain = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    there = np.maximum(found, 0)
    separation = np.clip(there - np.arange(len(partner))[:, None], -FURTHEST, FURTHEST) + FURTHEST
    separation = np.where(chain[there] == chain[:, None], separation, OTHER_CHAIN)
    atoms = partner.backbone.atoms
    return Chains(
        atoms=torch.from_numpy(np.nan_to_num(atoms).astype(np.float32)),
        complete=torch.from_numpy(np.isfinite(atoms).all(axis=(1, 2))),
        neighbours=torch.from_numpy(found),
        separations=torch.from_numpy(np.where(found >= 0, separation, NO_NEIGHBOUR)),
        types=torch.from_numpy(types_of(partner)),
        lengths=torch.from_numpy(np.diff(ends)),
    )


def surprise(log_probabilities: NDArray[np.floating[Any]], partner: PartnerFeatures) -> NDArray[np.float64]:
    """How much each residue differs from what is expected, and the exposed residues around it.

    Twelve numbers of a residue: the log-probability of its own type, the entropy, their sum, and how far its type is
    behind the most likely one; of each of hydropathy, charge, volume and stickiness what is expected, and by how much
    the residue has more. Then their means over residues within 6, 10 and 14 Angstrom, weighted by how exposed they are.

    Parameters
    ----------
    log_probabilities
        (N, `TYPES`).
    partner
        N residues. Where the type or the backbone is not known, nothing is a surprise: the numbers are zero.

    Returns
    -------
    ndarray
        (N, 48) float64, columns `SURPRISE_FEATURES`.
    """
    types = types_of(partner)
    known = (types < TYPES) & np.isfinite(partner.backbone.atoms).all(axis=(1, 2))
    log_p = log_probabilities.astype(np.float64)
    own = np.take_along_axis(log_p, np.minimum(types, TYPES - 1)[:, None], axis=1)[:, 0]
    probabilities = np.exp(log_p)
    entropy = -(probabilities * log_p).sum(axis=1)
    columns = [own, entropy, own + entropy, own - log_p.max(axis=1)]
    for values in _property_values():
        expected = probabilities @ values
        columns += [expected, values[np.minimum(types, TYPES - 1)] - expected]
    table = np.column_stack(columns) * known[:, None]
    apart = distances(partner.centres.astype(np.float64))
    exposed = exposure(partner.columns(["RESA"])[:, 0].astype(np.float64))
    return np.concatenate([table, *(neighbour_means(apart, radius, exposed, table) for radius in RADII)], axis=1)


def _property_values() -> Sequence[NDArray[np.float64]]:
    """Each of `_PROPERTIES` for every type; volumes in 50 cubic Angstrom, which is of the size of the others."""
    return [
        np.array([KYTE_DOOLITTLE[name] for name in RESIDUE_NAMES]),
        np.array([CHARGE.get(name, 0.0) for name in RESIDUE_NAMES]),
        np.array([VOLUME[name] / 50.0 for name in RESIDUE_NAMES]),
        np.array([float(name in STICKY) for name in RESIDUE_NAMES]),
    ]
