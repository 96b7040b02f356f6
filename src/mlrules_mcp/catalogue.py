"""The catalogue: every check, joined to the rule of the manifest that it enforces."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
from collections.abc import Collection, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from mlrules_mcp import checks as checks_package
from mlrules_mcp.checks.check import Check
from mlrules_mcp.manifest.compiled import shipped_manifest
from mlrules_mcp.manifest.model import Manifest, Rule, RuleCollection
from mlrules_mcp.source import Module

AnyCheck = Check[ast.AST]

# Written by `make docs`.
INDEX = Path(__file__).parent / "checks" / "index.json"


class Entry(NamedTuple):
    """What is known of a check before it is loaded; see `Check` for the names."""

    module: str
    cls: str
    rules: tuple[str, ...]
    packages: frozenset[str]
    names: tuple[str, ...]
    words: tuple[str, ...]


class UnknownSelection(Exception):
    """A name that is neither a check, nor a rule, nor a block; the message names what is close."""


class Catalogue:
    """The rules in force and the checks that enforce them, in the order of the manifest.

    Args:
        rules: by default those of the shipped manifest. Rules that are switched off have no checks.
    """

    def __init__(self, rules: RuleCollection | None = None) -> None:
        self.rules = rules or shipped_manifest()

    @cached_property
    def checks(self) -> tuple[AnyCheck, ...]:
        """The checks. They are loaded when first asked for: a server lists its tools and rules without them."""
        enabled = {rule.key: rule for rule in self.rules.rules if rule.enabled}
        order = {key: number for number, key in enumerate(enabled)}
        found = [
            check(rule.severity, rule.key)
            for check in all_checks()
            if (rule := next((enabled[key] for key in (check.rule, *check.also_enforces) if key in enabled), None))
        ]
        return tuple(sorted(found, key=lambda check: order[check.rule]))

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """The manifests that the rules come from, the shipped one first."""
        return (self.rules,) if isinstance(self.rules, Manifest) else getattr(self.rules, "manifests", ())

    def checks_for(self, module: Module) -> Iterator[AnyCheck]:
        """The checks that have something to look at in a module; the others need not even be loaded.

        To load all takes half of what the command line needs for a file.
        """
        if "checks" in self.__dict__:
            yield from (check for check in self.checks if _concerns(check, module))
            return
        for place, (entry, rule) in enumerate(self._entries):
            if _concerns(entry, module):
                check = self._loaded[place]
                if check is None and (not entry.names or any(name in module.source.code for name in entry.names)):
                    check = self._loaded[place] = _check_class(entry)(rule.severity, rule.key)
                if check is not None:
                    yield check

    def rules_for(self, module: Module) -> list[Rule]:
        """The rules with a check that has something to look at in a module."""
        keys = {key for entry, _ in self._entries if _concerns(entry, module) for key in entry.rules}
        return [rule for rule in self.rules.rules if rule.enabled and rule.key in keys]

    @cached_property
    def _loaded(self) -> list[AnyCheck | None]:
        """The checks of `_entries` as far as they are loaded."""
        return [None] * len(self._entries)

    @cached_property
    def _entries(self) -> list[tuple[Entry, Rule]]:
        """The checks of the enabled rules in the order of the manifest, each with the rule that its findings name."""
        enabled = {rule.key: rule for rule in self.rules.rules if rule.enabled}
        order = {key: number for number, key in enumerate(enabled)}
        found = [
            (entry, rule)
            for entry in index()
            if (rule := next((enabled[key] for key in entry.rules if key in enabled), None))
        ]
        return sorted(found, key=lambda each: order[each[1].key])

    def checks_of(self, rule: Rule) -> list[AnyCheck]:
        """The checks that enforce a rule, those whose findings name another one last."""
        checks = [check for check in self.checks if rule.key in check.rules] if rule.enabled else []
        return sorted(checks, key=lambda check: check.rule != rule.key)

    def narrowed(self, select: Collection[str] = (), ignore: Collection[str] = ()) -> Catalogue:
        """The catalogue with only the selected checks, and without the ignored ones.

        Args:
            select: names of checks, rules (`block.id`, or the id where it is unambiguous) or blocks; empty is all.
            ignore: the same, to leave out; a rule stands for the checks whose findings name it.

        Raises:
            UnknownSelection: a name stands for nothing.
        """
        if not select and not ignore:
            return self
        kept = {check.name for name in select for check in self.named(name)} if select else None
        dropped = {check.name for name in ignore for check in self.named(name) if _is_named(name, check, check.rule)}
        narrowed = Catalogue(self.rules)
        narrowed.checks = tuple(
            check for check in self.checks if (kept is None or check.name in kept) and check.name not in dropped
        )
        return narrowed

    def named(self, name: str) -> list[AnyCheck]:
        """The checks that a name stands for: a check, all of a rule, or all of a block.

        Raises:
            UnknownSelection: it stands for nothing.
        """
        matching = [check for check in self.checks if _is_named(name, check, *check.rules)]
        if not matching and not any(name in (r.key, r.id, r.block) for r in self.rules.rules):
            from difflib import get_close_matches  # noqa: PLC0415 - only on this path

            known = {check.name for check in self.checks} | {rule.key for rule in self.rules.rules}
            close = get_close_matches(name, sorted(known), n=3)
            hint = f" Did you mean {' or '.join(close)}?" if close else " `mlrules-mcp rules` lists the rules."
            raise UnknownSelection(f"There is no check, rule or block called '{name}'.{hint}")
        return matching


def _is_named(name: str, check: AnyCheck, *rules: str) -> bool:
    """Whether a name is a check's own, or the key, the id or the block of one of these rules."""
    return name == check.name or any(name in (rule, *rule.split(".", 1)) for rule in rules)


@cache
def index() -> tuple[Entry, ...]:
    """What the index of checks holds, in the order of `all_checks`."""
    data = json.loads(INDEX.read_text(encoding="utf-8"))
    packages = [frozenset(names) for names in data["packages"]]
    return tuple(
        Entry(
            each["module"],
            each["cls"],
            tuple(each["rules"]),
            packages[each["packages"]],
            tuple(each["names"]),
            tuple(each["words"]),
        )
        for each in data["checks"]
    )


def _concerns(check: AnyCheck | Entry, module: Module) -> bool:
    """Whether a module may hold something for a check, as far as its packages and the words of its code tell."""
    if not module.uses(check.packages):
        return False
    return not check.words or any(word in module.source.code for word in check.words)


def _check_class(entry: Entry) -> type[AnyCheck]:
    module = importlib.import_module(entry.module)
    check: type[AnyCheck] = getattr(module, entry.cls)
    return check


@cache
def all_checks() -> tuple[type[AnyCheck], ...]:
    """Every check class, found by walking the package `checks`."""
    return tuple(_discover())


def _discover() -> Iterator[type[AnyCheck]]:
    for info in pkgutil.walk_packages(checks_package.__path__, f"{checks_package.__name__}."):
        if info.ispkg or info.name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, Check)
                and value.__module__ == info.name
                and value is not Check
            ):
                yield value
