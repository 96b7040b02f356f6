"""LightningModules, data modules and callbacks of a file, and what can be said of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import CALLBACKS, LIGHTNING_DATA_MODULE, STEPS
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE, without_parameters

# Bases that neither define hooks nor log anything.
_EMPTY_BASES = frozenset(
    {LIGHTNING_MODULE, LIGHTNING_DATA_MODULE, MODULE, "builtins.object", "abc.ABC", "typing.Generic", *CALLBACKS}
)
_ABSTRACT_NAME = pattern(r"^_*(Base|Abstract|Generic)|(Base|Mixin|Abstract|Interface|Template)$")
_HARMLESS_WITH_SELF = frozenset({"__init__", "super", "isinstance", "hasattr", "getattr", "setattr", "type", "print"})
_LIGHTNING_PACKAGES = frozenset({"lightning", "lightning.pytorch", "pytorch_lightning"})
_TEST_PATH = pattern(r"(^|/)tests?(_\w+)?/|(^|/)(test_|conftest)[^/]*$|_test\.py$")


def lightning_modules(module: Module) -> list[ast.ClassDef]:
    """The classes of a file that inherit from LightningModule."""
    return module.fact(_find_lightning_modules)


def _find_lightning_modules(module: Module) -> list[ast.ClassDef]:
    return [cls for cls in module.nodes(ast.ClassDef) if module.is_subclass(cls, LIGHTNING_MODULE)]


def is_callback(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class inherits from Lightning's Callback."""
    return any(module.is_subclass(cls, callback) for callback in CALLBACKS)


def bases_are_known(module: Module, cls: ast.ClassDef) -> bool:
    """Whether all that a class inherits stands in this file, apart from Lightning's and torch's own."""
    return all(
        module.local_class(base) is not None or module.qualified_name(base) in _EMPTY_BASES
        for each in module.lineage(cls)
        for base in map(without_parameters, each.bases)
    )


def ancestry_is_known(module: Module, cls: ast.ClassDef) -> bool:
    """Whether all that a class inherits stands in its project, apart from Lightning's and torch's own."""
    return all(
        owner.local_class(base) is not None
        or ((name := owner.base_name(base)) is not None and (name in _EMPTY_BASES or owner.class_elsewhere(name)))
        for owner, each in module.ancestry(cls)
        for base in map(without_parameters, each.bases)
    )


def has_method(module: Module, cls: ast.ClassDef, name: str) -> bool:
    """Whether a class has a method or an attribute of this name, itself or from base classes of its project."""
    return any(owner.method(each, name) or owner.attribute_values(each, name) for owner, each in module.ancestry(cls))


