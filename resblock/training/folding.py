"""Partners to learn inverse folding from, and the loop that does."""

from __future__ import annotations

import dataclasses
import math
import os
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from resblock.errors import InputError
from resblock.evaluation.groups import Member
from resblock.models.examples import draw_systematically
from resblock.models.inverse_folding import InverseFoldingConfig, chains_of
from resblock.nn import Chains
from resblock.training.choice import load_usable
from resblock.training.config import DataConfig

#: Share of the steps in which the learning rate rises, and what is left of it at the end.
_WARM_UP, _LAST_RATE = 0.05, 0.01


#: What is logged of every epoch.
_LOGGED: Final = ("epoch", "loss", "perplexity", "recovery")


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """How a network for inverse folding is trained."""

    epochs: int = 30
    """All of them are done; the last one's network counts."""
    batch_residues: int = 800
    """Residues of a step, at most; a larger partner is a step of its own."""
    learning_rate: float = 2e-3
    """Its peak; it rises at first, and falls along a cosine."""
    weight_decay: float = 1e-2
    """Share of the weights, times the learning rate, that a step takes off."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    noise: float = 0.05
    """Standard deviation of what every coordinate is moved by in every step, Angstrom."""
    shown: float = 0.0
    """Largest share of the types that the network is told, drawn anew for every step; 0: none ever."""
    cluster_power: float = 0.5
    """As `data.cluster_power`: how far large clusters count less than their size."""
    validation_share: float = 0.05
    """Share of the clusters that is not trained on and tells the perplexity."""
    bfloat16: bool = False
    """Multiply matrices in bfloat16, where the processor is faster at that."""
    seed: int = 1
    """Decides the initial weights, the dropout, the noise and what is drawn."""

    def check(self) -> None:
        """Refuse values with which nothing can be trained.

        Raises
        ------
        InputError
            One is impossible.
        """
        for name, holds, wanted in (
            ("epochs", self.epochs >= 1, "at least 1"),
            ("batch_residues", self.batch_residues >= 1, "at least 1"),
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("weight_decay", self.weight_decay >= 0, "0 or above"),
            ("gradient_clip", self.gradient_clip > 0, "above 0"),
            ("noise", self.noise >= 0, "0 or above"),
            ("shown", 0 <= self.shown < 1, "from 0 to below 1"),
            ("cluster_power", self.cluster_power >= 0, "0 or above"),
            ("validation_share", 0 <= self.validation_share < 1, "from 0 to below 1"),
            ("seed", 0 <= self.seed < 2**32, "from 0 to below 2**32"),
        ):
            if not holds:
                raise InputError(f"optimisation.{name} is {getattr(self, name)}; it must be {wanted}")


@dataclasses.dataclass(frozen=True)
class Partners:
    """Backbones of partners, each with the code of its complex, its cluster, and its chance to be in an epoch."""

    codes: list[str]
    chains: list[Chains]
    clusters: list[str]
    chances: NDArray[np.float64]

    def chosen(self, places: Sequence[int]) -> Partners:
        """Some of them."""
        return Partners(
            [self.codes[k] for k in places],
            [self.chains[k] for k in places],
            [self.clusters[k] for k in places],
            self.chances[list(places)],
        )

    def divided(self, share: float, seed: int) -> tuple[Partners, Partners]:
        """Those to train on, and those of a share of the clusters, drawn by the seed, to validate with."""
        names = sorted(set(self.clusters))
        held = set(np.random.default_rng(seed).permutation(names)[: round(share * len(names))].tolist())
        places = range(len(self.codes))
        train = [k for k in places if self.clusters[k] not in held]
        if not train:
            raise InputError("no partner is left to train on; prepare more complexes, or leave out fewer")
        return self.chosen(train), self.chosen([k for k in places if self.clusters[k] in held])


def load_partners(
    data: str | os.PathLike[str],
    neighbours: int,
    cluster_power: float,
    members: Sequence[Member] = (),
    left_out: int | None = None,
) -> Partners:
    """The partners of prepared complexes, but for the final test and for a group.

    Parameters
    ----------
    data : path
    neighbours : int
        Nearest residues of each.
    cluster_power : float
        As of `DataConfig`.
    members : sequence of Member
        Clusters and groups of all partners. Without them a partner's cluster is its complex's.
    left_out : int, optional
        Group; its clusters are left out whole.

    Raises
    ------
    InputError
        A partner is not in the table of groups, the group is not, or nothing is left.
    """
    if left_out is not None and left_out not in {member.group for member in members}:
        raise InputError(f"group {left_out} is not in the table of groups")
    cluster_of = {(member.code, member.partner): member.cluster for member in members}
    forbidden = {member.cluster for member in members if member.group == left_out}
    codes, chains, clusters = [], [], []
    for complex in load_usable(data, DataConfig(complexes="all")):
        for side, partner in zip(("receptor", "ligand"), complex.partners, strict=True):
            if members and (complex.code, side) not in cluster_of:
                raise InputError(f"{complex.code}: its {side} is not in the table of groups; make that anew")
            cluster = cluster_of.get((complex.code, side))
            if cluster in forbidden:
                continue
            codes.append(complex.code)
            chains.append(chains_of(partner, neighbours))
            clusters.append(f"{complex.cluster or complex.root} {side}" if cluster is None else str(cluster))
    if not codes:
        raise InputError(f"{data}: no partner is left to train on; prepare more complexes, or leave out fewer")
    sizes = {name: clusters.count(name) for name in set(clusters)}
    return Partners(codes, chains, clusters, np.array([sizes[name] ** -cluster_power for name in clusters]))


class FoldingRun:
    """A network in training, epoch by epoch.

    Parameters
    ----------
    network : InverseFoldingConfig
    config : PretrainingConfig
    train, held : Partners
        To train on, and to measure the perplexity of, which may be none.
    """

    def __init__(
        self, network: InverseFoldingConfig, config: PretrainingConfig, train: Partners, held: Partners
    ) -> None:
        torch.manual_seed(config.seed)
        self.network = network.network()
        self.config = config
        self.train = train
        self.held = held
        self.epoch = 0
        self.log = "\t".join(_LOGGED) + "\n"
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )

    def state(self) -> dict[str, Any]:
        """What `load` needs to go on as if nothing had happened."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "epoch": self.epoch,
            "log": self.log,
        }

    def load(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        InputError
            It is damaged.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.epoch, self.log = int(state["epoch"]), str(state["log"])
        except (OSError, EOFError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: damaged checkpoint ({reason}); remove the run and start it again") from None

    def train_epoch(self) -> str:
        """Train for an epoch; gives its line of the log."""
        self.network.train()
        # By the epoch's number alone, so that a run that goes on draws what it would have drawn.
        torch.manual_seed(int(np.random.default_rng([self.config.seed, self.epoch]).integers(2**62)))
        batches = list(self._batches())
        total = count = 0.0
        for number, places in enumerate(batches):
            self._set_rate((self.epoch + number / len(batches)) / self.config.epochs)
            chains = Chains.joined([self.train.chains[k] for k in places])
            wanted = chains.predictable
            if not wanted.any():
                continue
            loss = self._step(chains, wanted)
            total, count = total + loss * int(wanted.sum()), count + int(wanted.sum())
        self.epoch += 1
        perplexity, recovery = self.validate()
        line = f"{self.epoch}\t{total / max(count, 1):.4f}\t{perplexity:.3f}\t{recovery:.4f}\n"
        self.log += line
        return line.strip()

    def _step(self, chains: Chains, wanted: Tensor) -> float:
        config = self.config
        shown = None
        if config.shown:
            shown = (torch.rand(len(wanted)) < config.shown * torch.rand(())) & wanted
            # All that is not shown is asked for, or all if everything is shown.
            wanted = wanted & ~shown if bool((wanted & ~shown).any()) else wanted
        moved = chains._replace(atoms=chains.atoms + config.noise * torch.randn_like(chains.atoms))
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
            logits, _ = self.network(moved, shown)
        loss = F.cross_entropy(logits.float()[wanted], chains.types[wanted])
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), config.gradient_clip)
        self._optimiser.step()
        return loss.item()

    def _set_rate(self, done: float) -> None:
        rising = min(done / _WARM_UP, 1.0) if done < _WARM_UP else 1.0
        along = max(done - _WARM_UP, 0.0) / (1.0 - _WARM_UP)
        falling = _LAST_RATE + (1.0 - _LAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * along))
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate * max(rising, _LAST_RATE) * falling

    def _batches(self) -> Iterator[list[int]]:
        """Places of the partners of each step of this epoch."""
        generator = np.random.default_rng([self.config.seed, self.epoch, 1])
        batch: list[int] = []
        residues = 0
        for place in draw_systematically(self.train.chances, generator).tolist():
            size = len(self.train.chains[place].types)
            if batch and residues + size > self.config.batch_residues:
                yield batch
                batch, residues = [], 0
            batch.append(place)
            residues += size
        yield batch

    @torch.inference_mode()
    def validate(self) -> tuple[float, float]:
        """Perplexity of the types of the partners that are held out, and the share that is the most likely one."""
        self.network.eval()
        loss = right = count = 0.0
        for chains in self.held.chains:
            wanted = chains.predictable
            logits = self.network(chains)[0][wanted]
            loss += F.cross_entropy(logits, chains.types[wanted], reduction="sum").item()
            right += float((logits.argmax(-1) == chains.types[wanted]).sum())
            count += int(wanted.sum())
        return (math.exp(loss / count), right / count) if count else (math.nan, math.nan)
