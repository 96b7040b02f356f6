"""The fifth layer of a Module: values of variables, local classes, their bases and attributes."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.names import Names
from mlrules_mcp.source.tree import FUNCTIONS, Function

if TYPE_CHECKING:
    from mlrules_mcp.source.module import Module

MODULE = "torch.nn.Module"
LIGHTNING_MODULE = "lightning.pytorch.LightningModule"
OPTIMIZER = "torch.optim.Optimizer"

_NOT_MODULES = frozenset({"torch.nn.Parameter", "torch.nn.Buffer", "torch.nn.UninitializedParameter"})
# Modules that other packages export.
_MODULES = frozenset(
    {
        LIGHTNING_MODULE,
        "torch.nn.parallel.DataParallel",
        "torch.nn.parallel.DistributedDataParallel",
        "torch.jit.ScriptModule",
        "torchmetrics.Metric",
        "transformers.PreTrainedModel",
        "diffusers.ModelMixin",
    }
)
# Methods that return the object itself: Net().to(device), Net().eval()
_RETURN_SELF = frozenset({"to", "cuda", "cpu", "eval", "train", "half", "float", "double", "apply"})
_MOST_ORIGINS = 40


class Values(Names):
    """Names that can be followed to the expressions they get their values from."""

    def values_of(self, name: ast.Name) -> list[ast.expr]:
        """The right sides of the assignments that a use of a name can see; loops, parameters and such give none."""
        return [
            binding.value
            for binding in self.reaching(name)
            if binding.kind == "assignment" and binding.value is not None
        ]

    def origins(self, expression: ast.expr) -> list[ast.expr]:
        """The expressions that a value may come from, followed through variables, `self.x` and `a if c else b`.

        What can't be followed further (a parameter, a loop variable, a call) is its own origin.
        """
        if expression not in self._known_origins:
            self._known_origins[expression] = self._find_origins(expression)
        return list(self._known_origins[expression])

    @cached_property
    def _known_origins(self) -> dict[ast.expr, list[ast.expr]]:
        return {}

    def _find_origins(self, expression: ast.expr) -> list[ast.expr]:
        found: list[ast.expr] = []
        seen: set[ast.expr] = set()
        pending = [expression]
        while pending:
            self._look()
            current = pending.pop()
            if current in seen:
                continue
            seen.add(current)
            sources, complete = self._sources(current) if len(seen) <= _MOST_ORIGINS else ([], False)
            pending.extend(sources)
            if not sources or not complete:
                found.append(current)
        return found or [expression]

    def _sources(self, expression: ast.expr) -> tuple[list[ast.expr], bool]:
        """The expressions one step back, and whether there can be no others."""
        match expression:
            case ast.Name():
                bindings = self.reaching(expression)
                values = [b.value for b in bindings if b.kind == "assignment" and b.value is not None]
                return values, len(values) == len(bindings)
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                cls = self.enclosing_class(expression)
                return (self.attribute_values(cls, attribute) if cls else []), True
            case ast.IfExp(body=body, orelse=orelse):
                return [body, orelse], True
            case ast.BoolOp(values=values):
                return values, True
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return [value], True
        return [], True

    def local_class(self, node: ast.AST | None) -> ast.ClassDef | None:
        """The class of this module that an expression names."""
        definition = self._local_definition(node)
        return definition if isinstance(definition, ast.ClassDef) else None

    def local_function(self, call: ast.Call) -> Function | None:
        """The function or method of this module that a call calls: `helper(…)`, or `self.helper(…)` in its class."""
        match call.func:
            case ast.Name() as name:
                definition = self._local_definition(name)
                return definition if isinstance(definition, FUNCTIONS) else None
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                cls = self.enclosing_class(call)
                return self.method(cls, attribute) if cls else None
        return None

    def _local_definition(self, node: ast.AST | None) -> ast.AST | None:
        """The function or class that a name is seen to mean: the last one that reaches it."""
        self._look()
        if not isinstance(node, ast.Name) or node.id not in self._defined_names:
            return None
        return next((b.node for b in reversed(self.reaching(node)) if b.kind == "definition"), None)

    @cached_property
    def _defined_names(self) -> frozenset[str]:
        return frozenset(node.name for node in (*self.functions, *self.nodes(ast.ClassDef)))

    def methods(self, cls: ast.ClassDef) -> list[Function]:
        """The methods written in a class's own body, under conditions too."""
        if cls not in self._known_methods:
            is_plain = not any(isinstance(statement, ast.If | ast.Try) for statement in cls.body)
            body = cls.body if is_plain else self.walk(cls.body)
            self._known_methods[cls] = [node for node in body if isinstance(node, FUNCTIONS)]
        return self._known_methods[cls]

    @cached_property
    def _known_methods(self) -> dict[ast.ClassDef, list[Function]]:
        return {}

    def _own_methods(self, cls: ast.ClassDef) -> dict[str, Function]:
        """The methods of a class's own body by name; of several the first, which a property's getter is."""
        if cls not in self._methods_by_name:
            self._methods_by_name[cls] = {method.name: method for method in reversed(self.methods(cls))}
        return self._methods_by_name[cls]

    @cached_property
    def _methods_by_name(self) -> dict[ast.ClassDef, dict[str, Function]]:
        return {}

    def method(self, cls: ast.ClassDef, name: str) -> Function | None:
        """A method by its name, from a class or the local classes it inherits from."""
        for candidate in self.lineage(cls):
            self._look()
            if name in (own := self._own_methods(candidate)):
                return own[name]
        return None

    def lineage(self, cls: ast.ClassDef) -> list[ast.ClassDef]:
        """A class and its base classes of this module, nearest first."""
        self._look()
        if cls not in self._lineages:
            lineage = {cls: None}
            pending = deque(lineage)
            while pending:
                self._look()
                for base in map(self.local_class, map(without_parameters, pending.popleft().bases)):
                    if base is not None and base not in lineage:
                        lineage[base] = None
                        pending.append(base)
            self._lineages[cls] = list(lineage)
        return self._lineages[cls]

    @cached_property
    def _lineages(self) -> dict[ast.ClassDef, list[ast.ClassDef]]:
        return {}

    @cached_property
    def _bases(self) -> dict[ast.ClassDef, frozenset[str]]:
        return {}

    def base_names(self, cls: ast.ClassDef) -> frozenset[str]:
        """The qualified names of all library classes that a class inherits from, through those of the project."""
        if cls not in self._bases:
            self._bases[cls] = frozenset()  # what a class inherits from itself adds nothing
            names = [name for each in self.lineage(cls) for base in each.bases if (name := self.base_name(base))]
            found = filter(None, map(self.class_elsewhere, names))
            self._bases[cls] = frozenset(names).union(*(module.base_names(ancestor) for module, ancestor in found))
        return self._bases[cls]

    def base_name(self, base: ast.expr) -> str | None:
        """The qualified name of a base class as a class statement gives it: `Base`, `Base[T]`."""
        return self.qualified_name(without_parameters(base))

    def class_elsewhere(self, name: str) -> tuple[Module, ast.ClassDef] | None:
        """The class of another file of the project that a qualified name means here, with its module."""
        project = self.source.project
        return project.class_named(name, self.source.path) if project else None

    def is_subclass(self, cls: ast.ClassDef, base: str) -> bool:
        """Whether a local class inherits from a library class, given by its qualified name."""
        return any(is_library_subclass(name, base) for name in self.base_names(cls))

    def is_instance(self, expression: ast.expr, base: str) -> bool:
        """Whether a value is seen to be made by calling a library class, or a local class that inherits from it."""
        pending = self.origins(expression)
        seen: set[ast.expr] = set()
        while pending and len(seen) < _MOST_ORIGINS:
            origin = pending.pop()
            if origin in seen:
                continue
            seen.add(origin)
            value = origin
            while (
                isinstance(value, ast.Call)
                and isinstance(value.func, ast.Attribute)
                and value.func.attr in _RETURN_SELF
            ):
                value = value.func.value
            if value is not origin and isinstance(value, ast.Name | ast.Attribute):
                pending.extend(self.origins(value))
            elif isinstance(value, ast.Call):
                name = self.qualified_name(value.func)
                if name and is_library_subclass(name, base):
                    return True
                local = self.local_class(value.func)
                if local and self.is_subclass(local, base):
                    return True
        return False

    def attribute_values(self, cls: ast.ClassDef, attribute: str) -> list[ast.expr]:
        """What is assigned to `self.<attribute>` anywhere in a class and its local base classes."""
        return [value for candidate in self.lineage(cls) for value in self.attributes_of(candidate).get(attribute, ())]

    def attributes_of(self, cls: ast.ClassDef) -> dict[str, list[ast.expr]]:
        """What is assigned to the attributes of a class, in its own body and through `self`, by their names."""
        return self._attributes.get(cls, {})

    @cached_property
    def _attributes(self) -> dict[ast.ClassDef, dict[str, list[ast.expr]]]:
        """The attributes of each class with what is assigned to them; what an inner class assigns is its own."""
        found: dict[ast.ClassDef, dict[str, list[ast.expr]]] = {}
        statements: list[ast.Assign | ast.AnnAssign] = [*self.nodes(ast.Assign), *self.nodes(ast.AnnAssign)]
        for node in sorted(statements, key=start) if self.nodes(ast.AnnAssign) else statements:
            cls = self.enclosing_class(node)
            if cls is None or node.value is None:
                continue
            attributes = found.setdefault(cls, {})
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for attribute, value in self._assigned(cls, target, node.value):
                    attributes.setdefault(attribute, []).append(value)
        return found

    def _assigned(self, cls: ast.ClassDef, target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
        match target:
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                yield attribute, value
            case ast.Name(id=name) if self._parents[self._parents[target]] is cls:
                yield name, value
            case ast.Tuple(elts=targets):
                if isinstance(value, ast.Tuple) and len(value.elts) == len(targets):
                    for each, part in zip(targets, value.elts, strict=True):
                        yield from self._assigned(cls, each, part)


def without_parameters(base: ast.expr) -> ast.expr:
    """The class in a base like `Base[T]`."""
    return base.value if isinstance(base, ast.Subscript) else base


def is_library_subclass(name: str, base: str) -> bool:
    """Whether a library's class is, or inherits from, another: `torch.optim.AdamW` from `torch.optim.Optimizer`.

    Goes by the libraries' naming: every class exported by `torch.nn` is a Module but for the parameters.
    """
    if name == base:
        return True
    package, _, last = name.rpartition(".")
    if base == MODULE:
        return (package == "torch.nn" and last[:1].isupper() and name not in _NOT_MODULES) or name in _MODULES
    if base == OPTIMIZER:
        return package == "torch.optim" and last[:1].isupper()
    return False
