"""Rule files as text to manifests: never silent about what it could not read, never silent about what it assumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from mlrules_mcp.manifest.annotations import Annotation, BodyReader, Bullet, Heading, Item, means_rules
from mlrules_mcp.manifest.collector import Collector
from mlrules_mcp.manifest.front_matter import FrontMatter, read_front_matter
from mlrules_mcp.manifest.globs import split_patterns
from mlrules_mcp.manifest.hidden import report_hidden, report_hidden_in
from mlrules_mcp.manifest.items import read_item
from mlrules_mcp.manifest.model import TRIGGERS, Block, BlockDraft, Guidance, Manifest, Rule, Trigger

# Windsurf takes 12,000 characters; content of this size that is made to be slow is read in some seconds.
MAX_BYTES = 256 * 1024


class ManifestError(Exception):
    """A rule file that cannot be read at all; the message says why and what to do."""


def read_manifest_file(path: Path, source: str | None = None) -> Manifest:
    """The manifest in the file `path`, called `source` (by default the path) in messages.

    Raises ManifestError where the file is missing, is no file, cannot be opened, is larger than MAX_BYTES or is
    not UTF-8. What is wrong with its content is in the manifest's diagnostics.
    """
    try:
        if not path.exists():
            raise ManifestError(f"there is no rule file {path}; check the path")
        if not path.is_file():
            raise ManifestError(f"{path} is not a file; name the rule file itself, such as {path / 'rules.md'}")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ManifestError(f"the rule file {path} cannot be read: {error.strerror}; check the path") from error
    if len(content) > MAX_BYTES:
        raise ManifestError(f"the rule file {path} is larger than {MAX_BYTES // 1024} KiB; is it a rule file?")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"the rule file {path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    return read_manifest(text, source or str(path))


def read_manifest(text: str, source: str) -> Manifest:
    """The manifest that `text` holds; `source` is what its diagnostics call it. Never raises for its content."""
    collector = Collector(source)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    dirty = report_hidden(lines, collector)
    front = read_front_matter(lines, collector)
    assembly = _Assembly(collector, dirty)
    for part in BodyReader(lines, collector).parts(front.body):
        assembly.add(part)
    return assembly.manifest(front)


@dataclass(slots=True)
class _Assembly:
    """The manifest while its parts come in, in the order of the file."""

    collector: Collector
    dirty: frozenset[int]
    heading: str = ""
    drafts: dict[str, BlockDraft] = field(default_factory=dict)
    latest: BlockDraft | None = None
    adjustments: list[Rule] = field(default_factory=list)
    meta: dict[str, object] = field(default_factory=dict)
    homeless: list[int] = field(default_factory=list)

    def add(self, part: Heading | Bullet | Annotation) -> None:
        """Take in the next part of the body."""
        is_clean = self.dirty.isdisjoint(range(part.line, part.end_line + 1))
        match part:
            case Heading():
                self.heading = part.text if is_clean else ""
            case Bullet() if is_clean and part.text:
                self._add_guidance(part)
            case Annotation(name="context" | "version" | "last_updated"):
                if is_clean and not part.broken:
                    self._add_meta(part)
            case Annotation():
                self._add_annotation(part)

    def _add_guidance(self, bullet: Bullet) -> None:
        if self.latest is None:
            self.homeless.append(bullet.line)
        else:
            guidance = Guidance(bullet.text, bullet.line, self.heading, self.collector.source)
            self.latest.guidance.append(guidance)

    def _add_meta(self, part: Annotation) -> None:
        wanted = dict if part.name == "context" else str
        if part.name in self.meta:
            self.collector.warning("annotation-twice", f"@{part.name} is given twice; the first counts", part.line)
        elif not isinstance(part.value, wanted):
            shape = "an object" if wanted is dict else "a text in quotes"
            self.collector.error("annotation-shape", f"@{part.name} must be {shape}; it is left out", part.line)
        elif not report_hidden_in(part.value, f"@{part.name}", part.line, self.collector):
            self.meta[part.name] = part.value

    def _add_annotation(self, part: Annotation) -> None:
        """A list of objects with ids is a block of rules, whatever its name; other values are not for us."""
        has_ids = any(isinstance(item.value, dict) and "id" in item.value for item in part.items or ())
        if has_ids or (part.items == () and (part.broken or means_rules(part.name))):
            draft = self._draft(part)
            for item in part.items or ():
                if self.dirty.isdisjoint(range(item.line, item.end_line + 1)):
                    self._add_item(draft, item)
        elif means_rules(part.name) and not part.broken:
            self.collector.error(
                "block-shape",
                f'@{part.name} is left out: a block of rules is a list of objects with an "id"',
                part.line,
            )

    def _draft(self, part: Annotation) -> BlockDraft:
        draft = self.drafts.get(part.name)
        if draft is None:
            block = Block(part.name, self.heading, part.line, self.collector.source)
            draft = self.drafts[part.name] = BlockDraft(block)
        else:
            self.collector.warning(
                "block-twice",
                f"the block {part.name} is given twice; its rules were added to those of line {draft.block.line}",
                part.line,
            )
        self.latest = draft
        return draft

    def _add_item(self, draft: BlockDraft, item: Item) -> None:
        rule = read_item(item, draft.block.name, self.collector)
        if rule is None:
            return
        if not rule.description:
            self.adjustments.append(rule)
        elif first := draft.rules.get(rule.id):
            self.collector.error(
                "rule-twice", f"{rule.key} is given twice; the one of line {first.line} counts", rule.line
            )
        else:
            draft.rules[rule.id] = rule

    def manifest(self, front: FrontMatter) -> Manifest:
        """What has come in, under the head `front`."""
        blocks = tuple(draft.finished() for draft in self.drafts.values())
        has_rules = any(block.rules for block in blocks)
        if not has_rules and not self.adjustments:
            self.collector.warning(
                "no-rules", 'no rule was found; rules stand in blocks such as @my_rules [{"id": …, "description": …}]'
            )
        if self.homeless:
            self.collector.warning(
                "guidance-without-block",
                f"{len(self.homeless)} list items before the first block of rules belong to none and are left out",
                self.homeless[0],
            )
        head = _Head(front, self.collector)
        globs = head.globs()
        return Manifest(
            source=self.collector.source,
            description=head.text("description") or "",
            globs=globs,
            trigger=head.trigger(globs, has_rules),
            context=cast("dict[str, object]", self.meta.get("context", {})),
            version=cast("str | None", self.meta.get("version")),
            last_updated=cast("str | None", self.meta.get("last_updated")),
            blocks=blocks,
            adjustments=tuple(self.adjustments),
            diagnostics=self.collector.in_order(),
        )


@dataclass(frozen=True, slots=True)
class _Head:
    """What the front matter says, as a manifest needs it."""

    front: FrontMatter
    collector: Collector

    def text(self, key: str) -> str | None:
        """The text under `key`, None where there is none that can be passed on."""
        entry = self.front.entries.get(key)
        if entry is None or report_hidden_in(entry.value, key, entry.line, self.collector):
            return None
        if isinstance(entry.value, list):
            self.collector.warning("front-matter-shape", f"{key} must be a text; its items were joined", entry.line)
            return ", ".join(entry.value)
        return entry.value.strip()

    def globs(self) -> tuple[str, ...]:
        """The patterns under `globs`, without those that hide something."""
        entry = self.front.entries.get("globs")
        if entry is None:
            return ()
        patterns = split_patterns(entry.value)
        return tuple(
            pattern
            for pattern in patterns
            if not report_hidden_in(pattern, "a pattern of globs", entry.line, self.collector)
        )

    def trigger(self, globs: tuple[str, ...], has_rules: bool) -> Trigger:
        """The trigger, or what its absence is taken for: `glob` where there are globs, `always_on` otherwise."""
        assumed: Trigger = "glob" if globs else "always_on"
        given = self.text("trigger")
        entry = self.front.entries.get("trigger")
        line = entry.line if entry else self.front.line
        for trigger in TRIGGERS:
            if given == trigger:
                if trigger == "glob" and not globs:
                    self.collector.warning(
                        "glob-without-globs", "trigger is glob but there are no globs: it never applies", line
                    )
                return trigger
        if given:
            known = ", ".join(TRIGGERS)
            self.collector.warning(
                "unknown-trigger", f"trigger {given!r} is none of {known}; {assumed} was assumed", line
            )
        elif has_rules:
            self.collector.warning("no-trigger", f"the front matter gives no trigger; {assumed} was assumed", line)
        return assumed
