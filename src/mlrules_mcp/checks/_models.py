"""Which expressions are models, and which calls run one."""

from __future__ import annotations

import ast
import re

from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.values import MODULE

_MODEL_NAME = re.compile(
    r"(?i:(^|_)(model|net|network|classifier|regressor|encoder|decoder|generator|discriminator|critic|actor|policy|"
    r"backbone|unet|resnet|vae|autoencoder|lstm|gru|rnn|cnn|mlp|transformer|seq2seq|gpt|bert)\d?$)|"
    r"^(net_?)?[GD](_\w+)?$|[a-z](Net|Model|Network)$"
)


def is_model(module: Module, expression: ast.expr) -> bool:
    """Whether an expression is an `nn.Module`: made as one, `self` of one, or called like a model."""
    match expression:
        case ast.Name(id="self"):
            cls = module.enclosing_class(expression)
            return cls is not None and module.is_subclass(cls, MODULE)
        case ast.Name() | ast.Attribute():
            if module.is_instance(expression, MODULE):
                return True
            return bool(_MODEL_NAME.search(last_name(expression) or "")) and not _is_function(module, expression)
        case ast.Subscript(value=value):
            return is_model(module, value)
        case ast.Call():
            return module.is_instance(expression, MODULE)
    return False


def _is_function(module: Module, expression: ast.expr) -> bool:
    """Whether a name is defined or imported rather than assigned: a function, a class or a package."""
    if not isinstance(expression, ast.Name):
        return module.qualified_name(expression) is not None
    return any(b.kind in ("definition", "import") for b in module.bindings_in_scope(expression))


def runs_model(module: Module, expression: ast.expr | None) -> bool:
    """Whether an expression is a call that runs a model: `model(x)`, `self.net(x)`, `self(x)` in a module."""
    match expression:
        case ast.Call(func=ast.Attribute(value=base, attr="forward")):
            return is_model(module, base)
        case ast.Call(func=func):
            return is_model(module, func)
    return False
