"""A model card, filled with what the code of a project shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlrules_mcp.evidence.ethics_rules._people import protected_columns
from mlrules_mcp.evidence.landmarks import DATA, ESTIMATOR, NETWORK, PRETRAINED, TRAINING
from mlrules_mcp.evidence.networks import where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_MOST = 5


def model_card(project: Facts) -> str:
    """The card: what the code shows is in it with its place, the rest are questions to answer."""
    models = _listed(_own(project.landmarks(NETWORK, ESTIMATOR)))
    loaded = _listed(project.landmarks(PRETRAINED), "- starts from ")
    data = _listed(project.landmarks(DATA))
    trained = _listed(project.landmarks(TRAINING)[:2], "- trained in ")
    people = protected_columns(project)
    groups = f" Columns about people: {', '.join(sorted(set(map(where, people)))[:3])}." if people else ""
    licence = next(iter(project.paths("LICENSE*", "LICENCE*", "COPYING*")), None)
    return f"""# Model card: {project.root.name}

## Model

{models or "- which architecture, with how many parameters"}
{loaded}{trained}- version and date: …
- licence of the code: {licence or "…"}; of the weights: …

## Intended use

- For whom and for what decision: …
- Not for: …

## Training data

{data or "- where they come from"}
- collected when, where and how, under which licence: …
- who or what is missing in them: …

## Evaluation

| data | metric | value | interval over seeds |
| --- | --- | ---: | ---: |
| … | … | … | … |

- results by group or by kind of input:{groups or " …"}

## Limitations and risks

- Where it fails, and how that was found: …
- What happens to somebody when it is wrong, and what they can do: …
"""


def _own(facts: Sequence[Fact]) -> list[Fact]:
    """One place for each model."""
    first: dict[str, Fact] = {}
    for fact in facts:
        first.setdefault(fact.called or fact.text, fact)
    return list(first.values())


def _listed(facts: Sequence[Fact], start: str = "- ") -> str:
    lines = [f"{start}`{fact.text[:90]}` ({where(fact)})" for fact in facts[:_MOST]]
    return "\n".join(lines) + ("\n" if lines and start != "- " else "")
