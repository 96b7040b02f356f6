from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module

_MISSPELLED = frozenset({"require_grad", "required_grad", "require_grads", "requires_grads", "requires_gradient"})


class RequiresGradMisspelled(Check[ast.Assign]):
    """A `requires_grad` that is misspelled, so that setting it does nothing.

    ## What it does
    Finds assignments to `.require_grad` and the like on tensors and parameters.

    ## Why it matters
    Python adds the new attribute without a word. Parameters that were meant to be frozen go on training, or a tensor
    that was meant to get a gradient does not.

    ## Do not flag
    Attributes of that name which the module reads, or sets on `self`: they are its own.

    ## Fix safety
    Suggested: the assignment takes effect for the first time, and fails on a tensor that is not a leaf.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad.html
    """

    examples = (
        Bad(
            """
            for parameter in model.backbone.parameters():
                «parameter.require_grad» = False
            """,
            suggested_fix="""
            for parameter in model.backbone.parameters():
                parameter.requires_grad = False
            """,
        ),
        Bad(
            """
            class Embedding(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.table = nn.Embedding(10, 8)
                    «self.table.weight.requires_gradient» = False
            """,
            suggested_fix="""
            class Embedding(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.table = nn.Embedding(10, 8)
                    self.table.weight.requires_grad = False
            """,
        ),
        Good(
            """
            class Block(nn.Module):
                def __init__(self, require_grad):
                    super().__init__()
                    self.require_grad = require_grad
                    self.weight.requires_grad = False
            """,
            "An attribute of the module itself.",
        ),
        Good(
            """
            settings.require_grad = True
            if settings.require_grad:
                model.requires_grad_()
            """,
            "The attribute is read.",
        ),
    )

    def check(self, node: ast.Assign, module: Module) -> Iterator[Finding]:
        for target in node.targets:
            match target:
                case ast.Attribute(value=owner, attr=name) if name in _MISSPELLED:
                    if (isinstance(owner, ast.Name) and owner.id == "self") or _is_read(name, module):
                        continue
                    text = module.text(owner)
                    yield self.finding(
                        module,
                        target,
                        f"`{name}` is a new attribute that nothing reads, so this assignment has no effect. "
                        f"Write `{text}.requires_grad`.",
                        fix=suggested("Spell requires_grad", Replace(Span.of(target), f"{text}.requires_grad")),
                    )


def _is_read(name: str, module: Module) -> bool:
    return any(
        attribute.attr == name and isinstance(attribute.ctx, ast.Load) for attribute in module.nodes(ast.Attribute)
    )
