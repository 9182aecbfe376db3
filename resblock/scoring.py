"""Scores of a dimer's residue pairs: a trained network and what its input needs, as one file.

`load_scorer` reads it; whatever kind it is, `scorer.score(dimer)` is all that prediction and evaluation use.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import as_file, files
from typing import Any, Final, Protocol

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resblock.errors import InputError
from resblock.nn import ResAttnLSTM
from resblock.ops import has_cuda_kernels
from resblock.pairs import Dimer
from resblock.pairs.dataset import PairWindows, surface_batches
from resblock.structure.files import write_atomically

FORMAT: Final = "resblock.WindowScorer"
#: Raise it whenever stored weights would mean something else.
FORMAT_VERSION: Final = 2
#: Entry of the safetensors metadata that describes the scorer, as JSON.
METADATA: Final = "resblock"
#: Standardised features are cut at this many standard deviations; an odd residue must not decide alone.
LARGEST_DEVIATION: Final = 6.0

#: What `choose_device` understands.
DEVICES: Final = ("auto", "cpu", "cuda")

Progress = Callable[[int, int], object]


class Scorer(Protocol):
    """Whatever scores the residue pairs of a dimer."""

    card: dict[str, Any]
    """Where the weights come from."""

    def score(self, dimer: Dimer, progress: Progress | None = None) -> NDArray[np.float32]:
        """Score all pairs of surface residues, (n_surface_receptor, n_surface_ligand), 0 to 1."""


class WindowScorer(nn.Module):
    """The paper's reading: each pair is the sequence of the 3 x 3 pairs around it (Liu & Gong 2019, "Input").

    Features enter as z-scores, with absent pKa values imputed first (`resblock.pairs.dataset`) and cut at
    `LARGEST_DEVIATION`.

    Parameters
    ----------
    network : ResAttnLSTM
        Two classes, input size 2F.
    mean, scale : (F,) float32
        Of the features over the training part, from `resblock.pairs.dataset.standardisation`.
    feature_names : sequence of str
        Names of the F features.
    card : mapping
        Where the weights come from; plain values.
    log_odds_shift : float
        Added to the network's log-odds: training shows it far more true pairs than a surface has, and this takes
        the share among all surface pairs in place of the share among those shown (Elkan, IJCAI 2001, theorem 2).
    """

    #: Pairs per pass: some 20 MiB of activations at 64 units.
    batch_size = 4096
    mean: Tensor
    scale: Tensor
    log_odds_shift: Tensor

    def __init__(
        self,
        network: ResAttnLSTM,
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
        feature_names: Sequence[str],
        card: Mapping[str, Any] | None = None,
        log_odds_shift: float = 0.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.from_numpy(mean.copy()))
        self.register_buffer("scale", torch.from_numpy(scale.copy()))
        self.register_buffer("log_odds_shift", torch.tensor(log_odds_shift))
        self.feature_names = tuple(feature_names)
        self.card = dict(card or {})

    def forward(self, windows: Tensor, lengths: Tensor) -> Tensor:
        """Logits (P, 2) of windows (9, P, 2F) of z-scores with their lengths (P,)."""
        logits: Tensor = self.network(windows.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION), lengths)
        return logits

    def score(self, dimer: Dimer, progress: Progress | None = None) -> NDArray[np.float32]:
        """Score all pairs of surface residues.

        The score of a pair is the mean, over both orders of the partners, of the probability that the network
        gives it, for the share of true pairs that surfaces have. The same weights, dimer and device give the same
        bits.

        Parameters
        ----------
        dimer : Dimer
            Its features must be the ones the network learned from.
        progress : callable, optional
            Called with the number of pairs scored so far and of all pairs.

        Returns
        -------
        ndarray, shape (n_surface_receptor, n_surface_ligand)
            float32, 0 to 1.

        Raises
        ------
        InputError
            If the dimer has other features.
        """
        shape = tuple(int(partner.surface.sum()) for partner in (dimer.receptor, dimer.ligand))
        scores = np.empty(shape, dtype=np.float32)
        done = 0
        for batch in self._scores(dimer, surface_batches(dimer, self.batch_size)):
            scores.reshape(-1)[done : done + len(batch)] = batch
            done += len(batch)
            if progress is not None:
                progress(done, scores.size)
        return scores

    def score_pairs(self, dimer: Dimer, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score (P, 2) chosen pairs of residues in the same way: (P,) float32."""
        (scores,) = self._scores(dimer, [pairs])
        return scores

    def _scores(self, dimer: Dimer, batches: Iterable[NDArray[np.int64]]) -> Iterator[NDArray[np.float32]]:
        if dimer.feature_names != self.feature_names:
            raise InputError(
                f"{dimer.code}: has the features {', '.join(dimer.feature_names)}; "
                f"the weights need {', '.join(self.feature_names)}"
            )
        windows = PairWindows([dimer], self.mean.cpu().numpy(), self.scale.cpu().numpy(), self.mean.device)
        was_training = self.training
        self.eval()
        try:
            for pairs in batches:
                rows = windows.rows(0, pairs)
                with torch.inference_mode():
                    orders = [self._probability(*windows.gather(order)) for order in (rows, rows[:, ::-1])]
                    yield ((orders[0] + orders[1]) / 2).cpu().numpy()
        finally:
            self.train(was_training)

    def _probability(self, windows: Tensor, lengths: Tensor) -> Tensor:
        logits = self(windows, lengths)
        return torch.sigmoid(logits[:, 1] - logits[:, 0] + self.log_odds_shift)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, scaling, configuration, feature names and card as one safetensors file, all or nothing."""
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "config": dataclasses.asdict(self.network.config),
            "feature_names": self.feature_names,
            "card": self.card,
        }
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        # One entry: safetensors writes several in no fixed order, and the same weights shall give the same bytes.
        content = safetensors.torch.save(tensors, {METADATA: json.dumps(description)})
        write_atomically(path, lambda stream: stream.write(content))

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: torch.device | str = "cpu") -> WindowScorer:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is missing, damaged, of another kind or of another version.
        """
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                description = json.loads((file.metadata() or {}).get(METADATA, "{}"))
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; check the path") from None
        except (OSError, safetensors.SafetensorError) as error:
            raise _unusable(path, f"no safetensors file: {error}") from None
        except ValueError as error:
            raise _unusable(path, f"damaged metadata: {error}") from None
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise _unusable(path, f"holds no {FORMAT}")
        if description.get("format_version") != FORMAT_VERSION:
            raise _unusable(path, f"format version {description.get('format_version')}, wanted {FORMAT_VERSION}")
        try:
            scorer = cls(
                ResAttnLSTM.from_config(description["config"]),
                state["mean"].numpy(),
                state["scale"].numpy(),
                description["feature_names"],
                description["card"],
                float(state["log_odds_shift"]),
            )
            scorer.load_state_dict(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise _unusable(path, " ".join(str(error).split())) from None
        return scorer.to(device).eval()


def load_scorer(path: str | os.PathLike[str] | None = None, device: torch.device | str = "cpu") -> Scorer:
    """Read weights written by `resblock train`; those of the package if no file is given.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    if path is not None:
        return WindowScorer.load(path, device)
    with as_file(files("resblock") / "weights" / "default.safetensors") as included:
        return WindowScorer.load(included, device)


def choose_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda into a device; auto is cuda where the kernels and a GPU are there.

    Raises
    ------
    InputError
        If the name is another, or cuda cannot be used.
    """
    if name not in DEVICES:
        raise InputError(f"device {name!r} is unknown; choose {', '.join(DEVICES)}")
    usable = torch.cuda.is_available() and has_cuda_kernels()
    if name == "cuda" and not usable:
        lacking = "resblock was built without its CUDA kernels" if torch.cuda.is_available() else "torch finds no GPU"
        raise InputError(f"device cuda: {lacking}; use --device cpu, or see `resblock doctor`")
    return torch.device("cuda" if usable and name != "cpu" else "cpu")


def _unusable(path: str | os.PathLike[str], reason: str) -> InputError:
    return InputError(f"{path}: no usable weights ({reason}); give a weights.safetensors of `resblock train`")
