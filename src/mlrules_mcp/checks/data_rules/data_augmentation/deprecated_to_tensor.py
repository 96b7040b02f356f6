from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import IMAGES
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import AddImport, Finding, Fix, Replace, Span
from mlrules_mcp.source import Module

_TO_TENSOR = "torchvision.transforms.v2.ToTensor"


class DeprecatedToTensor(Check[ast.Module]):
    """The old conversion of pictures among the new transforms.

    ## What it does
    Finds `ToTensor` of `torchvision.transforms.v2`, used or only imported.

    ## Why it matters
    It is deprecated since torchvision 0.15 and warns whenever it is made, and it leaves boxes, masks and videos, which
    the other transforms of `v2` treat, as they are.

    ## Do not flag
    `ToTensor` of `torchvision.transforms`, the older module.

    ## Fix safety
    Suggested: the numbers are equal up to rounding, but the result is a `tv_tensors.Image`.

    ## References
    - https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.v2.ToTensor.html
    """

    packages = IMAGES
    words = ("ToTensor",)
    examples = (
        Bad(
            """
            import torch
            from torchvision.transforms import v2

            transform = v2.Compose([v2.CenterCrop(224), «v2.ToTensor()», v2.Normalize(mean, std)])
            """,
            suggested_fix="""
            import torch
            from torchvision.transforms import v2

            transform = v2.Compose([v2.CenterCrop(224), v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]), v2.Normalize(mean, std)])
            """,  # noqa: E501
        ),
        Bad(
            """
            import torchvision.transforms.v2 as T

            to_tensor = «T.ToTensor»
            """
        ),
        Bad(
            """
            from torchvision.transforms.v2 import Compose, «ToTensor as Convert»
            """
        ),
        Good(
            """
            from torchvision import transforms
            from torchvision.transforms import ToTensor, v2

            old = transforms.Compose([transforms.ToTensor(), ToTensor()])
            new = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if "v2" not in module.source.code:
            return
        attributes = [each for each in module.nodes(ast.Attribute) if _is_it(module, each)]
        names = [each for each in module.nodes(ast.Name) if _is_it(module, each)]
        unused = _imports(module, {name.id for name in names})
        places: list[ast.expr | ast.alias] = [*unused]
        places += [_place(module, use) for use in (*attributes, *names)]
        for place in places:
            yield self.finding(
                module,
                place,
                "`v2.ToTensor` is deprecated and converts pictures only, not the boxes and masks that belong to them. "
                "Write `v2.ToImage()` and `v2.ToDtype(torch.float32, scale=True)` instead.",
                fix=_fix(module, place),
            )


def _is_it(module: Module, node: ast.Attribute | ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load) and module.qualified_name(node) == _TO_TENSOR


def _imports(module: Module, used: set[str]) -> list[ast.alias]:
    """The imports of the class under a name that is not used here."""
    return [
        alias
        for statement in module.nodes(ast.ImportFrom)
        if statement.module == "torchvision.transforms.v2"
        for alias in statement.names
        if alias.name == "ToTensor" and (alias.asname or alias.name) not in used
    ]


def _place(module: Module, use: ast.expr) -> ast.expr:
    """The call of the class where it is called with nothing, else its name."""
    match module.parent(use):
        case ast.Call(func=func, args=[], keywords=[]) as call if func is use:
            return call
    return use


def _fix(module: Module, place: ast.expr | ast.alias) -> Fix | None:
    match place:
        case ast.Call(func=ast.Attribute(value=owner)):
            v2, imports = module.text(owner), (AddImport("torch"),)
        case _:
            return None
    code = f"{v2}.Compose([{v2}.ToImage(), {v2}.ToDtype(torch.float32, scale=True)])"
    return suggested("Convert in two steps", Replace(Span.of(place), code), *imports)
