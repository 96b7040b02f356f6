from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import (
    LIGHTNING,
    REMOVED_STRATEGIES,
    REMOVED_TRAINER_ARGUMENTS,
    RENAMED_METHOD_ARGUMENTS,
    STRATEGIES,
    TRAINER,
)
from mlrules_mcp.checks.check import Bad, Check, Good, safe, suggested
from mlrules_mcp.checks.lightning_rules._classes import is_for_other_release, is_test
from mlrules_mcp.checks.lightning_rules._trainers import is_trainer, trainers
from mlrules_mcp.checks.lightning_rules.distributed_training._trainer_fixes import trainer_fix
from mlrules_mcp.findings import Finding, Fix, RemoveArgument, Replace, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument


class RemovedTrainerArgument(Check[ast.Module]):
    """An argument that Lightning's Trainer no longer takes.

    ## What it does
    Finds arguments of `Trainer(…)` and of its `fit`, `validate` and `test` that a release removed or renamed: `gpus`,
    `tpu_cores`, `distributed_backend`, `auto_lr_find`, `weights_summary`, `checkpoint_callback`, `train_dataloader` and
    the like; values that are no longer known (`strategy="dp"`, `accelerator="ddp"`); and the class methods
    `from_argparse_args` and `add_argparse_args`. The newest release is assumed.

    ## Why it matters
    The call raises a TypeError (a ValueError for a strategy, an AttributeError for a method) before any training.

    ## Do not flag
    Trainers of other libraries and of the project itself; code under a condition that asks for a version; tests.

    ## Fix safety
    Safe where the new form means the same: renamed arguments, numbers of devices, values that were the default.
    Suggested where the value is not known or the new form is only close.

    ## References
    - https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html
    - https://lightning.ai/docs/pytorch/stable/common/trainer.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(max_epochs=5, «gpus=2»)
            """,
            safe_fix="""
            import lightning as L

            trainer = L.Trainer(max_epochs=5, accelerator="gpu", devices=2)
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl
            from pytorch_lightning.callbacks import ModelCheckpoint

            checkpoint = ModelCheckpoint(monitor="val_loss")
            trainer = pl.Trainer(
                «checkpoint_callback=checkpoint»,
                max_epochs=10,
            )
            """,
            safe_fix="""
            import pytorch_lightning as pl
            from pytorch_lightning.callbacks import ModelCheckpoint

            checkpoint = ModelCheckpoint(monitor="val_loss")
            trainer = pl.Trainer(
                max_epochs=10,
                callbacks=[checkpoint],
            )
            """,
        ),
        Bad(
            """
            from pytorch_lightning import Trainer

            trainer = Trainer(«weights_summary=None»)
            """,
            safe_fix="""
            from pytorch_lightning import Trainer

            trainer = Trainer(enable_model_summary=False)
            """,
        ),
        Bad(
            """
            from pytorch_lightning import Trainer

            trainer = Trainer(«progress_bar_refresh_rate=20»)
            """,
            suggested_fix="""
            from pytorch_lightning import Trainer
            from pytorch_lightning.callbacks import TQDMProgressBar

            trainer = Trainer(callbacks=[TQDMProgressBar(refresh_rate=20)])
            """,
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(«gpus=args.gpus»)
            """,
            suggested_fix="""
            import lightning as L

            trainer = L.Trainer(accelerator="gpu", devices=args.gpus)
            """,
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(«auto_lr_find=False»)
            """,
            safe_fix="""
            import lightning as L

            trainer = L.Trainer()
            """,
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(devices=2, «accelerator="ddp"»)
            """,
            safe_fix="""
            import lightning as L

            trainer = L.Trainer(devices=2, strategy="ddp")
            """,
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer(devices=2, «strategy="dp"»)
            """,
            suggested_fix="""
            import lightning as L

            trainer = L.Trainer(devices=2, strategy="ddp")
            """,
        ),
        Bad(
            """
            import lightning as L

            options = dict(max_epochs=3, «gpus=1»)
            trainer = L.Trainer(**options)
            """
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer()
            trainer.fit(model, «train_dataloader=loader», val_dataloaders=val_loader)
            """,
            safe_fix="""
            import lightning as L

            trainer = L.Trainer()
            trainer.fit(model, val_dataloaders=val_loader, train_dataloaders=loader)
            """,
        ),
        Bad(
            """
            from pytorch_lightning import Trainer

            trainer = «Trainer.from_argparse_args(args)»
            """
        ),
        Good(
            """
            import lightning as L
            from transformers import Trainer

            trainer = L.Trainer(accelerator="gpu", devices=2, strategy="ddp", callbacks=[checkpoint])
            trainer.fit(model, train_dataloaders=loader, val_dataloaders=val_loader)
            if L.__version__ < "2":
                trainer = L.Trainer(gpus=2)
            other = Trainer(gpus=2)
            other.fit(train_dataloader=loader)
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module):
            return
        for call in trainers(module):
            if is_for_other_release(module, call):
                continue
            yield from self._removed_arguments(module, call)
        for name, renamed in RENAMED_METHOD_ARGUMENTS.items():
            for call in module.calls(name):
                yield from self._renamed_arguments(module, call, renamed)
        for name in ("from_argparse_args", "add_argparse_args"):
            for call in module.calls(name):
                yield from self._removed_method(module, call, name)

    def _removed_arguments(self, module: Module, call: ast.Call) -> Iterator[Finding]:
        for place, name in _arguments(module, call):
            removed = REMOVED_TRAINER_ARGUMENTS.get(name)
            if removed and module.may_run_on("lightning", removed.since):
                message = _removed_message(module, f"{name}=…", removed.since, removed.instead)
                fix = trainer_fix(module, call, place) if place in call.keywords else None
                yield self.finding(module, place, message, fix=fix)
            elif not removed and place in call.keywords and name in ("strategy", "accelerator"):
                yield from self._unknown_value(module, call, place)

    def _unknown_value(self, module: Module, call: ast.Call, keyword: ast.keyword) -> Iterator[Finding]:
        match keyword.value:
            case ast.Constant(value=str() as value):
                pass
            case _:
                return
        removed = REMOVED_STRATEGIES.get(value)
        if removed and module.may_run_on("lightning", removed.since):
            message = _value_message(module, f'{keyword.arg}="{value}"', removed.since, removed.instead)
            yield self.finding(module, keyword, message, fix=_other_strategy(keyword, removed.instead))
        elif keyword.arg == "accelerator" and value in STRATEGIES and module.may_run_on("lightning", "1.7"):
            message = _value_message(module, f'accelerator="{value}"', "1.7", f'`strategy="{value}"`')
            yield self.finding(module, keyword, message, fix=_as_strategy(call, value))

    def _renamed_arguments(self, module: Module, call: ast.Call, renamed: dict[str, str]) -> Iterator[Finding]:
        for keyword in call.keywords:
            new = renamed.get(keyword.arg or "")
            if new and module.may_run_on("lightning", "1.6") and _is_of_trainer(module, call):
                span, name = Span.of(call), keyword.arg or ""
                code = module.text(keyword.value)
                fix = safe(f"Write `{new}=…`", RemoveArgument(span, name), SetArgument(span, new, code))
                message = _removed_message(module, f"{name}=…", "1.6", f"`{new}=…`")
                yield self.finding(module, keyword, message, fix=None if argument(call, new) is not None else fix)

    def _removed_method(self, module: Module, call: ast.Call, name: str) -> Iterator[Finding]:
        if module.is_call_to(call, f"{TRAINER}.{name}") and module.may_run_on("lightning", "2.0"):
            yield self.finding(
                module,
                call,
                f"The call raises an AttributeError, because `Trainer.{name}` was removed in Lightning "
                f"{module.named_release('lightning', '2.0')}. "
                "Name the arguments of the Trainer in the parser yourself, or use `LightningCLI`.",
            )


