"""What happens in a training step and in a validation step."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torchmetrics import MeanMetric

from resblock.evaluation.ranking import auroc
from resblock.models import Batch, Model
from resblock.models.losses import LOSSES
from resblock.training.config import OptimisationConfig
from resblock.training.data import TrainingData

#: The ranking metric that decides which weights are best, and when to stop: mean over validation complexes.
MONITOR = "validation_auroc"


class Training(L.LightningModule):
    """The loss that the configuration names; AUROC over the pairs of each validation complex.

    Parameters
    ----------
    model : Model
        To be trained.
    config : OptimisationConfig
    total_steps : int
        Steps of the whole run, for the one-cycle schedule.
    """

    def __init__(self, model: Model[Any], config: OptimisationConfig, total_steps: int) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.total_steps = total_steps
        self.training_loss = MeanMetric()
        self.validation_auroc = MeanMetric()

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Seed an epoch's dropout by epoch and process: a resumed run draws what the uninterrupted one would.

        Not before the first batch, as starting the dataloader draws a number too.
        """
        if index:
            return
        generator = torch.Generator().manual_seed(self.config.seed)
        seeds = torch.randint(2**62, (self.current_epoch + 1, self.trainer.world_size), generator=generator)
        torch.manual_seed(int(seeds[-1, self.global_rank]))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Loss of one batch."""
        loss = self.model.loss(batch, LOSSES[self.config.loss])
        self.training_loss.update(loss.detach(), weight=len(batch.labels))
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the loss of the epoch; to log it after every step takes longer than a layer of a narrow network."""
        self.log("training_loss", self.training_loss)

    def validation_step(self, place: int, index: int) -> None:
        """AUROC of one complex."""
        data: TrainingData = self.trainer.datamodule  # type: ignore[attr-defined]
        if place < len(data.validation):
            chosen = data.validation[place]
            receptor, ligand = map(self.model.encode, chosen.complex.partners)
            value = auroc(self.model.pair_log_odds(receptor, ligand, chosen.pairs), chosen.labels)
            if value is not None:
                self.validation_auroc.update(value)
        self.log(MONITOR, self.validation_auroc, on_step=False, on_epoch=True, prog_bar=True, batch_size=1)

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the configuration."""
        config = self.config
        kind = torch.optim.Adam if config.optimiser == "adam" else torch.optim.AdamW
        # Fused: a few large operations in place of many small ones, which cost as much as a narrow network's layers.
        optimiser = kind(self.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
        if config.schedule == "constant":
            return optimiser
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, self.total_steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
