from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_EXPORTS = frozenset({"torch.onnx.export", "torch.onnx.dynamo_export"})
_MADE_UP = frozenset({"torch.randn", "torch.rand", "torch.zeros", "torch.ones", "torch.empty"})


class OnnxExportWithFixedShapes(Check[ast.Call]):
    """An ONNX export that freezes the batch size.

    ## What it does
    Advises against `torch.onnx.export` and Lightning's `to_onnx` without `dynamic_shapes` or `dynamic_axes`, where the
    example is made up with a number as its batch size (`torch.randn(1, 3, 224, 224)`).

    ## Why it matters
    Every size of the example input becomes a constant of the graph: the exported model takes that batch size and that
    resolution or length alone, and fails on the first request that has another.

    ## Do not flag
    Exports whose further arguments don't show (`**kwargs`); examples whose batch size is a setting of the export, which
    says that it is fixed on purpose; examples of real data; tests.

    ## Fix safety
    No fix: which sizes vary is not in the code.

    ## References
    - https://docs.pytorch.org/docs/stable/onnx_export.html
    - https://docs.pytorch.org/docs/stable/export.html#expressing-dynamism
    """

    names = frozenset({"export", "to_onnx", "dynamo_export"})
    packages = frozenset({"torch", "lightning"})
    examples = (
        Bad(
            """
            import torch

            example = torch.randn(1, 3, 224, 224)
            «torch.onnx.export(model, example, "model.onnx", input_names=["image"])»
            """,
            advice=True,
        ),
        Bad(
            """
            import torch.onnx as onnx

            def export(model, path):
                «onnx.export(model.eval(), (torch.zeros(1, 16),), path, dynamo=True)»
            """,
            advice=True,
        ),
        Bad(
            """
            import lightning as L

            model = Classifier.load_from_checkpoint("best.ckpt")
            sample = torch.randn((1, 64)).to(model.device)
            «model.to_onnx("model.onnx", sample, export_params=True)»
            """,
            advice=True,
        ),
        Good(
            """
            import torch

            torch.onnx.export(model, (x,), "model.onnx", dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
            torch.onnx.export(model, x, "model.onnx", input_names=["x"], dynamic_axes={"x": {0: "batch"}})
            torch.onnx.export(model, x, "model.onnx", **options)
            torch.onnx.export(torch.export.export(model, (x,), dynamic_shapes=shapes), f="model.onnx")
            """
        ),
        Good(
            """
            import torch

            def main(args):
                example = torch.randn(args.batch_size, 3, args.height, args.width)
                torch.onnx.export(model, example, args.output)
                pandas_frame.export("frame.csv")
            """,
            "fixed on purpose: the sizes are settings of the export",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        is_lightning = module.called_name(node) == "to_onnx" and "lightning" in module.imported_packages
        if not is_lightning and module.qualified_name(node.func) not in _EXPORTS:
            return
        if any(argument(node, name) is not None for name in ("dynamic_axes", "dynamic_shapes", "export_options")):
            return
        example = argument(node, "input_sample" if is_lightning else "args", 1)
        if example is None or passes_unseen_arguments(node) or is_test(module) or not _is_one_of_many(example, module):
            return
        yield self.finding(
            module,
            node,
            "The exported model takes the sizes of this example alone, and fails on another batch size. Pass "
            "`dynamic_shapes` (with the older exporter `dynamic_axes`) for the dimensions that vary.",
            advice=True,
        )


def _is_one_of_many(example: ast.expr, module: Module) -> bool:
    """Whether an example is made up, its first size a number that stands in the call: `torch.randn(1, 3, 224, 224)`."""
    for origin in module.origins(example):
        match origin:
            case ast.Tuple(elts=[first, *_]) | ast.List(elts=[first, *_]):
                return _is_one_of_many(first, module)
            case ast.Call(func=ast.Attribute(attr="to" | "cuda" | "float" | "half" | "cpu" | "double", value=made)):
                return _is_one_of_many(made, module)
            case ast.Call(func=func) if (module.qualified_name(func) or "") in _MADE_UP:
                return isinstance(_batch_size(origin), ast.Constant)
    return False


def _batch_size(made: ast.Call) -> ast.expr | None:
    first = argument(made, "size", 0)
    return first.elts[0] if isinstance(first, ast.Tuple | ast.List) and first.elts else first
