from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, LIGHTNING_DATA_MODULE
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._classes import is_for_other_release, is_test
from mlrules_mcp.findings import Finding, Fix, InsertBefore, RemoveStatement, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE


class HparamsAssigned(Check[ast.ClassDef]):
    """An assignment to `self.hparams`.

    ## What it does
    Finds `self.hparams = …` in a LightningModule or a LightningDataModule.

    ## Why it matters
    `hparams` is a property without a setter since Lightning 1.3: the assignment raises an AttributeError.

    ## Do not flag
    Classes that define `hparams` themselves, other classes, code under a condition that asks for a version, tests.

    ## Fix safety
    Suggested: `save_hyperparameters` takes the same value, puts it into checkpoints and makes `self.hparams` of it.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/checkpointing_basic.html#save-hyperparameters
    """

    packages = LIGHTNING
    words = ("hparams",)
    examples = (
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def __init__(self, hparams):
                    super().__init__()
                    «self.hparams» = hparams
                    self.net = make_net(self.hparams.size)
            """,
            suggested_fix="""
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def __init__(self, hparams):
                    super().__init__()
                    self.save_hyperparameters(hparams)
                    self.net = make_net(self.hparams.size)
            """,
        ),
        Bad(
            """
            import lightning as L

            class Digits(L.LightningDataModule):
                def __init__(self, args):
                    super().__init__()
                    self.args = «self.hparams» = vars(args)
            """
        ),
        Good(
            """
            import lightning as L
            from torch import nn

            class Classifier(L.LightningModule):
                def __init__(self, hparams):
                    super().__init__()
                    self.save_hyperparameters(hparams)
                    self.hparams.update(more)
                    self.hparams["lr"] = 0.1

            class Net(nn.Module):
                def __init__(self, hparams):
                    super().__init__()
                    self.hparams = hparams

            class Own(L.LightningModule):
                hparams = None

                def __init__(self, hparams):
                    super().__init__()
                    self.hparams = hparams
            """
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        if not (module.is_subclass(node, LIGHTNING_MODULE) or module.is_subclass(node, LIGHTNING_DATA_MODULE)):
            return
        if is_test(module) or _defines_it(module, node):
            return
        for attribute in module.nodes(ast.Attribute):
            match attribute:
                case ast.Attribute(value=ast.Name(id="self"), attr="hparams", ctx=ast.Store()):
                    if module.enclosing_class(attribute) is node and not is_for_other_release(module, attribute):
                        yield self.finding(
                            module,
                            attribute,
                            "The assignment raises an AttributeError, because `hparams` can't be set since Lightning "
                            "1.3. Call `self.save_hyperparameters(…)` with the value.",
                            fix=_fix(module, attribute),
                        )


def _defines_it(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class has an attribute of its own that hides Lightning's property."""
    for each in module.lineage(cls):
        for statement in each.body:
            match statement:
                case ast.FunctionDef(name="hparams") | ast.AnnAssign(target=ast.Name(id="hparams"), value=ast.expr()):
                    return True
                case ast.Assign(targets=[ast.Name(id="hparams")]):
                    return True
    return False


def _fix(module: Module, attribute: ast.Attribute) -> Fix | None:
    match module.statement(attribute):
        case ast.Assign(targets=[_], value=value) as statement:
            code = f"self.save_hyperparameters({module.text(value)})"
            span = Span.of(statement)
            return suggested("Save the hyperparameters", InsertBefore(span, code), RemoveStatement(span))
    return None
