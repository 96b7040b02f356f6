"""Where models are switched between training and evaluation, where they run, and whether gradients are recorded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import FUNCTIONS, Function
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

_MODEL = pattern(r"(^|_)(model|net|network|classifier|encoder|decoder|generator|discriminator)$", re.IGNORECASE)
_VERB = pattern(
    r"^_*(get|load|create|build|make|query|train|test|run|save|init|prepare|fit|wrap|compile)_", re.IGNORECASE
)
_OFF = pattern(r"no_?grad|inference|(^|_)eval|disable_grad|freeze", re.IGNORECASE)
_HOOK = pattern(r"^(on_)?(validation|test|predict|sanity)_|^(validation|test|predict)_step$")
_DEPENDS_ON_MODE = pattern(r"drop_?(out|path)|batch_?norm|instance_?norm|^training$", re.IGNORECASE)
# Switches gradients off itself.
_PIPELINE = "transformers.pipeline"
_RUNS = frozenset({"forward", "encode", "decode", "forward_features", "extract_features"})
CALLED_ON_MODELS = ("eval", "train", "parameters", "named_parameters", "state_dict", "load_state_dict", "zero_grad")


@dataclass(frozen=True, slots=True)
class Switch:
    """A call that switches a model to training or to evaluation.

    Attributes:
        node: `model.eval()`, `model.train(False)`, `model.train()`.
        model: the text of the model: `self.model`.
        training: whether training is switched on; None where that depends.
    """

    node: ast.Call
    model: str
    training: bool | None


def switches(module: Module) -> list[Switch]:
    """Every call of a module that switches a model's mode, in the order of the text."""
    found = [switch for call in module.calls("eval", "train") if (switch := _switch(call, module)) is not None]
    return sorted(found, key=lambda switch: (switch.node.lineno, switch.node.col_offset))


def _switch(call: ast.Call, module: Module) -> Switch | None:
    if not isinstance(call.func, ast.Attribute) or call.keywords:
        return None
    training: bool | None
    match call.func.attr, call.args:
        case "eval", []:
            training = False
        case "train", []:
            training = True
        case "train", [ast.Constant(value=bool() as training)]:
            pass
        case "train", [_]:
            training = None
        case _:
            return None
    model = _assigned(call, module) or call.func.value
    return Switch(call, ast.unparse(model), training) if isinstance(model, ast.Name | ast.Attribute) else None


def _assigned(call: ast.expr, module: Module) -> ast.expr | None:
    """What a chain of method calls is assigned to: `model` of `model = Net().eval().to(device)`."""
    parent = module.parent(call)
    while isinstance(parent, ast.Attribute | ast.Call) and call in (
        getattr(parent, "value", None),
        getattr(parent, "func", None),
    ):
        call, parent = parent, module.parent(parent)
    match parent:
        case ast.Assign(targets=[target]) if call is parent.value:
            return target
    return None


def models(module: Module) -> frozenset[str]:
    """The texts of what is used as a model: its parameters, state or mode are asked for."""
    return frozenset(
        ast.unparse(call.func.value) for call in module.calls(*CALLED_ON_MODELS) if isinstance(call.func, ast.Attribute)
    )


def runs(module: Module, root: ast.AST | list[ast.stmt], wanted: Iterable[str] | None = None) -> Iterator[ast.Call]:
    """The calls below a node, nested functions aside, that run one of some models, or anything called like a model."""
    off = {function.name for function in module.functions if any(_is_off(d, module) for d in function.decorator_list)}
    texts = None if wanted is None else frozenset(wanted)
    for node in module.walk(root):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            continue
        model: ast.expr = node.func
        if isinstance(model, ast.Attribute) and model.attr in _RUNS:
            model = model.value
        if last_name(node.func) in off or any(module.is_call_to(o, _PIPELINE) for o in module.origins(model)):
            continue
        text = ast.unparse(model)
        if text in texts if texts is not None else _is_called_like_a_model(node, last_name(model) or "", module):
            yield node


def _is_called_like_a_model(call: ast.Call, name: str, module: Module) -> bool:
    return bool(_MODEL.search(name)) and not _VERB.search(name) and module.local_function(call) is None


def gradients_off(node: ast.AST, module: Module) -> bool:
    """Whether gradients are switched off where a node runs, as far as the functions around it show, or may be."""
    if module.under_no_grad(node):
        return True
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.With | ast.AsyncWith):
            expressions = [item.context_expr for item in ancestor.items]
        elif isinstance(ancestor, FUNCTIONS):
            expressions = list(ancestor.decorator_list)
            if _is_hook(ancestor, module) or _enters(ancestor, module):
                return True
        else:
            continue
        if any(_is_off(expression, module) for expression in expressions):
            return True
    return False


def _is_off(expression: ast.expr, module: Module) -> bool:
    """Whether a context manager or decorator may switch gradients off, going by its name or by what it does."""
    target = expression.func if isinstance(expression, ast.Call) else expression
    if _OFF.search(last_name(target) or ""):
        return True
    helper = module.local_function(expression) if isinstance(expression, ast.Call) else None
    return helper is not None and any(map(_names_no_grad, module.walk(helper)))


def _enters(function: Function, module: Module) -> bool:
    """Whether a function switches gradients off by hand, such as with an ExitStack."""
    return any(
        isinstance(node, ast.Call)
        and last_name(node.func) in {"enter_context", "__enter__"}
        and any(map(_names_no_grad, ast.walk(node)))
        for node in module.walk(function)
    )


def _names_no_grad(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and last_name(node) in {"no_grad", "inference_mode"}


def _is_hook(function: Function, module: Module) -> bool:
    """Whether a method is one that Lightning's Trainer runs without gradients."""
    cls = module.enclosing_class(function)
    return cls is not None and bool(_HOOK.search(function.name)) and not is_plain(cls, module)


def is_plain(cls: ast.ClassDef, module: Module) -> bool:
    """Whether a class is neither a module of torch or Lightning nor inherits from a class that isn't seen."""
    names = module.base_names(cls)
    return not names or names <= {"builtins.object", "abc.ABC", "typing.Protocol"}


def is_module(cls: ast.ClassDef, module: Module) -> bool:
    """Whether a class is a module of torch or Lightning."""
    return module.is_subclass(cls, MODULE) or module.is_subclass(cls, LIGHTNING_MODULE)


def depends_on_mode(models: Iterable[ast.expr], module: Module) -> bool:
    """Whether models may have layers that depend on the mode: not if their classes are seen and mention none."""
    made = [maker for model in models for origin in module.origins(model) for maker in makers(origin, module)]
    seen = all(
        module.local_class(maker) or (module.qualified_name(maker) or "").startswith("torch.nn.") for maker in made
    )
    return not (made and seen) or any(
        _DEPENDS_ON_MODE.search(last_name(node) or "") for node in module.nodes(ast.Name, ast.Attribute)
    )


def makers(origin: ast.expr, module: Module) -> Iterator[ast.expr]:
    """What is called to make a model: `Net` for `Net().to(device)`, or the value itself where that isn't seen."""
    while (
        isinstance(origin, ast.Call)
        and isinstance(origin.func, ast.Attribute)
        and not module.qualified_name(origin.func)
    ):
        origin = origin.func.value
        if isinstance(origin, ast.Name):
            for earlier in module.origins(origin):
                yield earlier.func if isinstance(earlier, ast.Call) else earlier
            return
    yield origin.func if isinstance(origin, ast.Call) else origin
