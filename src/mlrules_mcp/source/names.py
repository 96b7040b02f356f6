"""The fourth layer of a Module: what a name or a dotted expression stands for, through imports and aliases."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from functools import cached_property, lru_cache

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.bindings import Binding, bound_names, start
from mlrules_mcp.source.flow import Flow

# What these names mean when a snippet leaves its imports out: the conventions of the libraries' own documentation.
_CONVENTIONS = {
    "torch": "torch",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "optim": "torch.optim",
    "np": "numpy",
    "pd": "pandas",
    "pl": "lightning.pytorch",
    "L": "lightning",
    "LightningModule": "lightning.pytorch.LightningModule",
    "LightningDataModule": "lightning.pytorch.LightningDataModule",
}
_LIGHTNING_TOP = frozenset({"Trainer", "LightningModule", "LightningDataModule", "Callback", "seed_everything"})
_REEXPORTS = (
    (pattern(r"^pytorch_lightning\b"), "lightning.pytorch"),
    (pattern(r"^lightning_fabric\b"), "lightning.fabric"),
    (pattern(r"^lightning\.pytorch\.core(\.\w+)?\.(?=Lightning)"), "lightning.pytorch."),
    (pattern(r"^lightning\.pytorch\.trainer(\.\w+)?\.(?=Trainer$)"), "lightning.pytorch."),
    (pattern(r"^torch\.nn\.modules\.(\w+\.)*(?=[A-Z])"), "torch.nn."),
    (pattern(r"^torch\.nn\.parameter\.(?=[A-Z])"), "torch.nn."),
    (pattern(r"^torch\.optim\.[a-z]+\.(?=[A-Z])(?<!lr_scheduler\.)"), "torch.optim."),
    (
        pattern(r"^torch\.utils\.data\.(dataloader|dataset|sampler|distributed)\.(?=[A-Za-z])"),
        "torch.utils.data.",
    ),
    (
        pattern(r"^torch\.autograd\.(grad_mode\.)?(?=(no_grad|enable_grad|set_grad_enabled|inference_mode)$)"),
        "torch.",
    ),
    (pattern(r"^torch\.functional\.(?=\w+$)"), "torch."),
    (pattern(r"^(sklearn\.\w+)\._\w+\.(?=[A-Za-z])"), r"\1."),
)
# What `from module import *` brings, as far as a name's first letter and a few exceptions tell.
_STAR_CAPITALISED = {
    "torch.nn": {"functional", "init", "parallel", "utils"},
    "torch.optim": {"lr_scheduler"},
    "torch.optim.lr_scheduler": set(),
    "torch.utils.data": {"random_split", "default_collate"},
}
_STAR_LOWER = {"torch": {"Tensor", "Generator", "Size"}, "torch.nn.functional": set(), "torch.nn.init": set()}
_LIBRARIES = frozenset({"torch", "sklearn", "lightning", "pytorch_lightning", "torchvision", "numpy"})
_BUILTINS = frozenset(dir(builtins))
# Builtins that torch and numpy define as well.
_SHADOWED = frozenset({"abs", "all", "any", "max", "min", "pow", "range", "round", "sum"})
_NAMELESS: frozenset[str | None] = frozenset({None})
_MOST_MEANINGS = 4
_DEEPEST = 20


class Names(Flow):
    """Flow that resolves names to what they stand for."""

    def qualified_name(self, node: ast.AST) -> str | None:
        """The full dotted name of what an expression refers to: `torch.nn.Linear` for `N.Linear`.

        Follows imports, aliases (`Dense = nn.Linear`), star imports and rebinding. A fallback for a failed import
        does not count beside the import. None for anything else: a local function, a variable with another
        value or with several, an attribute of a call's result.
        """
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        if node not in self._qualified:
            names = self._names_of(node)
            self._qualified[node] = next(iter(names)) if len(names) == 1 else None
        return self._qualified[node]

    @cached_property
    def _qualified(self) -> dict[ast.AST, str | None]:
        return {}

    def _names_of(self, node: ast.expr) -> frozenset[str | None]:
        """All that a dotted expression may stand for; None in it is something that has no name."""
        attributes: list[str] = []
        base = node
        while isinstance(base, ast.Attribute):
            attributes.append(base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return _NAMELESS
        meanings = self._meanings(base)
        if not attributes:
            return frozenset(name and canonical(name) for name in meanings)
        rest = ".".join(reversed(attributes))
        return frozenset(name and canonical(f"{name}.{rest}") for name in meanings)

    def _meanings(self, name: ast.Name) -> frozenset[str | None]:
        if (imported := self._only_imported.get(name.id)) is not None:
            return imported
        if name.id not in self._binders:
            return frozenset({self._unbound(name.id)})
        if name.id not in self._may_stand_for_something and not self._unbound(name.id):
            return _NAMELESS
        if name not in self._known_meanings:
            if self._following == _DEEPEST:
                return _NAMELESS
            self._following += 1
            self._known_meanings[name] = frozenset()  # what a name gets from itself adds nothing
            self._known_meanings[name] = self._find_meanings(name)
            self._following -= 1
        return self._known_meanings[name]

    @cached_property
    def _known_meanings(self) -> dict[ast.Name, frozenset[str | None]]:
        return {}

    _following = 0

    def _find_meanings(self, name: ast.Name) -> frozenset[str | None]:
        bindings = self.bindings_in_scope(name)
        if not bindings:
            return frozenset({self._unbound(name.id)})
        meanings: set[str | None] = set()
        for binding in self.reaching(name):
            if not self._is_fallback(binding, bindings):
                meanings |= self._target(binding)
            if len(meanings) > _MOST_MEANINGS:
                break
        return frozenset(meanings)

    def _target(self, binding: Binding) -> frozenset[str | None]:
        """What a binding makes its name stand for; nothing for a placeholder (`x = None`)."""
        match binding:
            case Binding(kind="import", node=ast.alias() as alias):
                return frozenset({self._imported(alias)})
            case Binding(kind="assignment", value=ast.Constant(value=None) | ast.Name(id="object")):
                return frozenset()
            case Binding(kind="assignment", value=ast.Name() | ast.Attribute() as value):
                return self._names_of(value)
        return _NAMELESS

    def _is_fallback(self, binding: Binding, others: list[Binding]) -> bool:
        """Whether a binding stands in for an import that failed: `except ImportError: tqdm = list`."""
        if binding.kind == "import" or len(others) == 1:
            return False
        for ancestor in self.ancestors(binding.node):
            if ancestor is binding.scope:
                return False
            if isinstance(ancestor, ast.ExceptHandler):
                attempt = self._parents[ancestor]
                return any(other.kind == "import" and self.is_inside(other.node, attempt) for other in others)
        return False

    def _imported(self, alias: ast.alias) -> str:
        statement = self._parents[alias]
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            return f"{module}{alias.name}" if module.endswith(".") or not module else f"{module}.{alias.name}"
        return alias.name if alias.asname else alias.name.partition(".")[0]

    def imports_of(self, name: str) -> list[str]:
        """The qualified names that a name may be imported from, itself or by `*`."""
        aliases = [node for node in self._binders.get(name, ()) if isinstance(node, ast.alias)]
        starred = [f"{module}{'' if module.endswith('.') else '.'}{name}" for module in self._star_imports]
        return [*map(self._imported, aliases), *starred]

    @cached_property
    def _only_imported(self) -> dict[str, frozenset[str | None]]:
        """The names that every binding of the module imports as the same thing: most of those that matter."""
        found: dict[str, frozenset[str | None]] = {}
        for name in {bound for alias in self.nodes(ast.alias) for bound in bound_names(alias)}:
            aliases = [node for node in self._binders[name] if isinstance(node, ast.alias)]
            if len(aliases) == len(self._binders[name]):
                targets = frozenset(map(self._imported, aliases))
                if len(targets) == 1 and any(self.scope(alias) is self.tree for alias in aliases):
                    found[name] = frozenset(targets)
        return found

    @cached_property
    def _may_stand_for_something(self) -> frozenset[str]:
        """The names that are imported, or assigned another name, somewhere."""
        imported = {bound for alias in self.nodes(ast.alias) for bound in bound_names(alias)}
        return frozenset(imported | {name.id for name, _ in self._renamed})

    @cached_property
    def _renamed(self) -> list[tuple[ast.Name, ast.Name | ast.Attribute]]:
        """The names that are assigned another name, each with that."""
        assigned = [(target, node.value) for node in self.nodes(ast.Assign) for target in node.targets]
        assigned += [(node.target, node.value) for node in self.nodes(ast.AnnAssign) if node.value]
        assigned += [(node.target, node.value) for node in self.nodes(ast.NamedExpr)]
        return [pair for target, value in assigned for pair in _renamed(target, value)]

    def _unbound(self, name: str) -> str | None:
        if name in _CONVENTIONS:
            return _CONVENTIONS[name]
        for module in self._star_imports:
            if _may_define(module, name):
                return f"{module}.{name}"
        return f"builtins.{name}" if name in _BUILTINS else None

    @cached_property
    def _star_imports(self) -> list[str]:
        """The modules whose names are all imported, in the order in which they are asked for a name.

        What a later import defines hides an earlier one's, but which names a library defines is known better
        than those of a project's own modules, so libraries come first.
        """
        modules = [
            "." * statement.level + (statement.module or "")
            for statement in reversed(self.nodes(ast.ImportFrom))
            if any(alias.name == "*" for alias in statement.names)
        ]
        return sorted(modules, key=lambda module: module.partition(".")[0] not in _LIBRARIES)

    @cached_property
    def imported_packages(self) -> frozenset[str]:
        """The top-level packages that are imported anywhere in the module, `lightning` also for its older name."""
        packages: set[str] = set()
        for statement in self.nodes(ast.Import):
            packages.update(alias.name.partition(".")[0] for alias in statement.names)
        for statement_from in self.nodes(ast.ImportFrom):
            if not statement_from.level and statement_from.module:
                packages.add(statement_from.module.partition(".")[0])
        if "pytorch_lightning" in packages:
            packages.add("lightning")
        return frozenset(packages)

    def is_call_to(self, node: ast.AST | None, *names: str) -> bool:
        """Whether a node is a call of one of these qualified names."""
        return isinstance(node, ast.Call) and self.qualified_name(node.func) in names

    def called_name(self, call: ast.Call) -> str | None:
        """The last part of what a call calls: `load` for `torch.load(…)` and its aliases, `cuda` for `x.cuda()`."""
        func = call.func
        if isinstance(func, ast.Attribute):
            return func.attr
        if isinstance(func, ast.Name):
            return self._called_aliases.get(func.id, func.id)
        return None

    @cached_property
    def _called_aliases(self) -> dict[str, str]:
        """Names that stand for something called otherwise: `tl` -> `load` after `from torch import load as tl`."""
        stands_for: list[tuple[str | None, frozenset[str | None]]] = [
            (alias.asname, frozenset({self._imported(alias)})) for alias in self.nodes(ast.alias)
        ]
        stands_for += [(name.id, self._names_of(value)) for name, value in self._renamed]
        return {
            name: target.rpartition(".")[2]
            for name, targets in stands_for
            for target in sorted(filter(None, targets))
            if name and target.rpartition(".")[2] != name
        }

    @cached_property
    def _calls_by_name(self) -> dict[str, list[ast.Call]]:
        calls: dict[str, list[ast.Call]] = {}
        aliases = self._called_aliases
        for call in self.nodes(ast.Call):
            func = call.func
            if func.__class__ is ast.Attribute:
                name = func.attr
            elif func.__class__ is ast.Name:
                name = func.id
                name = aliases.get(name, name)
            else:
                continue
            calls.setdefault(name, []).append(call)
        return calls

    def calls(self, *names: str) -> list[ast.Call]:
        """All calls of something whose last name part is one of these (see `called_name`)."""
        if len(names) == 1:
            return self._calls_by_name.get(names[0], [])
        calls = [call for name in names for call in self._calls_by_name.get(name, ())]
        return sorted(calls, key=start)


def _renamed(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.Name, ast.Name | ast.Attribute]]:
    match target, value:
        case ast.Name(), ast.Name() | ast.Attribute():
            yield target, value
        case ast.Tuple(elts=names) | ast.List(elts=names), ast.Tuple(elts=values) | ast.List(elts=values):
            for each, part in zip(names, values, strict=False):
                yield from _renamed(each, part)


def _may_define(module: str, name: str) -> bool:
    """Whether a star import of a module may bring a name."""
    if name in _BUILTINS:
        return name in _SHADOWED and module in {"torch", "numpy"}
    if module in _STAR_CAPITALISED:
        return name[:1].isupper() or name in _STAR_CAPITALISED[module]
    if module in _STAR_LOWER:
        return not name[:1].isupper() or name in _STAR_LOWER[module]
    return True


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """The documented name of something that a library also exports from elsewhere."""
    for exported_from, replacement in _REEXPORTS:
        name = exported_from.sub(replacement, name, count=1)
    package, _, rest = name.partition(".")
    if package == "lightning" and rest.partition(".")[0] in _LIGHTNING_TOP:
        return f"lightning.pytorch.{rest}"
    return name


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """The value that a call passes for a parameter, by keyword or at a position (from 0); None if it doesn't show."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is not None and position < len(call.args):
        before = call.args[: position + 1]
        if not any(isinstance(arg, ast.Starred) for arg in before):
            return call.args[position]
    return None


def passes_unseen_arguments(call: ast.Call) -> bool:
    """Whether a call has `*args` or `**kwargs`, so that what it passes can't all be seen."""
    return any(isinstance(arg, ast.Starred) for arg in call.args) or any(k.arg is None for k in call.keywords)
