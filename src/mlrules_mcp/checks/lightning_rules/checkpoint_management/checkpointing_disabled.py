from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.checks.lightning_rules._trainers import Fit, fits
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

# Arguments of a Trainer for trying code out, not for training.
_TRIAL = frozenset({"fast_dev_run", "overfit_batches", "limit_train_batches", "barebones", "profiler", "max_time"})
_SEARCHES = frozenset({"optuna", "ray", "hyperopt", "ax", "skopt", "nni"})
_SAVING = pattern(r"^(save|dump|export|to_onnx|to_torchscript|log_model|push_to_hub)")
_FEW_STEPS = 100


class CheckpointingDisabled(Check[ast.Module]):
    """Training with checkpoints switched off.

    ## What it does
    Finds `Trainer(enable_checkpointing=False)` that a file trains with `fit`, in a file that saves nothing else.

    ## Why it matters
    Nothing of the trained model is left when the process ends, and a run that is interrupted starts from the
    beginning.

    ## Do not flag
    Trials (`fast_dev_run`, `overfit_batches`, limited batches or few steps), searches for hyperparameters, benchmarks
    and tests; files that save the model themselves.

    ## Fix safety
    No fix: which checkpoints to keep is a choice.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/checkpointing_basic.html
    """

    packages = LIGHTNING
    also_enforces = ("tracking_rules.artifact_management",)
    words = ("enable_checkpointing",)
    examples = (
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(max_epochs=50, «enable_checkpointing=False»)
            trainer.fit(model, loader)
            trainer.test(model, test_loader)
            """
        ),
        Bad(
            """
            from pytorch_lightning import Trainer

            class Run:
                def __init__(self, epochs):
                    self.trainer = Trainer(max_epochs=epochs, logger=False, «enable_checkpointing=False»)

                def train(self, model, data):
                    self.trainer.fit(model, datamodule=data)
            """
        ),
        Good(
            """
            import lightning as L

            L.Trainer(fast_dev_run=True, enable_checkpointing=False).fit(model, loader)
            L.Trainer(max_steps=10, enable_checkpointing=False).fit(model, loader)
            L.Trainer(enable_checkpointing=False).test(model, loader)
            L.Trainer(enable_checkpointing=args.save).fit(model, loader)
            """
        ),
        Good(
            """
            import lightning as L

            trainer = L.Trainer(max_epochs=50, enable_checkpointing=False)
            trainer.fit(model, loader)
            trainer.save_checkpoint("last.ckpt")
            """,
            "saved by hand",
        ),
        Good(
            """
            import lightning as L
            import optuna

            def objective(trial):
                trainer = L.Trainer(max_epochs=5, enable_checkpointing=False)
                trainer.fit(make_model(trial), loader)
                return trainer.callback_metrics["val_loss"].item()
            """,
            "only the metric of the run is wanted",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if module.imported_packages & _SEARCHES or is_test(module) or _saves(module):
            return
        switches = (switch for fit in fits(module) if (switch := _switched_off(fit)) is not None)
        for switch in dict.fromkeys(switches):
            yield self.finding(
                module,
                switch,
                "Nothing of what `fit` trains is kept when the process ends or is interrupted. Leave "
                "`enable_checkpointing` out, or add a `ModelCheckpoint` that keeps what is needed.",
            )


def _switched_off(fit: Fit) -> ast.keyword | None:
    arguments = {keyword.arg: keyword for keyword in fit.trainer.keywords} if fit.trainer else {}
    switch = arguments.get("enable_checkpointing")
    if switch is None or arguments.keys() & _TRIAL:
        return None
    if not (isinstance(switch.value, ast.Constant) and switch.value.value is False):
        return None
    match arguments.get("max_steps"):
        case ast.keyword(value=ast.Constant(value=int() as steps)) if steps <= _FEW_STEPS:
            return None
    return switch


def _saves(module: Module) -> bool:
    """Whether a file writes a model by any other way."""
    return any(_SAVING.match(module.called_name(call) or "") for call in module.nodes(ast.Call))
