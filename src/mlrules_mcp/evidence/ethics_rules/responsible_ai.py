from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.ethics_rules._cards import model_card
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, ESTIMATOR, NETWORK, PRETRAINED, SERVING, TRAINING
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = "huggingface_hub.ModelCard huggingface_hub.ModelCard.from_template model_card_toolkit.*"
_HEADING = (
    r"model card|intended uses?|out[- ]of[- ]scope uses?|ethical considerations?|ethics|responsible (ai|use)|misuse|"
    r"(broader|societal|social) impacts?|risks?, limitations|limitations,? and bias|bias(es)?,? (and|risks)|data ?sheet"
)
_HARM = r"\b(bias(ed|es)?|harm(ful|s)?|misuse|fair(ness)?|should not be used|not intended|sensitive|malicious)\b"
_ENOUGH = r"\w{2,}(\W+\w+){7,}"


class ResponsibleAi(Collector):
    """It is written down what a model is for, what it must not be used for, and where it fails.

    ## Met
    A model card or data sheet; sections on intended use, ethical considerations, misuse or impact; limitations that
    speak of harm or bias; code that writes model cards.

    ## Broken
    Never: what is missing has no place.

    ## Not applicable
    There is no model here.

    ## Never counts
    The licence of the code; limitations of the software; headings without text.

    ## References
    - https://arxiv.org/abs/1810.03993
    - https://huggingface.co/docs/hub/model-cards
    """

    asks = Asked.of(calls=_CALLS)
    would_count = "a model card with intended use, limits and the licence of data and weights"
    looked_in = "the documents, the prose of notebooks and the code"
    examples = (
        Example(
            {
                "train.py": TRAINED,
                "README.md": "# Intended use\n\nFor finding cars in photographs that were taken from the front.\n",
            },
            "met",
            ["README.md:1"],
        ),
        Example({"train.py": TRAINED, "LICENSE": "MIT License\n"}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no model."""
        if project.landmarks(TRAINING, DEEP_TRAINING, NETWORK, ESTIMATOR, PRETRAINED, SERVING):
            return None
        return project.lacks("code") or f"There is no model here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Cards and sections, then code."""
        for section, _ in project.told(_HEADING, _ENOUGH):
            yield Evidence(section.path, section.line, f"“{section.heading}”", section.cell)
        for section, _ in project.told(r"\blimitations?\b", _HARM):
            yield Evidence(section.path, section.line, f"“{section.heading}”", section.cell)
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))

    def next_step(self, project: Facts) -> NextStep:
        """A model card with what the code shows."""
        return NextStep("Add a model card", "small", "MODEL_CARD.md", model_card(project))
