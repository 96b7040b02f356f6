"""Which plain collections of a class hold modules that nothing else registers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._model_tensors import model_tensors, returned_values
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import is_weightless
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import MODULE

Content: TypeAlias = Literal["Module", "Parameter"]

_REGISTERING = frozenset(
    f"torch.nn.{name}" for name in ("ModuleList", "ModuleDict", "Sequential", "ParameterList", "ParameterDict")
)
_ADDING = frozenset({"append", "extend", "insert", "add", "appendleft", "update", "setdefault"})
_OVERRIDES = ("parameters", "named_parameters", "modules", "children", "_apply", "to", "cuda")


@dataclass(frozen=True, slots=True)
class Container:
    """A plain list, tuple or dict that a class keeps modules or parameters in.

    Attributes:
        value: the expression that makes it, or that names it where it is kept in `self`.
        element: one of the calls that make what it holds.
        nested: whether it holds further collections.
    """

    attribute: str
    value: ast.expr
    element: ast.Call
    content: Content
    nested: bool


class Containers:
    """Finds the containers of one class."""

    def __init__(self, module: Module, cls: ast.ClassDef) -> None:
        self.module = module
        self.cls = cls

    def unregistered(self, attribute: str, value: ast.expr) -> Container | None:
        """The container that `self.<attribute> = value` makes, if nothing registers what it holds."""
        container = self._container(attribute, value)
        if container is None or self._is_registered(container) or self._registers_by_hand():
            return None
        return container

    def _registers_by_hand(self) -> bool:
        """Whether the class adds modules under names that it computes, or hands its modules out by itself."""
        if any(self.module.method(self.cls, name) for name in _OVERRIDES):
            return True
        for node in self.module.walk(self.cls.body, into_functions=True):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="add_module" | "register_module" | "register_parameter" | "__setattr__")
                ):
                    return True
                case ast.Call(func=ast.Name(id="setattr")) | ast.Attribute(attr="_modules" | "__dict__"):
                    return True
        return False

    def _container(self, attribute: str, value: ast.expr) -> Container | None:
        origins = self.module.origins(value)
        if len(origins) != 1 or not _is_collection(self.module, origins[0]):
            return None
        elements = [*self._elements(origins[0]), *self._added(attribute, value)]
        for element in elements:
            if (made := self._made(element)) is not None:
                nested = any(_is_collection(self.module, each) for each in elements)
                return Container(attribute, value, made[0], made[1], nested)
        return None

    def _elements(self, collection: ast.expr) -> Iterator[ast.expr]:
        match collection:
            case (
                ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements) | ast.Dict(values=elements)
            ):
                for element in elements:
                    yield element.value if isinstance(element, ast.Starred) else element
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element) | ast.DictComp(value=element):
                yield element
            case ast.BinOp(left=left, right=right):
                yield from self._elements(left)
                yield from self._elements(right)
            case ast.Call(args=args, keywords=keywords):
                for arg in args:
                    yield from self._elements(arg)
                yield from (keyword.value for keyword in keywords)

    def _added(self, attribute: str, value: ast.expr) -> Iterator[ast.expr]:
        """What is put into `self.<attribute>`, or into the variable that it is assigned from, afterwards."""
        for call in self.module.calls(*_ADDING):
            match call:
                case ast.Call(func=ast.Attribute(value=target, attr=method), args=[*_, last]):
                    if self._is_same(target, attribute, value):
                        yield last
                        yield from self._elements(last) if method in {"extend", "update"} else ()
        for augmented in self.module.nodes(ast.AugAssign):
            if self._is_same(augmented.target, attribute, value):
                yield from self._elements(augmented.value)
        for statement in self.module.nodes(ast.Assign):
            match statement.targets:
                case [ast.Subscript(value=target)] if self._is_same(target, attribute, value):
                    yield statement.value

    def _is_same(self, target: ast.expr, attribute: str, value: ast.expr) -> bool:
        """Whether an expression of this class is `self.<attribute>`, or the variable it is assigned from."""
        match target:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name == attribute:
                return self.module.enclosing_class(target) is self.cls
            case ast.Name(id=name) if isinstance(value, ast.Name) and name == value.id:
                return self.module.enclosing_function(target) is self.module.enclosing_function(value)
        return False

    def _made(self, element: ast.expr, depth: int = 4) -> tuple[ast.Call, Content] | None:
        """The call that makes a module or a parameter which is an element, at any depth of lists in lists."""
        if not depth:
            return None
        if _is_collection(self.module, element):
            return next(filter(None, (self._made(inner, depth - 1) for inner in self._elements(element))), None)
        if isinstance(element, ast.Attribute):  # self.layer is registered under its own name
            return None
        for origin in self.module.origins(element):
            if isinstance(origin, ast.Call) and (content := self._content(origin)) is not None:
                if isinstance(element, ast.Name) and self._is_kept_otherwise(element, origin):
                    return None
                return origin, content
        return None

    def _content(self, call: ast.Call) -> Content | None:
        module = self.module
        while isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call):
            call = call.func.value  # Block().to(device)
        if module.qualified_name(call.func) == "torch.nn.Parameter":
            return "Parameter"
        if module.is_instance(call, MODULE):
            return "Module" if self._has_state(call) else None
        function = module.local_function(call)
        returned = returned_values(module, function) if function else []
        if returned and all(module.is_instance(value, MODULE) for value in returned):
            return "Module"
        return None

    def _has_state(self, call: ast.Call, depth: int = 4) -> bool:
        """Whether a call makes a module that is seen to have weights, or to behave otherwise in evaluation."""
        local = self.module.local_class(call.func)
        if local is None:
            name = self.module.qualified_name(call.func) or ""
            if name in _REGISTERING:
                inner = (node for node in ast.walk(call) if isinstance(node, ast.Call) and node is not call)
                return any(self._has_state(each, depth - 1) for each in inner)
            return _is_stateful(name)
        if any(map(_is_stateful, self.module.base_names(local))):
            return True
        return depth > 0 and any(
            isinstance(node, ast.Call)
            and (self.module.called_name(node) == "register_buffer" or self._has_state(node, depth - 1))
            for node in self.module.walk(local.body, into_functions=True)
        )

    def _is_kept_otherwise(self, element: ast.Name, made: ast.Call) -> bool:
        """Whether a variable that holds a module is also used otherwise, which may register it."""
        match self.module.parent(made):
            case ast.Assign(targets=targets) if any(isinstance(target, ast.Attribute) for target in targets):
                return True
        function = self.module.enclosing_function(element)
        for name in self.module.nodes(ast.Name):
            if name.id != element.id or name is element or isinstance(name.ctx, ast.Store):
                continue
            if self.module.enclosing_function(name) is function and not isinstance(
                self.module.parent(name), ast.Attribute
            ):
                return True
        return False

    def _is_registered(self, container: Container) -> bool:
        """Whether a container is also turned into a registering one, or hides its only module on purpose."""
        module = self.module
        if any(module.is_instance(value, MODULE) for value in module.attribute_values(self.cls, container.attribute)):
            return True
        for call in module.calls(*(name.rpartition(".")[2] for name in _REGISTERING)):
            if module.qualified_name(call.func) in _REGISTERING and any(
                isinstance(node, ast.expr) and self._is_same(node, container.attribute, container.value)
                for node in ast.walk(call)
            ):
                return True
        if self._is_given_to_module(container):
            return True
        return self._hides_one(container) or (container.content == "Parameter" and self._is_handed_out(container))

    def _is_given_to_module(self, container: Container) -> bool:
        """Whether an attribute is made with the container, whose class may register what is in it."""
        return any(
            self._is_same(given, container.attribute, container.value)
            for values in self.module.attributes_of(self.cls).values()
            for value in values
            if isinstance(value, ast.Call)
            for given in (*value.args, *(keyword.value for keyword in value.keywords))
            if isinstance(given, ast.Attribute)
        )

    def _is_handed_out(self, container: Container) -> bool:
        """Whether other methods than those of the model use it, which may give it to an optimizer."""
        tensors = model_tensors(self.module)
        for use in self.module.nodes(ast.Attribute):
            if use.attr == container.attribute and self.module.enclosing_class(use) is self.cls:
                function = self.module.enclosing_function(use)
                if function is not None and function.name != "__init__" and not tensors.runs_in_model(use):
                    return True
        return False

    def _hides_one(self, container: Container) -> bool:
        """Whether it is `self.x = [module]`, of which only `self.x[0]` is used: a known way not to register it."""
        match container.value:
            case ast.List(elts=[_]) | ast.Tuple(elts=[_]):
                uses = [
                    node
                    for node in self.module.nodes(ast.Attribute)
                    if node.attr == container.attribute and isinstance(node.ctx, ast.Load)
                ]
                return all(isinstance(self.module.parent(use), ast.Subscript) for use in uses)
        return False


def _is_stateful(name: str) -> bool:
    """Whether a library's class is a module with weights of its own, or with a behaviour of its own in evaluation."""
    package, _, last = name.rpartition(".")
    return package == "torch.nn" and last[:1].isupper() and last != "Module" and not is_weightless(name)


def _is_collection(module: Module, expression: ast.expr) -> bool:
    match expression:
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Set() | ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            return True
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.Mult()):
            return _is_collection(module, left) or _is_collection(module, right)
        case ast.Call(func=func):
            return module.qualified_name(func) in {
                "builtins.list",
                "builtins.tuple",
                "builtins.dict",
                "collections.OrderedDict",
                "collections.defaultdict",
            }
    return False


def may_be_collection(module: Module, value: ast.expr) -> bool:
    """Whether a value can be a collection at all: a cheap question, to be asked first."""
    match value:
        case ast.Name(id=name):
            return any(
                binding.value is not None
                and not isinstance(binding.value, ast.Name)
                and may_be_collection(module, binding.value)
                for binding in module.bindings.get(name, ())
            )
        case ast.Call(func=ast.Name(id="list" | "tuple" | "dict" | "OrderedDict" | "defaultdict")):
            return True
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Dict(values=parts):
            return not parts or not all(isinstance(part, ast.Constant) for part in parts)
    return isinstance(value, ast.ListComp | ast.DictComp | ast.Set | ast.BinOp)
