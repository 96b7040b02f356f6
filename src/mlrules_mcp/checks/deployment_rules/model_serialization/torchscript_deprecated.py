from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function

_DEPRECATED = frozenset(f"torch.jit.{name}" for name in ("script", "trace", "trace_module", "save", "load"))
_NAMES = ("script", "trace", "trace_module", "save", "load", "to_torchscript")
_ASKS_FOR_IT = pattern(r"jit|script|trace", re.IGNORECASE)


class TorchscriptDeprecated(Check[ast.Module]):
    """TorchScript, which PyTorch has deprecated.

    ## What it does
    Advises against `torch.jit.script`, `torch.jit.trace`, `torch.jit.save`, `torch.jit.load` and Lightning's
    `to_torchscript`. One finding a file, with all places.

    ## Why it matters
    Since PyTorch 2.9 these calls warn that TorchScript is deprecated, and from Python 3.14 on that it may break. It
    gets no fixes and no new operators. `torch.export` captures the whole graph of a model for deployment,
    `torch.compile` makes it faster where Python is at hand.

    ## Do not flag
    Marks that scripted code needs (`torch.jit.ignore`, `is_scripting`, `Final`); code that runs only where an option
    asks for TorchScript; tests; projects that stay below PyTorch 2.9.

    ## Fix safety
    No fix: `torch.export` needs example inputs and says which shapes are dynamic.

    ## References
    - https://docs.pytorch.org/docs/stable/jit.html
    - https://docs.pytorch.org/docs/stable/user_guide/torch_compiler/export.html
    """

    packages = frozenset({"torch", "lightning"})
    words = ("jit", "to_torchscript")
    examples = (
        Bad(
            """
            import torch

            scripted = «torch.jit.script»(model.eval())
            ‹torch.jit.save›(scripted, "model.pt")
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            from torch import nn

            @«torch.jit.script»
            def swish(x):
                return x * torch.sigmoid(x)

            class Exporter:
                def export(self, model, example):
                    return ‹torch.jit.trace›(model, example)
            """,
            advice=True,
        ),
        Bad(
            """
            from torch.jit import load as load_scripted

            model = «load_scripted»("model.pt", map_location="cpu")
            """,
            advice=True,
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def forward(self, x):
                    return self.net(x)

            model = Classifier.load_from_checkpoint("best.ckpt")
            «model.to_torchscript»("model.pt")
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                @torch.jit.ignore
                def describe(self):
                    return str(self)

                def forward(self, x):
                    if torch.jit.is_scripting():
                        return x
                    return self.layer(x)

            program = torch.export.export(model, (example,))
            """,
            "marks for scripting, by who calls it",
        ),
        Good(
            """
            import torch

            if args.torchscript:
                model = torch.jit.script(model)
            loaded = torch.jit.load(path) if path.endswith(".torchscript") else Net()
            """,
            "asked for by an option",
        ),
        Good(
            """
            import torch
            import numpy as np

            torch.save(model.state_dict(), "model.pt")
            path = np.trace(matrix)
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        places = sorted(_uses(module), key=lambda place: (place.lineno, place.col_offset))
        if places and not is_test(module) and module.may_run_on("torch", "2.9"):
            first, *others = places
            release = module.named_release("torch", "2.9")
            yield self.finding(
                module,
                first,
                f"TorchScript is deprecated since PyTorch {release} and may break on Python 3.14. Export the model "
                "with `torch.export.export`, or speed it up with `torch.compile`.",
                advice=True,
                also_at=others,
            )


def _uses(module: Module) -> Iterator[ast.expr]:
    for call in module.calls(*_NAMES):
        is_lightning = isinstance(call.func, ast.Attribute) and call.func.attr == "to_torchscript"
        is_deprecated = is_lightning or module.qualified_name(call.func) in _DEPRECATED
        if is_deprecated and not any(_ASKS_FOR_IT.search(ast.unparse(guard.test)) for guard in module.guards(call)):
            yield call.func
    definitions: list[Function | ast.ClassDef] = [*module.functions, *module.nodes(ast.ClassDef)]
    for definition in definitions:
        for decorator in definition.decorator_list:
            if not isinstance(decorator, ast.Call) and module.qualified_name(decorator) in _DEPRECATED:
                yield decorator