def is_abstract(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class is made to be inherited from: another does, its name says so, or its methods are abstract."""
    return cls in module.fact(_inherited_classes) or is_base_by_form(module, cls)


def _inherited_classes(module: Module) -> frozenset[ast.ClassDef]:
    """The classes of a module that others of it inherit from."""
    bases = (module.lineage(cls)[1:] for cls in module.nodes(ast.ClassDef) if cls.bases)
    return frozenset(base for lineage in bases for base in lineage)


def is_base_by_form(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class shows that it is to be inherited from, by its name or by abstract methods."""
    return (
        bool(_ABSTRACT_NAME.search(cls.name))
        or any(keyword.arg == "metaclass" for keyword in cls.keywords)
        or module.is_subclass(cls, "abc.ABC")
        or any(map(_is_unfinished, module.methods(cls)))
    )


def _is_unfinished(method: Function) -> bool:
    for decorator in method.decorator_list:
        if ast.unparse(decorator).rpartition(".")[2] == "abstractmethod":
            return True
    return method.name in (*STEPS, "configure_optimizers", "forward") and has_no_body(method)


def has_no_body(method: Function) -> bool:
    """Whether a method is only a place for one: `pass`, `...`, a docstring or `raise NotImplementedError`."""
    return all(
        isinstance(statement, ast.Pass | ast.Raise)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in method.body
    )


def optimizes_by_hand(module: Module, cls: ast.ClassDef) -> bool:
    """Whether `automatic_optimization` is, or may be, switched off for a class, here or from outside."""
    return any(
        owner.attribute_values(each, "automatic_optimization") or owner.fact(_has_switch)
        for owner, each in module.ancestry(cls)
    )


def _has_switch(module: Module) -> bool:
    return any(_names_switch(node) for node in module.nodes(ast.Attribute, ast.FunctionDef, ast.keyword))


def _names_switch(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="automatic_optimization", ctx=ast.Store()):
            return True
        case ast.FunctionDef(name="automatic_optimization") | ast.keyword(arg="automatic_optimization"):
            return True
    return False


def with_own_helpers(module: Module, cls: ast.ClassDef, method: Function) -> list[Function]:
    """A method and the methods of its class that it calls through `self`, themselves or through others."""
    found = {method: None}
    pending = [method]
    while pending:
        for node in module.walk(pending.pop().body):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                    helper = module.method(cls, name)
                    if helper is not None and helper not in found:
                        found[helper] = None
                        pending.append(helper)
    return list(found)


def returned(module: Module, function: Function) -> Iterator[ast.Return]:
    """The return statements of a function, without those of functions inside it."""
    return (node for node in module.walk(function.body) if isinstance(node, ast.Return))


def is_test(module: Module) -> bool:
    """Whether a file is a test: what is odd there is odd on purpose."""
    return bool(_TEST_PATH.search(module.source.path.replace("\\", "/")))


def uses_fabric(module: Module) -> bool:
    """Whether a file trains with Fabric, which takes plain modules and leaves the loop to the project."""
    return "fabric" in module.source.code.lower()


def lightning_module_name(module: Module) -> str | None:
    """How a file can name LightningModule with what it imports: `L.LightningModule`, `LightningModule`."""
    for alias in module.nodes(ast.alias):
        statement = module.parent(alias)
        if module.scope(alias) is not module.tree:
            continue
        if isinstance(statement, ast.ImportFrom) and alias.name == "LightningModule":
            return alias.asname or alias.name
        if isinstance(statement, ast.Import) and alias.name in _LIGHTNING_PACKAGES:
            return f"{alias.asname or alias.name}.LightningModule"
    return None


def passes_itself_on(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a LightningModule passes itself, or its `log`, to code of another file, which may log for it."""
    return any(_is_passed_on(module, node) for node in module.walk(cls, into_functions=True))


def _is_passed_on(module: Module, node: ast.AST) -> bool:
    parent = module.parent(node)
    match node:
        case ast.Name(id="self") if isinstance(parent, ast.Call) and parent.func is not node:
            name = module.called_name(parent)
            return name not in _HARMLESS_WITH_SELF and module.local_function(parent) is None
        case ast.Attribute(value=ast.Name(id="self"), attr="log" | "log_dict"):
            return not (isinstance(parent, ast.Call) and parent.func is node)
    return False


def steps_of(module: Module, cls: ast.ClassDef) -> dict[Function, str]:
    """The methods of a class that run for each batch, each with the step that it is or is called from."""
    found: dict[Function, str] = {}
    for method in module.methods(cls):
        if method.name in STEPS:
            for function in with_own_helpers(module, cls, method):
                found.setdefault(function, method.name)
    return found


def is_for_other_release(module: Module, node: ast.AST) -> bool:
    """Whether a node is run only for some releases: under a condition that asks for a version."""
    return any("version" in ast.unparse(guard.test).lower() for guard in module.guards(node))


def is_called_by_name(module: Module, method: Function) -> bool:
    """Whether the file calls a method by its name, other than as that of a base class."""
    return any(
        isinstance(call.func, ast.Attribute) and not isinstance(call.func.value, ast.Call)
        for call in module.calls(method.name)
    )
