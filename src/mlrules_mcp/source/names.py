"""The fourth layer of a Module: what a name or a dotted expression stands for, through imports and aliases."""

from __future__ import annotations

import ast
import builtins
import re
from functools import cached_property, lru_cache

from mlrules_mcp.source.flow import Flow
from mlrules_mcp.source.scopes import Binding

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
}
_LIGHTNING_TOP = frozenset({"Trainer", "LightningModule", "LightningDataModule", "Callback", "seed_everything"})
_REEXPORTS = (
    (re.compile(r"^pytorch_lightning\b"), "lightning.pytorch"),
    (re.compile(r"^lightning_fabric\b"), "lightning.fabric"),
    (re.compile(r"^lightning\.pytorch\.core(\.\w+)?\.(?=Lightning)"), "lightning.pytorch."),
    (re.compile(r"^lightning\.pytorch\.trainer(\.\w+)?\.(?=Trainer$)"), "lightning.pytorch."),
    (re.compile(r"^torch\.nn\.modules\.(\w+\.)*(?=[A-Z])"), "torch.nn."),
    (re.compile(r"^torch\.nn\.parameter\.(?=[A-Z])"), "torch.nn."),
    (re.compile(r"^torch\.optim\.[a-z]+\.(?=[A-Z])(?<!lr_scheduler\.)"), "torch.optim."),
    (
        re.compile(r"^torch\.utils\.data\.(dataloader|dataset|sampler|distributed)\.(?=[A-Za-z])"),
        "torch.utils.data.",
    ),
    (
        re.compile(r"^torch\.autograd\.(grad_mode\.)?(?=(no_grad|enable_grad|set_grad_enabled|inference_mode)$)"),
        "torch.",
    ),
    (re.compile(r"^torch\.functional\.(?=\w+$)"), "torch."),
    (re.compile(r"^(sklearn\.\w+)\._\w+\.(?=[A-Za-z])"), r"\1."),
)
_STAR_CAPITALISED = frozenset({"torch.nn", "torch.optim", "torch.utils.data", "torch.optim.lr_scheduler"})
_STAR_LOWER = frozenset({"torch", "torch.nn.functional", "torch.nn.init"})
_BUILTINS = frozenset(dir(builtins))
_DEEPEST = 20


class Names(Flow):
    """Flow that resolves names to what they stand for."""

    def qualified_name(self, node: ast.AST) -> str | None:
        """The full dotted name of what an expression refers to: `torch.nn.Linear` for `N.Linear`.

        Follows imports, aliases (`Dense = nn.Linear`), star imports and rebinding. None for anything else:
        a local function, a variable with another value, an attribute of a call's result.
        """
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        if node in self._qualified:
            return self._qualified[node]
        attributes: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            attributes.append(base.attr)
            base = base.value
        resolved = self._resolve(base, 0) if isinstance(base, ast.Name) else None
        if resolved is not None and attributes:
            resolved = ".".join((resolved, *reversed(attributes)))
        name = canonical(resolved) if resolved is not None else None
        self._qualified[node] = name
        return name

    @cached_property
    def _qualified(self) -> dict[ast.AST, str | None]:
        return {}

    def _resolve(self, name: ast.Name, depth: int) -> str | None:
        if name.id not in self.bindings:
            return self._unbound(name.id)
        if (target := self._only_imported.get(name.id)) is not None:
            return target
        if not self.bindings_in_scope(name):
            return self._unbound(name.id)
        targets = {self._target(binding, depth) for binding in self.reaching(name)}
        targets.discard("")
        return targets.pop() if len(targets) == 1 else None

    def _target(self, binding: Binding, depth: int) -> str | None:
        """What a binding makes its name stand for; an empty text for a placeholder (`x = None`)."""
        match binding:
            case Binding(kind="import", node=ast.alias() as alias):
                return self._imported(alias)
            case Binding(kind="assignment", value=ast.Constant(value=None)):
                return ""
            case Binding(kind="assignment", value=ast.Name() | ast.Attribute() as value) if depth < _DEEPEST:
                attributes: list[str] = []
                base: ast.expr = value
                while isinstance(base, ast.Attribute):
                    attributes.append(base.attr)
                    base = base.value
                resolved = self._resolve(base, depth + 1) if isinstance(base, ast.Name) else None
                return ".".join((resolved, *reversed(attributes))) if resolved else None
        return None

    def _imported(self, alias: ast.alias) -> str:
        statement = self._parents[alias]
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            return f"{module}{alias.name}" if module.endswith(".") or not module else f"{module}.{alias.name}"
        return alias.name if alias.asname else alias.name.partition(".")[0]

    @cached_property
    def _only_imported(self) -> dict[str, str]:
        """The names that every binding of the module imports as the same thing: most of those that matter."""
        found: dict[str, str] = {}
        for name, bindings in self.bindings.items():
            if all(binding.kind == "import" for binding in bindings):
                targets = {self._target(binding, 0) for binding in bindings}
                visible = any(binding.scope is self.tree for binding in bindings)
                if len(targets) == 1 and visible and (target := targets.pop()):
                    found[name] = target
        return found

    def _unbound(self, name: str) -> str | None:
        if name in _CONVENTIONS:
            return _CONVENTIONS[name]
        if name in _BUILTINS and not (self._star_imports and name in {"all", "any", "max", "min", "sum", "abs"}):
            return f"builtins.{name}"
        for module in self._star_imports:
            capitalised = name[:1].isupper()
            if (capitalised and module in _STAR_LOWER) or (not capitalised and module in _STAR_CAPITALISED):
                continue
            return f"{module}.{name}"
        return f"builtins.{name}" if name in _BUILTINS else None

    @cached_property
    def _star_imports(self) -> list[str]:
        """The modules whose names are all imported, the last first: what a later one defines hides an earlier's."""
        return [
            "." * statement.level + (statement.module or "")
            for statement in reversed(self.nodes(ast.ImportFrom))
            if any(alias.name == "*" for alias in statement.names)
        ]

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
        aliases: dict[str, str] = {}
        for name, bindings in self.bindings.items():
            for binding in bindings:
                if binding.kind == "import" or isinstance(binding.value, ast.Attribute | ast.Name):
                    target = self._target(binding, 0)
                    if target and target.rpartition(".")[2] != name:
                        aliases[name] = target.rpartition(".")[2]
        return aliases

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
        return [call for name in names for call in self._calls_by_name.get(name, [])]


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """The documented name of something that a library also exports from elsewhere."""
    for pattern, replacement in _REEXPORTS:
        name = pattern.sub(replacement, name, count=1)
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
