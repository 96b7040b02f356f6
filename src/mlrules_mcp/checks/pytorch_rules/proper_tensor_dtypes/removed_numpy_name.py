from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._fallbacks import is_fallback
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._numpy import REMOVED
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.source import Module


class RemovedNumpyName(Check[ast.Module]):
    """A type or function that NumPy no longer has.

    ## What it does
    Finds names that NumPy has removed: the aliases of Python's types (`np.float`, `np.int`, `np.object`), and what
    2.0 gave up (`np.float_`, `np.Inf`, `np.NaN`, `np.product`, `np.in1d`).

    ## Why it matters
    The line raises an AttributeError, often hours into a run: in the evaluation, or when results are saved. The
    aliases were also misread: `np.float` was float64, which doubles the memory of tensors made from it.

    ## Do not flag
    Code that asks for the version or falls back; files that set the name themselves (`np.int = int`); projects that
    declare an older NumPy; `np.bool` and `np.long`, which NumPy 2 has again.

    ## Fix safety
    Safe: the name can't be read as it is, and what is put in its place is what it stood for.

    ## References
    - https://numpy.org/doc/stable/release/1.24.0-notes.html
    - https://numpy.org/doc/stable/numpy_2_0_migration_guide.html
    """

    packages = frozenset({"numpy"})

    examples = (
        Bad(
            """
            import numpy as np

            boxes = np.zeros((4, 5), dtype=«np.float»)
            labels = boxes[:, 4].astype(«np.int»)
            best = -«np.Inf»
            """,
            safe_fix="""
            import numpy as np

            boxes = np.zeros((4, 5), dtype=float)
            labels = boxes[:, 4].astype(int)
            best = -np.inf
            """,
        ),
        Bad(
            """
            import numpy

            def average_precision(recall, precision):
                size = «numpy.product»(recall.shape)
                return «numpy.trapz»(precision, recall) / size
            """,
            safe_fix="""
            import numpy

            def average_precision(recall, precision):
                size = numpy.prod(recall.shape)
                return numpy.trapezoid(precision, recall) / size
            """,
        ),
        Bad(
            """
            import numpy as np

            def mask(str, names):
                return np.array(names, dtype=«np.str») == str
            """
        ),
        Good(
            """
            import numpy as np

            boxes = np.zeros((4, 5), dtype=np.float32)
            flags = np.ones(3, dtype=np.bool)
            total = np.prod(boxes.shape) + np.int64(3)
            low = -np.inf
            """,
            "`np.bool` is back since NumPy 2.0",
        ),
        Good(
            """
            import numpy as np

            np.int = int
            labels = scores.astype(np.int)
            """,
            "it is set here",
        ),
        Good(
            """
            import numpy as np

            if not hasattr(np, "float"):
                number = float
            else:
                number = np.float
            try:
                area = np.trapz(y, x)
            except AttributeError:
                area = np.trapezoid(y, x)
            """,
            "it asks what there is",
        ),
        Good(
            """
            import numpy as np
            import torch

            x = torch.float(np.array(1)) + model.np.int + np.random.int
            """,
            "names of other modules",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        found = [
            name
            for name in module.nodes(ast.Attribute)
            if name.attr in REMOVED and module.qualified_name(name) == f"numpy.{name.attr}"
        ]
        set_here = {name.attr for name in found if isinstance(name.ctx, ast.Store)}
        for name in found:
            release, instead = REMOVED[name.attr]
            if name.attr in set_here or is_fallback(module, name) or not module.may_run_on("numpy", release):
                continue
            code = instead.format(np=module.text(name.value))
            message = (
                f"`np.{name.attr}` raises an AttributeError since NumPy {module.named_release('numpy', release)}. "
                f"Write `{instead.format(np='np')}`."
            )
            yield self.finding(module, name, message, fix=_fix(module, name, code))


def _fix(module: Module, name: ast.Attribute, code: str) -> Fix | None:
    if code.isidentifier() and module.bindings.get(code):
        return None  # the builtin is hidden by something else of this name
    return safe(f"Write {code}", Replace(Span.of(name), f"({code})" if code.startswith("-") else code))
