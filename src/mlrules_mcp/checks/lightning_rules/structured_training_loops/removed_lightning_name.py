from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING, REMOVED_IMPORTS
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_for_other_release, is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import canonical

_LAST_NAMES = frozenset(name.rpartition(".")[2] for name in REMOVED_IMPORTS)


class RemovedLightningName(Check[ast.Module]):
    """A module or class that Lightning no longer has.

    ## What it does
    Finds imports and uses of what Lightning 2 removed or moved: `pytorch_lightning.metrics`, `core.lightning`,
    `utilities.distributed`, `plugins.DDPPlugin`, `TestTubeLogger`, `EvalResult` and the like.

    ## Why it matters
    The import raises a ModuleNotFoundError or an ImportError, and `pl.metrics` an AttributeError.

    ## Do not flag
    Imports with a fallback in `try`, code under a condition that asks for a version, `if TYPE_CHECKING`, tests.

    ## Fix safety
    No fix: what stands for it may be used in another way.

    ## References
    - https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html
    """

    packages = LIGHTNING
    examples = (
        Bad(
            """
            «from pytorch_lightning.core.lightning import LightningModule»
            «from pytorch_lightning.metrics.functional import accuracy»
            """
        ),
        Bad(
            """
            import lightning as L
            «from lightning.pytorch.plugins import CheckpointIO, DDPPlugin»

            class Classifier(L.LightningModule):
                pass
            """
        ),
        Bad(
            """
            import pytorch_lightning as pl

            accuracy = «pl.metrics».Accuracy()
            logger = «pl.loggers.TestTubeLogger»("logs")
            """
        ),
        Good(
            """
            import pytorch_lightning as pl
            from pytorch_lightning.core.module import LightningModule
            from pytorch_lightning.loggers import TensorBoardLogger
            from pytorch_lightning.utilities import rank_zero_only

            try:
                from pytorch_lightning.utilities.distributed import rank_zero_info
            except ImportError:
                from pytorch_lightning.utilities.rank_zero import rank_zero_info

            if pl.__version__ < "2":
                from pytorch_lightning.plugins import DDPPlugin

            metrics = pl.callbacks.Callback.metrics
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test(module) or not module.may_run_on("lightning", "2.0"):
            return
        imported: set[str] = set()
        for statement in module.nodes(ast.Import, ast.ImportFrom):
            gone = next(filter(None, map(_gone, _imported(statement))), None)
            if gone is not None:
                imported.add(gone)
                yield from self._report(module, statement, gone)
        for attribute in module.nodes(ast.Attribute):
            if attribute.attr in _LAST_NAMES:
                name = module.qualified_name(attribute)
                # What is imported under its own name is spoken of where it is imported.
                if name in REMOVED_IMPORTS and name not in imported:
                    yield from self._report(module, attribute, name)

    def _report(self, module: Module, place: ast.stmt | ast.expr, gone: str) -> Iterator[Finding]:
        if not _is_settled(module, place):
            yield self.finding(
                module,
                place,
                f"Lightning {module.named_release('lightning', '2.0')} has no `{gone}`, so that this line raises an "
                f"error. Use {REMOVED_IMPORTS[gone]}.",
            )


def _imported(statement: ast.stmt) -> Iterator[str]:
    """The qualified names that an import statement speaks of."""
    match statement:
        case ast.Import(names=names):
            yield from (canonical(alias.name) for alias in names)
        case ast.ImportFrom(module=str(package), names=names, level=0):
            yield from (canonical(f"{package}.{alias.name}") for alias in names)
            yield canonical(package)


def _gone(name: str) -> str | None:
    """The removed module or class that a name is, or lies in."""
    if not name.startswith("lightning.pytorch."):
        return None
    while name and name not in REMOVED_IMPORTS:
        name = name.rpartition(".")[0]
    return name or None


def _is_settled(module: Module, node: ast.AST) -> bool:
    """Whether a line is tried, or runs only for some releases or for type checkers."""
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.Try | ast.ExceptHandler):
            return True
    return is_for_other_release(module, node) or any(
        "TYPE_CHECKING" in ast.unparse(guard.test) for guard in module.guards(node)
    )
