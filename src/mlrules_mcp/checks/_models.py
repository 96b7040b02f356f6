"""Which expressions are models, and which calls run one."""

from __future__ import annotations

import ast

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.values import MODULE

_MODEL_NAME = pattern(
    r"^(?!(build|make|create|get|load|init|save|export)_).*?(?:"
    r"(?i:(^|_)(model|net|network|classifier|regressor|encoder|decoder|generator|discriminator|critic|actor|policy|"
    r"backbone|unet|resnet|vae|autoencoder|lstm|gru|rnn|cnn|mlp|transformer|seq2seq|gpt|bert)\d?$)|"
    r"^(net_?)?[GD](_\w+)?$|[a-z](Net|Model|Network)$)"
)
_LOSS_NAME = pattern(r"(?i:loss|criterion|criteria)")
# Libraries whose models are no nn.Modules.
_OTHER_PACKAGES = frozenset(
    "MNN builtins catboost cv2 flax jax keras lightgbm mxnet numpy onnxruntime openvino paddle sklearn statsmodels "
    "tensorflow tensorrt tflite_runtime xgboost".split()
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
            called_like_a_model = bool(_MODEL_NAME.search(last_name(expression) or ""))
            return called_like_a_model and not _is_something_else(module, expression)
        case ast.Subscript(value=value):
            return is_model(module, value)
        case ast.Call():
            return module.is_instance(expression, MODULE)
    return False


def _is_something_else(module: Module, expression: ast.expr) -> bool:
    """Whether a name is a function, a class or a package, or an object of a class that is no `nn.Module`."""
    if module.qualified_name(expression) is not None:
        return True
    if isinstance(expression, ast.Name):
        kinds = {binding.kind for binding in module.bindings_in_scope(expression)}
        if kinds & {"definition", "import"}:
            return True
    origins = origins_through_calls(module, expression)
    return any(isinstance(origin, ast.Call) and _makes_something_else(module, origin) for origin in origins)


def _makes_something_else(module: Module, call: ast.Call) -> bool:
    name = module.qualified_name(call.func)
    if name is not None:
        return name.partition(".")[0] in _OTHER_PACKAGES
    cls = module.local_class(call.func)
    return cls is not None and not any(ast.unparse(base) != "object" for base in cls.bases)


def runs_model(module: Module, expression: ast.AST | None) -> bool:
    """Whether an expression is a call that runs a model, and no loss: `model(x)`, `self.net(x)`, `self(x)`."""
    match expression:
        case ast.Call(func=ast.Attribute(value=base, attr="forward")):
            return is_model(module, base)
        case ast.Call(func=func):
            return is_model(module, func) and not _is_loss_function(module, func)
    return False


def _is_loss_function(module: Module, callee: ast.expr) -> bool:
    if _LOSS_NAME.search(last_name(callee) or ""):
        return True
    made = [origin for origin in module.origins(callee) if isinstance(origin, ast.Call)]
    return any((module.qualified_name(call.func) or "").endswith("Loss") for call in made)
