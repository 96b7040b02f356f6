from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._schedulers import (
    PLATEAU,
    LightningSchedule,
    entry,
    is_open,
    lightning_schedules,
)
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module


class PlateauWithoutMonitor(Check[ast.Module]):
    """A ReduceLROnPlateau in Lightning that is not told what to watch.

    ## What it does
    Finds `configure_optimizers` of a LightningModule that returns a `ReduceLROnPlateau` without `"monitor"`.

    ## Why it matters
    Lightning steps the schedule itself and needs the name of a logged metric for it. Without one, `fit` ends with a
    MisconfigurationException before the first batch.

    ## Do not flag
    Dictionaries that are filled elsewhere, other schedules, manual optimization, and tests.

    ## Fix safety
    No fix: which metric to watch has to be chosen.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#configure-optimizers
    """

    packages = LIGHTNING
    words = (PLATEAU,)
    examples = (
        Bad(
            """
            import lightning as L
            import torch

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    scheduler = «torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)»
                    return {"optimizer": optimizer, "lr_scheduler": scheduler}
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl
            from torch.optim import SGD
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Classifier(pl.LightningModule):
                def configure_optimizers(self):
                    optimizer = SGD(self.parameters(), lr=0.1)
                    return [optimizer], [«ReduceLROnPlateau(optimizer)»]
            """
        ),
        Bad(
            """
            from lightning.pytorch import LightningModule
            from torch import optim

            class Classifier(LightningModule):
                def configure_optimizers(self):
                    optimizer = optim.AdamW(self.parameters())
                    schedule = {
                        "scheduler": «optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max")»,
                        "interval": "epoch",
                    }
                    return {"optimizer": optimizer, "lr_scheduler": schedule, "monitor": "val_loss"}
            """
        ),
        Good(
            """
            import lightning as L
            import torch
            from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    scheduler = ReduceLROnPlateau(optimizer, patience=3)
                    return {"optimizer": optimizer, "lr_scheduler": scheduler, "monitor": "val_loss"}

            class Regressor(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    scheduler = ReduceLROnPlateau(optimizer, patience=3)
                    config = {"scheduler": scheduler, "monitor": "val_loss"}
                    return [optimizer], [config]

            class Other(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    return [optimizer], [StepLR(optimizer, 10)]
            """
        ),
        Good(
            """
            import lightning as L
            import torch
            from torch.optim.lr_scheduler import ReduceLROnPlateau

            class Classifier(L.LightningModule):
                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    config = {"scheduler": ReduceLROnPlateau(optimizer)}
                    config["monitor"] = self.hparams.monitor
                    return {"optimizer": optimizer, "lr_scheduler": config}

            class Gan(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.automatic_optimization = False

                def configure_optimizers(self):
                    optimizer = torch.optim.Adam(self.parameters())
                    return [optimizer], [ReduceLROnPlateau(optimizer)]
            """,
            why="The key is added later, and with manual optimization the module steps the schedule itself.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for schedule in lightning_schedules(module):
            if schedule.name == PLATEAU and not _has_monitor(module, schedule):
                yield self.finding(
                    module,
                    schedule.made,
                    "`fit` ends with an error before the first batch, because Lightning is not told which metric this "
                    'schedule watches. Return `{"scheduler": scheduler, "monitor": "val_loss"}` with a metric that is '
                    "logged.",
                    error=True,
                )


def _has_monitor(module: Module, schedule: LightningSchedule) -> bool:
    """Whether a metric is named, or may be, where Lightning looks for it."""
    dictionary = schedule.settings or schedule.outer
    return dictionary is not None and (entry(dictionary, "monitor") is not None or is_open(module, dictionary))