def _is_of_trainer(module: Module, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and is_trainer(module, call.func.value)


def _removed_message(module: Module, what: str, since: str, instead: str) -> str:
    release = module.named_release("lightning", since)
    return f"The call raises a TypeError, because `{what}` was removed in Lightning {release}. Write {instead}."


def _value_message(module: Module, what: str, since: str, instead: str) -> str:
    release = module.named_release("lightning", since)
    return f"The Trainer raises a ValueError, because `{what}` was removed in Lightning {release}. Write {instead}."


def _arguments(module: Module, call: ast.Call) -> Iterator[tuple[ast.keyword, str]]:
    """The named arguments of a call, with those of dictionaries that it unpacks, as far as they are written out."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword, keyword.arg
            continue
        for origin in module.origins(keyword.value):
            if isinstance(origin, ast.Call) and module.is_call_to(origin, "builtins.dict"):
                yield from ((each, each.arg) for each in origin.keywords if each.arg is not None)


def _other_strategy(keyword: ast.keyword, instead: str) -> Fix | None:
    if keyword.arg != "strategy" or not instead.startswith("`strategy="):
        return None
    strategy = instead.strip("`").partition("=")[2]
    return suggested(f"Use {strategy}", Replace(Span.of(keyword.value), strategy))


def _as_strategy(call: ast.Call, strategy: str) -> Fix | None:
    if argument(call, "strategy") is not None:
        return None
    span = Span.of(call)
    new = SetArgument(span, "strategy", f'"{strategy}"')
    return safe(f'Write `strategy="{strategy}"`', RemoveArgument(span, "accelerator"), new)
