from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.ethics_rules._people import (
    PERSONAL_KEYS,
    PROTECTED_KEYS,
    personal_columns,
    protected_columns,
)
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import NO_NETWORK, where

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "presidio_analyzer.* presidio_anonymizer.* opacus.* tensorflow_privacy.* diffprivlib.* scrubadub.* pydp.* flwr.*"
)
_DEFINITIONS = "anonymi pseudonym redact scrub_pii mask_pii remove_pii"
_HEADING = r"\b(privacy|gdpr|data protection|consent|anonymi[sz]|pseudonymi[sz]|hipaa|personal data)"
_TRAINED = """\
import pandas as pd
from sklearn.linear_model import LogisticRegression

df = pd.read_csv("customers.csv")
df = df[df["email"].notna()]
model = LogisticRegression().fit(df[["income"]], df["paid"])
"""


class DataPrivacy(Collector):
    """Data about people are used with a reason, kept from leaking, and stripped of what the model does not need.

    ## Met
    Anonymization or differential privacy in code (Presidio, Opacus and others, or functions of the project); a section
    on privacy or consent in the documents.

    ## Broken
    A static check finds personal data in logs or saved outputs, or secrets in code.

    ## Not applicable
    No column about people shows in code or configuration, and no secret in code.

    ## Never counts
    A `.gitignore` by itself; a column that is merely dropped.

    ## References
    - https://opacus.ai/
    - https://microsoft.github.io/presidio/
    """

    asks = Asked.of(calls=_CALLS, definitions=_DEFINITIONS, keys=f"{PERSONAL_KEYS} {PROTECTED_KEYS}")
    would_count = "anonymization or differential privacy in code, or a section on privacy or consent in the documents"
    looked_in = "the code, notebooks and documents"
    examples = (
        Example(
            {
                "train.py": _TRAINED,
                "clean.py": """\
                import hashlib


                def pseudonymize(email, salt):
                    return hashlib.sha256(salt + email.encode()).hexdigest()
                """,
            },
            "met",
            ["clean.py:4"],
        ),
        Example({"train.py": _TRAINED, ".gitignore": "data/\n"}, "no_evidence"),
        Example(
            {"train.py": _TRAINED.replace("email", "rooms").replace("income", "area")},
            "not_applicable",
        ),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing shows data about people."""
        if personal_columns(project) or protected_columns(project):
            return None
        return project.lacks("code") or f"No column about people, and no secret in code, shows here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Libraries, functions, documents."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))
        yield from (of(fact) for fact in project.definitions(*_DEFINITIONS.split()))
        for section, _ in project.told(_HEADING, r"\w{3,}(\W+\w+){8,}"):
            yield Evidence(section.path, section.line, f"“{section.heading}”", section.cell)

    def next_step(self, project: Facts) -> NextStep:
        """A section for the documents, with the columns that were found."""
        places = [*personal_columns(project), *protected_columns(project)]
        rows = "".join(f"| {place.message.strip('`')[:60]} | {where(place)} | | |\n" for place in places[:6])
        content = (
            "# Privacy\n\nWhich data about people this project uses, why it may, and how long it keeps them.\n\n"
            "| column | used in | why it is needed | kept until |\n| --- | --- | --- | --- |\n"
            f"{rows}\n"
            "- Legal basis or consent: …\n- What is removed or replaced before training (names, addresses, ids): …\n"
            "- Who can read the raw data, and where it lies (never in this repository): …\n"
            "- How somebody has their data deleted, and what then happens to trained models: …\n"
        )
        return NextStep("Write down which personal data are used and why", "medium", "PRIVACY.md", content)
