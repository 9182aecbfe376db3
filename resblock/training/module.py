"""What happens in a training step and in a validation step."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torchmetrics import MeanMetric

from resblock.ranking import auroc
from resblock.scoring import NetworkScorer
from resblock.scoring.losses import LOSSES
from resblock.training.config import OptimisationConfig
from resblock.training.data import DimerData

#: The ranking metric that decides which weights are best, and when to stop: mean over validation dimers.
MONITOR = "validation_auroc"


class Training(L.LightningModule):
    """The loss that the configuration names; AUROC over the pairs of each validation dimer.

    Parameters
    ----------
    scorer : NetworkScorer
        With the network to train.
    config : OptimisationConfig
    total_steps : int
        Steps of the whole run, for the one-cycle schedule.
    """

    def __init__(self, scorer: NetworkScorer, config: OptimisationConfig, total_steps: int) -> None:
        super().__init__()
        self.scorer = scorer
        self.config = config
        self.total_steps = total_steps
        self.training_loss = MeanMetric()
        self.validation_auroc = MeanMetric()

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        """Seed an epoch's dropout by epoch and process: a resumed run draws what the uninterrupted one would.

        Not before the first batch, as starting the dataloader draws a number too.
        """
        if index:
            return
        generator = torch.Generator().manual_seed(self.config.seed)
        seeds = torch.randint(2**62, (self.current_epoch + 1, self.trainer.world_size), generator=generator)
        torch.manual_seed(int(seeds[-1, self.global_rank]))

    def training_step(self, batch: Any, index: int) -> Tensor:
        """Loss of one batch."""
        loss = self.scorer.loss(batch, LOSSES[self.config.loss])
        pairs = len(batch[2])  # the labels, in either kind of batch
        self.training_loss.update(loss.detach(), weight=pairs)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the loss of the epoch; to log it after every step takes longer than a layer of a narrow network."""
        self.log("training_loss", self.training_loss)

    def validation_step(self, dimer_index: int, index: int) -> None:
        """AUROC of one dimer."""
        data: DimerData = self.trainer.datamodule  # type: ignore[attr-defined]
        if dimer_index < len(data.validation):
            chosen = data.validation[dimer_index]
            value = auroc(self.scorer.score_pairs(chosen.dimer, chosen.pairs), chosen.labels)
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
