"""Reviews a project: reads it, and asks every rule's collector."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from mlrules_mcp import evidence
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.evidence.answer import Answer, Review
from mlrules_mcp.evidence.collector import CodeCollector, Collector
from mlrules_mcp.evidence.facts import Facts
from mlrules_mcp.evidence.limits import Budget, Limits
from mlrules_mcp.evidence.reading import OnProgress, Reader
from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.manifest.model import Rule


class NothingToReview(Exception):
    """The root is no folder that can be read; the message says what to do."""


def review(
    root: Path,
    catalogue: Catalogue | None = None,
    limits: Limits | None = None,
    progress: OnProgress = lambda _done, _total, _what: None,
) -> Review:
    """Every rule against a project.

    Args:
        root: its folder. Nothing outside it is read and nothing in it is run or changed.
        catalogue: the rules in force and their checks; by default the shipped ones.
        limits: how much is read at most; what was left out is said.
        progress: told how many files are done, of how many (0 while that is not known), and what comes next.
            An exception that it raises stops the review and comes out of here.

    Raises:
        NothingToReview: the root isn't there, or is no folder.
    """
    started = time.monotonic()
    folder = _folder(root)
    catalogue = catalogue or Catalogue()
    by_rule = {cls.rule: cls for cls in all_collectors()}
    rules = catalogue.rules.rules
    collectors = [by_rule[rule.key](rule.severity) for rule in rules if rule.key in by_rule and rule.enabled]
    budget = Budget(limits or Limits())
    reader = Reader(folder, catalogue, collectors, budget, progress)
    facts = reader.read()
    asked = {collector.rule: collector for collector in collectors}
    failures: list[Diagnostic] = []
    answers = [
        replace(_answer(rule, asked.get(rule.key), facts, failures), description=rule.description) for rule in rules
    ]
    return Review(
        folder.name or folder.as_posix(),
        facts.kinds,
        tuple(answers),
        facts.counts,
        tuple(budget.reached.values()),
        tuple(_worst_first([*failures, *reader.diagnostics])),
        time.monotonic() - started,
    )


def _folder(root: Path) -> Path:
    try:
        folder = root.resolve()
        if folder.is_dir():
            next(folder.iterdir(), None)  # one that can't be listed says so here
            return folder
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NothingToReview(f"{root.as_posix()} can't be read: {reason}.") from None
    if folder.exists():
        raise NothingToReview(
            f"{root.as_posix()} is a file, and a review is of a whole project: name its folder, "
            f"or check the file alone: mlrules-mcp check {root.as_posix()}"
        )
    raise NothingToReview(f"There is no folder {root.as_posix()}. Name the folder of a project.")


def _answer(rule: Rule, collector: Collector | None, facts: Facts, failures: list[Diagnostic]) -> Answer:
    if not rule.enabled:
        return Answer(rule.key, rule.severity, "not_applicable", f"The rule is switched off ({rule.source}).")
    if collector is None:
        return Answer(rule.key, rule.severity, "not_applicable", "No evidence is collected for this rule.")
    try:
        return collector.collect(facts)
    except Exception as error:  # a bug in one collector must not cost the user the other answers
        message = f"The review of {rule.key} failed: {type(error).__name__}: {error}. Please report this"
        failures.append(Diagnostic("review-failed", "warning", ".", message))
        return Answer(rule.key, rule.severity, "no_evidence", message)


def _worst_first(diagnostics: list[Diagnostic]) -> Iterator[Diagnostic]:
    yield from sorted(dict.fromkeys(diagnostics), key=lambda each: each.severity != "error")


@cache
def all_collectors() -> tuple[type[Collector], ...]:
    """Every collector class, found by walking this package."""
    return tuple(_discover())


def _discover() -> Iterator[type[Collector]]:
    for info in pkgutil.walk_packages(evidence.__path__, f"{evidence.__name__}."):
        if info.name.count(".") < 3 or info.ispkg or info.name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            is_collector = isinstance(value, type) and issubclass(value, Collector) and value.__module__ == info.name
            if is_collector and value not in (Collector, CodeCollector):
                yield value
