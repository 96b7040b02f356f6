"""What kind of project it is: it decides which rules apply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, Kind
from mlrules_mcp.evidence.code import Fact
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, ESTIMATOR, NETWORK, PRETRAINED, SERVING, TRAINING
from mlrules_mcp.evidence.tree import Role

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

CODE: tuple[Role, ...] = ("code",)
_MOST_REASONS = 3
_LOADS = ("joblib.load", "pickle.load", "torch.load", "onnxruntime.InferenceSession", ".predict")


def kinds_of(project: Facts) -> tuple[Kind, ...]:
    """The kinds of a project, each with the first places that show it; empty where it is none of them.

    - deep learning: networks are defined, trained or loaded;
    - classical: estimators are made;
    - serving: predictions are served;
    - research notebook: a third of the code, or more, is in notebooks;
    - library: packaged for others to install, as its documents or its classifiers say.
    """
    found = [
        Kind("deep_learning", _first(project, "a neural network", DEEP_TRAINING, NETWORK, PRETRAINED)),
        Kind("classical", _first(project, "an estimator", ESTIMATOR)),
        Kind("serving", _first(project, "serves predictions", SERVING) if _has_model(project) else ()),
        Kind("research_notebook", tuple(_notebooks(project))),
        Kind("library", tuple(_library(project))),
    ]
    return tuple(kind for kind in found if kind.reasons)


def _has_model(project: Facts) -> bool:
    return bool(project.landmarks(NETWORK, ESTIMATOR, PRETRAINED, TRAINING, roles=CODE) or _loads_model(project))


def _loads_model(project: Facts) -> bool:
    """Whether something is served that was trained elsewhere."""
    return bool(project.calls(*_LOADS, roles=CODE))


def _first(project: Facts, what: str, *names: str) -> tuple[Evidence, ...]:
    facts: list[Fact] = [fact for name in names for fact in project.landmarks(name, roles=CODE)[:1]]
    return tuple(Evidence(fact.path, fact.line, f"{what}: `{fact.text}`", fact.cell) for fact in facts[:_MOST_REASONS])


def _notebooks(project: Facts) -> Iterator[Evidence]:
    own = [path for path in project.listing.python if project.listing.role(path) == "code"]
    notebooks = [path for path in own if path.endswith(".ipynb")]
    if notebooks and len(notebooks) * 3 >= len(own):
        yield Evidence(notebooks[0], None, f"{len(notebooks)} of {len(own)} files of code are notebooks.")


def _library(project: Facts) -> Iterator[Evidence]:
    name = _distribution(project)
    if name is None:
        return
    spelled = re.sub(r"[-_.]+", "[-_.]", re.escape(name).replace("\\", ""))
    install = re.compile(
        rf"(pip3?|uv|conda|mamba|poetry)\s+(pip\s+)?(install|add)\b[^\n]*?[\s\"']{spelled}(?![\w/.-]*/)", re.I
    )
    for section in project.sections:
        if section.path.count("/") <= 2 and (match := install.search(section.text)):
            line = section.line_of(match.start())
            yield Evidence(section.path, line, f"`{' '.join(match[0].split())}` installs it.")
            return
    if project.landmarks(TRAINING, roles=CODE):
        return  # a program that may be installed
    classifiers = [each for each in project.settings if each.path == "pyproject.toml" and "classifiers." in each.key]
    for setting in classifiers:
        if "Software Development :: Libraries" in setting.value:
            yield Evidence(setting.path, setting.line, f"It is packaged for others: {setting.value}.")
            return
    for path, line, text in project.lines("setup.*", r"Software Development :: Libraries"):
        yield Evidence(path, line, f"It is packaged for others: {text.strip(' ,')}.")
        return


def _distribution(project: Facts) -> str | None:
    """The name under which a project is distributed."""
    for setting in project.settings:
        if setting.path == "pyproject.toml" and setting.key in ("project.name", "tool.poetry.name"):
            return setting.value
    for path, _, text in project.lines("setup.*", r"^\s*name\s*="):
        if "/" not in path and (found := re.search(r"name\s*=\s*([\"']?)([\w.-]+)", text, re.I)):
            named = re.search(rf"^{re.escape(found[2])}\s*=\s*[\"']([\w.-]+)", project.texts[path], re.M)
            return named[1] if named and not found[1] else found[2]
    return None
