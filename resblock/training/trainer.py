"""Lightning's trainer: what it logs and keeps, how it is stopped, and what it is kept from saying."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from resblock.files import write_atomically
from resblock.training.config import TrainingConfig
from resblock.training.data import TrainingData
from resblock.training.module import MONITOR, Training

CHECKPOINTS: Final = "checkpoints"
BEST: Final = "best"
LAST: Final = "last"

#: Lightning's warnings that do not apply: windows are gathered in memory; what it calls in torch is deprecated.
_BESIDE_THE_POINT: Final = (".*does not have many workers.*", ".*LeafSpec.*", "Checkpoint directory .* exists.*")


def new_trainer(run: Path, batches: TrainingData, config: TrainingConfig, device: torch.device) -> L.Trainer:
    """Make the trainer of a run in the directory `run`, with its checkpoints and logs."""
    processes = batches.world_size
    on_this_node = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    optimisation = config.optimisation
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=on_this_node,
        num_nodes=processes // on_this_node,
        strategy="ddp" if processes > 1 else "auto",
        plugins=[WholeCheckpoints()],
        max_epochs=optimisation.epochs,
        limit_train_batches=batches.steps_per_epoch,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        gradient_clip_val=optimisation.gradient_clip or None,
        deterministic=True,
        enable_model_summary=False,
        log_every_n_steps=batches.steps_per_epoch,
        logger=[CSVLogger(run, "csv"), TensorBoardLogger(run, "tensorboard")],
        limit_val_batches=None if batches.validation else 0,
        callbacks=[
            *(_selection(run, optimisation.patience) if batches.validation else ()),
            LearningRateMonitor("epoch"),
            _checkpoint(run, LAST),  # behind the others, whose state it holds
            EpochBar(leave=True, refresh_rate=10),
        ],
    )


def _selection(run: Path, patience: int) -> list[L.Callback]:
    """What the validation complexes decide: when to stop, and which epoch is the best."""
    return [
        EarlyStopping(MONITOR, patience=patience, mode="max"),
        _checkpoint(run, BEST, monitor=MONITOR, mode="max"),
    ]


def _checkpoint(run: Path, name: str, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(
        run / CHECKPOINTS, name, save_on_train_epoch_end=True, enable_version_counter=False, **options
    )


def fit(trainer: L.Trainer, module: Training, batches: TrainingData, resume_from: Path | None) -> None:
    """Train, from a checkpoint if there is one; an interrupt comes out as KeyboardInterrupt."""
    try:
        with _flushed_denormals():
            trainer.fit(module, datamodule=batches, ckpt_path=resume_from, weights_only=True)
    except SystemExit:
        # Lightning answers an interrupt by leaving the program; here the command line decides.
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise


@contextlib.contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Take numbers below 1e-38 for zero: gradients that vanish pass through them, and they cost tens of operations."""
    before = bool((torch.tensor([1e-39]) * 1 == 0).item())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that appear whole or leave the one before.

    Lightning's own are written to the directory of temporary files and moved: to another file system that is a copy,
    which a full disk or a killed process cuts short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint beside its place, then put it there."""
        write_atomically(path, lambda stream: torch.save(checkpoint, stream))


class EpochBar(RichProgressBar):
    """Rich's bar without the logger's version."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """The validation metric alone."""
        return {k: v for k, v in super().get_metrics(trainer, pl_module).items() if k != "v_num"}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning to what a user of the command can act on."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in _BESIDE_THE_POINT:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
