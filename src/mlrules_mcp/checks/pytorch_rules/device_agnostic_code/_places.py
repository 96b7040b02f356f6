"""Whether a tensor lies on an accelerator or on the CPU, as far as the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from mlrules_mcp.checks._devices import is_cuda_string
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import (
    model_tensors,
    parameters,
    returned_values,
)
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import (
    FACTORIES,
    HOST_METHODS,
    LEGACY_FACTORIES,
    VIEW_ATTRIBUTES,
    is_cpu,
    is_tensor_function,
    only_converts,
)
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.scopes import Binding
from mlrules_mcp.source.values import MODULE

Place: TypeAlias = Literal["device", "host"]

# Not `input_device` or `old_device`: what is moved there is often moved back.
_DEVICE_NAME = pattern(r"^_?(device|dev)$|cuda|gpu|^(model|train|training|target|torch)_device$", re.IGNORECASE)
_HOLDS_DEVICE = pattern(
    r"^(self|args|opt|options|cfg|config|conf|hparams|params|settings|flags|accelerator|fabric)$", re.IGNORECASE
)
# The tensors that models of the Hugging Face libraries return under a name.
_OUTPUTS = frozenset(
    {"logits", "loss", "last_hidden_state", "pooler_output", "image_embeds", "text_embeds", "prediction_logits"}
)
_MODEL_NAME = pattern(
    r"model|net(work)?(_?\d+|_?[a-z])?$|^(net|actor|critic|policy|generator|discriminator|encoder|decoder|agent|vae|gan|"
    r"G|D|unet|classifier)$",
    re.IGNORECASE,
)


class Places:
    """Follows tensors back to where they were moved to a device, or made."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.tensors = model_tensors(module)
        self._known: dict[ast.expr, Place | None] = {}

    def place(self, expression: ast.expr) -> Place | None:
        """Where a tensor, or what a collection holds, lies: None where the code doesn't say.

        `device` is said where it was moved there and not back, is computed from what was, or is what a model that was
        returns.
        """
        if expression not in self._known:
            self._known[expression] = None
            self._known[expression] = self._place(expression)
        return self._known[expression]

    def _place(self, expression: ast.expr) -> Place | None:
        match expression:
            case ast.Call():
                return self._call(expression)
            case ast.Name():
                return _common(self._bound(binding) for binding in self.module.reaching(expression))
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                cls = self.module.enclosing_class(expression)
                values = self.module.attribute_values(cls, attribute) if cls else []
                return _common(map(self.place, values))
            case ast.Attribute(value=value, attr=attribute):
                if attribute in {"weight", "bias"}:
                    return self._moved_model(value)
                return self.place(value) if attribute in VIEW_ATTRIBUTES | _OUTPUTS else None
            case ast.BinOp(left=left, right=right):
                return _common(map(self.place, (left, right)))
            case ast.Compare(left=left, comparators=others):
                return _common(map(self.place, (left, *others)))
            case ast.IfExp(body=body, orelse=orelse):
                return _common(map(self.place, (body, orelse)))
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return _common(map(self.place, parts))
            case (
                ast.Subscript(value=value)
                | ast.UnaryOp(operand=value)
                | ast.NamedExpr(value=value)
                | ast.Starred(value=value)
                | ast.ListComp(elt=value)
                | ast.GeneratorExp(elt=value)
                | ast.DictComp(value=value)
            ):
                return self.place(value)
        return None

    def _bound(self, binding: Binding) -> Place | None:
        match binding:
            case Binding(kind="loop", value=ast.Call(func=ast.Name(id="enumerate"), args=[first, *_]), index=1):
                return self.place(first)
            case Binding(kind="loop", value=ast.Call(func=ast.Name(id="zip"), args=args), index=int() as index):
                return self.place(args[index]) if index < len(args) else None
            case Binding(kind="loop", value=ast.Call(func=ast.Name())):
                return None
            case Binding(kind="assignment", value=ast.List(elts=[]), node=ast.Name() as name):
                return _common(map(self.place, self._appended(name)))
            case Binding(kind="assignment" | "unpacking" | "loop" | "augmented", value=ast.expr() as value):
                return self.place(value)
        return None

    def _appended(self, name: ast.Name) -> Iterator[ast.expr]:
        """What is appended to a list in the function that makes it."""
        for call in self.module.calls("append", "extend"):
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=other)), args=[value]) if other == name.id:
                    if self.module.enclosing_function(call) is self.module.enclosing_function(name):
                        yield value

    def _call(self, call: ast.Call) -> Place | None:
        module, func = self.module, call.func
        name = module.qualified_name(func)
        if is_tensor_function(name) or name in LEGACY_FACTORIES:
            device = argument(call, "device")
            if device is not None:
                return self._named_place(device)
            if name in FACTORIES or name in LEGACY_FACTORIES:
                return "host"
            return _common(map(self.place, [*call.args, *(keyword.value for keyword in call.keywords)]))
        if name is not None and not isinstance(func, ast.Attribute):
            return None
        if (function := module.local_function(call)) is not None:
            if any(_DEVICE_NAME.search(arg.arg) for arg in parameters(module, function)):
                return None
            return _common(map(self.place, returned_values(module, function)))
        if isinstance(func, ast.Attribute) and name is None:
            moved = self._moved(call, func)
            if moved is not None or func.attr in {"to", "cuda", *HOST_METHODS}:
                return moved
        return self._applied(call)

    def _moved(self, call: ast.Call, func: ast.Attribute) -> Place | None:
        """Where a method of a tensor leaves its result."""
        match func.attr:
            case "cpu" | "numpy" | "tolist" | "item":
                return "host"
            case "cuda":
                return "device"
            case "to":
                if only_converts(self.module, call):
                    return self.place(func.value)
                device = argument(call, "device", 0)
                return self._named_place(device) if device is not None else None
        if func.attr in HOST_METHODS or self._is_model(func.value) or self._is_model(func):
            return None
        return self.place(func.value)

    def _named_place(self, device: ast.expr) -> Place | None:
        """Where a device is: the CPU always, or perhaps an accelerator."""
        if is_cpu(self.module, device):
            return "host"
        for origin in (device, *self.module.origins(device)):
            match origin:
                case ast.Attribute(value=holder, attr="device") if not _HOLDS_DEVICE.search(last_name(holder) or ""):
                    return self.place(holder)
            name = last_name(origin) or ""
            if is_cuda_string(origin) or _DEVICE_NAME.search(name) or self.module.is_call_to(origin, "torch.device"):
                return "device"
        return None

    def _applied(self, call: ast.Call) -> Place | None:
        """Where the output of a model lies: with the model, or with its input."""
        if not self._is_model(call.func):
            return None
        given = _common(map(self.place, [*call.args, *(keyword.value for keyword in call.keywords)]))
        return given or self._moved_model(call.func)

    def _is_model(self, expression: ast.expr) -> bool:
        """Whether a value is a module: made as one, made by a class and moved, or called like one."""
        if self.module.is_instance(expression, MODULE) or self.tensors.is_layer(expression):
            return True
        for origin in self.module.origins(expression):
            made = origin
            while (
                isinstance(made, ast.Call)
                and isinstance(made.func, ast.Attribute)
                and isinstance(made.func.value, ast.Call)
            ):
                made = made.func.value  # Net().to(device)
            if isinstance(made, ast.Call) and (last_name(made.func) or "")[:1].isupper():
                return self.module.qualified_name(made.func) not in LEGACY_FACTORIES
        return self.module.qualified_name(expression) is None and bool(_MODEL_NAME.search(last_name(expression) or ""))

    def _moved_model(self, expression: ast.expr) -> Place | None:
        """Where a model was moved, itself or what it is a part of."""
        while isinstance(expression, ast.Attribute) and not (
            isinstance(expression.value, ast.Name) and expression.value.id == "self"
        ):
            expression = expression.value
        return self.place(expression) if self._is_model(expression) else None


def _common(places: Iterable[Place | None]) -> Place | None:
    """The place of what comes from several: on the device only if nothing was brought to the CPU."""
    found = set(places)
    return "host" if "host" in found else "device" if "device" in found else None


def places(module: Module) -> Places:
    """The places of a file's tensors."""
    return module.fact(Places)
