"""The rules as Agent Skills: one skill a block, in it one file a rule.

An assistant always knows the descriptions, reads a `SKILL.md` when it writes such code, and a rule's file when it wants
to know more. The format: https://agentskills.io/specification.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.checks.check import documentation
from mlrules_mcp.manifest.model import Block, Rule
from mlrules_mcp.report.check_markdown import check_markdown

MANIFEST = "SKILL.md"
REFERENCES = "references"
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 1024
_WHEN = "Use when writing, changing or reviewing machine-learning code."


@dataclass(frozen=True, slots=True)
class Skill:
    """The rules of a block as a skill; `name` is the name of its folder too."""

    name: str
    description: str
    block: Block

    @property
    def front_matter(self) -> dict[str, str]:
        """The data at the head of its `SKILL.md`."""
        return {"name": self.name, "description": self.description}

    def files(self, catalogue: Catalogue) -> dict[str, str]:
        """The text of all its files by their path in its folder, `SKILL.md` first."""
        rules = _in_force(self.block)
        paths = [f"{REFERENCES}/{name}.md" for name in _unique([_slug(rule.id, "_") for rule in rules])]
        files = {
            path: "\n".join(_reference(rule, catalogue)) + "\n"
            for path, rule in zip(paths, rules, strict=True)
            if catalogue.checks_of(rule)
        }
        # JSON's strings are YAML's too.
        head = [f"{key}: {json.dumps(text, ensure_ascii=False)}" for key, text in self.front_matter.items()]
        lines = ["---", *head, "---", "", f"# {self.block.heading or self.block.name}", "", *_guidance(self.block)]
        for path, rule in zip(paths, rules, strict=True):
            lines += ["", *_rule(rule, catalogue, path if path in files else None)]
        return {MANIFEST: "\n".join(lines) + "\n", **files}


def skills(catalogue: Catalogue) -> list[Skill]:
    """A skill for each block that has a rule in force, in the order of the manifest."""
    blocks = [block for block in catalogue.rules.blocks if _in_force(block)]
    names = _unique([_slug(f"{block.name.removesuffix('_rules')}-practices", "-") for block in blocks])
    return [Skill(name, _description(block), block) for name, block in zip(names, blocks, strict=True)]


def _in_force(block: Block) -> list[Rule]:
    return [rule for rule in block.rules if rule.enabled]


def _description(block: Block) -> str:
    """What the skill is about and when to use it; as many rules as there is room for."""
    texts = [" ".join(rule.description.split()).rstrip(".") for rule in _in_force(block)]
    room = _LONGEST_DESCRIPTION - len(_WHEN) - 2
    about = f"{block.heading or block.name}: {'; '.join(texts)}"
    return f"{about if len(about) <= room else about[: room - 1] + '…'}. {_WHEN}"


def _guidance(block: Block) -> Iterator[str]:
    yield "`analyze_code` runs the checks that are named below: mend errors and warnings, weigh advice. `fix_code`"
    yield "mends what can be mended safely. The file behind a rule says what its checks leave alone, with examples."
    if block.guidance:
        yield ""
        yield from (f"- {bullet.text}" for bullet in block.guidance)


def _rule(rule: Rule, catalogue: Catalogue, path: str | None) -> Iterator[str]:
    more = f"[Bad and good code]({path})." if path else "No check looks for it in code: it is a practice to follow."
    yield from (f"## {rule.description}", "", f"`{rule.key}`, {rule.severity}. {more}")
    if path:
        yield ""
        yield from (f"- `{check.name}`: {documentation(type(check))['summary']}" for check in catalogue.checks_of(rule))


def _reference(rule: Rule, catalogue: Catalogue) -> Iterator[str]:
    yield from (f"# {rule.description}", "", f"`{rule.key}`, {rule.severity}.")
    for check in catalogue.checks_of(rule):
        yield from check_markdown(check, level=2)


def _slug(text: str, joint: str) -> str:
    """A text as a name of lower-case letters, digits and joints, as names of skills have to be."""
    words = re.findall("[a-z0-9]+", text.lower()) or ["rules"]
    return joint.join(words)[:_LONGEST_NAME].strip(joint)


def _unique(names: list[str]) -> list[str]:
    """The names, with a number where one was there before."""
    made: list[str] = []
    for name in names:
        number, candidate = 2, name
        while candidate in made:
            candidate = f"{name[: _LONGEST_NAME - 4]}-{number}"
            number += 1
        made.append(candidate)
    return made
