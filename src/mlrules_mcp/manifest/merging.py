"""Several manifests as one set of rules: a later one may add rules, and set or switch off those of an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlrules_mcp.findings import Diagnostic
from mlrules_mcp.manifest.compiled import shipped_manifest
from mlrules_mcp.manifest.model import BlockDraft, Manifest, Override, Rule, RuleSet, closest_keys


def load_manifests(paths: Iterable[Path] = ()) -> RuleSet:
    """The shipped manifest with those in `paths` on top, in this order.

    Raises ManifestError for a file that cannot be read at all.
    """
    paths = tuple(paths)
    if not paths:
        return merge([shipped_manifest()])
    from mlrules_mcp.manifest.reader import read_manifest_file  # noqa: PLC0415 - it loads pydantic and PyYAML

    return merge([shipped_manifest(), *(read_manifest_file(path) for path in paths)])


def merge(manifests: Sequence[Manifest]) -> RuleSet:
    """The rules of all `manifests`; of two that speak of the same block and id, the text of the first stays.

    The later one's severity counts where it states one, which also switches the rule back on unless it says
    otherwise; its `enabled` counts likewise. Every change is among the rule's overrides. Which files a rule concerns
    is still a matter of the manifest that it came from (`Rule.source`).
    """
    merging = _Merging()
    for manifest in manifests:
        merging.add(manifest)
    return RuleSet(
        manifests=tuple(manifests),
        blocks=tuple(joined.finished() for joined in merging.blocks.values()),
        diagnostics=tuple(merging.diagnostics),
    )


@dataclass(slots=True)
class _Merging:
    blocks: dict[str, BlockDraft] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def add(self, manifest: Manifest) -> None:
        self.diagnostics += manifest.diagnostics
        for block in manifest.blocks:
            joined = self.blocks.get(block.name)
            if joined is None:
                # A block that only adjusts the rules of others is none of the set.
                if not block.rules and not block.guidance:
                    continue
                joined = self.blocks[block.name] = BlockDraft(block)
            joined.guidance += block.guidance
            for rule in block.rules:
                self._add_rule(joined, rule)
        for adjustment in manifest.adjustments:
            self._adjust(adjustment)

    def _add_rule(self, joined: BlockDraft, rule: Rule) -> None:
        known = joined.rules.get(rule.id)
        if known is None:
            joined.rules[rule.id] = rule
            return
        if rule.description != known.description:
            message = (
                f"{rule.key} has another text in {known.source}, line {known.line}, and that one counts; "
                "a later manifest may set severity and enabled, or give a rule a new id"
            )
            self._warn("text-not-overridden", message, rule)
        joined.rules[rule.id] = _overridden(known, rule)

    def _adjust(self, adjustment: Rule) -> None:
        joined = self.blocks.get(adjustment.block)
        known = joined.rules.get(adjustment.id) if joined else None
        if joined and known:
            joined.rules[adjustment.id] = _overridden(known, adjustment)
            return
        everything = tuple(rule for block in self.blocks.values() for rule in block.rules.values())
        closest = closest_keys(adjustment.key, everything)
        hint = f"; did you mean {' or '.join(closest)}?" if closest else ""
        message = f"{adjustment.key} adjusts a rule that no earlier manifest has, and has no text of its own{hint}"
        self._warn("adjusts-unknown-rule", message, adjustment)

    def _warn(self, code: str, message: str, rule: Rule) -> None:
        self.diagnostics.append(Diagnostic(code, "warning", rule.source, message, rule.line))


def _overridden(known: Rule, later: Rule) -> Rule:
    """`known` with the settings that `later` states."""
    overrides = list(known.overrides)
    severity = later.severity if "severity" in later.stated else known.severity
    enabled = later.enabled if later.stated else known.enabled
    if severity != known.severity:
        overrides.append(Override(later.source, later.line, "severity", known.severity, severity))
    if enabled != known.enabled:
        overrides.append(Override(later.source, later.line, "enabled", known.enabled, enabled))
    return replace(known, severity=severity, enabled=enabled, overrides=tuple(overrides))
