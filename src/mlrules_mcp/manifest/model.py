"""What a rule file says, as plain data: rules in blocks, and how a rule is found by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from mlrules_mcp.findings import Diagnostic, Severity

Trigger: TypeAlias = Literal["always_on", "glob", "model_decision", "manual"]
Setting: TypeAlias = Literal["severity", "enabled"]

TRIGGERS: tuple[Trigger, ...] = ("always_on", "glob", "model_decision", "manual")
DEFAULT_SEVERITY: Severity = "warning"


class RuleNameError(LookupError):
    """A name that does not stand for one rule; the message says what to write instead."""


# What is longer than this is no rule's name: error messages quote and compare so much of it.
LONGEST_NAME = 200


class UnknownRule(RuleNameError):
    """No rule has this name; `suggestions` are the closest keys, best first."""

    def __init__(self, name: str, suggestions: tuple[str, ...], blocks: tuple[str, ...]) -> None:
        self.name = name
        self.suggestions = suggestions
        hint = (
            f"did you mean {' or '.join(suggestions)}?"
            if suggestions
            else f"a rule is named block.id, and the blocks are: {', '.join(blocks) or 'none'}"
        )
        super().__init__(f"there is no rule {name[:LONGEST_NAME]!r}; {hint}")


class AmbiguousRule(RuleNameError):
    """A bare id that several blocks use; `candidates` are their keys in order."""

    def __init__(self, name: str, candidates: tuple[str, ...]) -> None:
        self.name = name
        self.candidates = candidates
        super().__init__(f"{name!r} names {len(candidates)} rules; write one of {', '.join(candidates)}")


@dataclass(frozen=True, slots=True)
class Override:
    """A setting of a rule that a later manifest changed, and the place where it did."""

    source: str
    line: int
    field: Setting
    old: str | bool
    new: str | bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `line` is where its item begins in `source`, counted from 1.

    `stated` names the settings that the manifest gave in so many words: a severity that is only the default
    must not override one that an earlier manifest chose. `overrides` are in the order they were applied in.
    """

    block: str
    id: str
    severity: Severity
    description: str
    line: int
    source: str
    enabled: bool = True
    stated: tuple[Setting, ...] = ()
    overrides: tuple[Override, ...] = ()

    @property
    def key(self) -> str:
        """The rule's full name: ids alone are not unique in a manifest."""
        return f"{self.block}.{self.id}"


@dataclass(frozen=True, slots=True)
class Guidance:
    """A bullet of prose that explains the rules of a block, with the heading it stands under."""

    text: str
    line: int
    heading: str
    source: str


@dataclass(frozen=True, slots=True)
class Block:
    """Rules under one name, with the heading they stand under and the guidance that follows them."""

    name: str
    heading: str
    line: int
    source: str
    rules: tuple[Rule, ...] = ()
    guidance: tuple[Guidance, ...] = ()


@dataclass(slots=True)
class BlockDraft:
    """A block while it is put together; `block` carries its name and place."""

    block: Block
    rules: dict[str, Rule] = field(default_factory=dict)
    guidance: list[Guidance] = field(default_factory=list)

    def finished(self) -> Block:
        """The block with what has been gathered."""
        return replace(self.block, rules=tuple(self.rules.values()), guidance=tuple(self.guidance))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCollection:
    """Blocks of rules in order, and what was odd about the files they came from."""

    blocks: tuple[Block, ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule in the order of the manifests, those that are switched off included."""
        return tuple(rule for block in self.blocks for rule in block.rules)

    def block(self, name: str) -> Block:
        """The block called `name`; KeyError where there is none."""
        for block in self.blocks:
            if block.name == name:
                return block
        raise KeyError(name)

    def rule(self, name: str) -> Rule:
        """The rule called `name`: its key `block.id`, or its id where only one block uses it.

        Raises UnknownRule or AmbiguousRule, both RuleNameError.
        """
        rules = self.rules
        for rule in rules:
            if rule.key == name:
                return rule
        candidates = [rule for rule in rules if rule.id == name]
        if len(candidates) > 1:
            raise AmbiguousRule(name, tuple(rule.key for rule in candidates))
        if not candidates:
            blocks = tuple(block.name for block in self.blocks)
            raise UnknownRule(name, closest_keys(name, rules), blocks)
        return candidates[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(RuleCollection):
    """One rule file as it was read; `source` is the label that messages use for it.

    `adjustments` are items without a text of their own: they set the severity of a rule of an earlier manifest
    or switch it off, and mean nothing until the manifests are merged.
    """

    source: str
    trigger: Trigger = "always_on"
    description: str = ""
    globs: tuple[str, ...] = ()
    context: Mapping[str, object] = field(default_factory=dict)
    version: str | None = None
    last_updated: str | None = None
    adjustments: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet(RuleCollection):
    """Several manifests as one: their blocks joined, each rule with the overrides that later ones made."""

    manifests: tuple[Manifest, ...]


def closest_keys(name: str, rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """Up to three keys that `name`, a key or a bare id, may have been meant for, best first."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - needed for error messages only

    wanted = name[:LONGEST_NAME].casefold().replace("-", "_")  # a comparison takes the square of the length

    def likeness(rule: Rule) -> float:
        return max(SequenceMatcher(None, wanted, known).ratio() for known in (rule.key, rule.id))

    scored = sorted(((likeness(rule), rule.key) for rule in rules), key=lambda pair: -pair[0])
    return tuple(key for score, key in scored[:3] if score >= 0.6)
