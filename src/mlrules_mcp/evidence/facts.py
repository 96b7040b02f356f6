"""Facts: all that is known of a project, as collectors ask for it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mlrules_mcp.evidence.answer import Counts, Evidence, Kind
from mlrules_mcp.evidence.code import CodeIndex, Fact
from mlrules_mcp.evidence.collector import Need
from mlrules_mcp.evidence.history import History
from mlrules_mcp.evidence.kinds import CODE, kinds_of
from mlrules_mcp.evidence.landmarks import (
    DATA,
    DATASET,
    DEEP_TRAINING,
    ENVIRONMENT,
    ESTIMATOR,
    NETWORK,
    PRETRAINED,
    SERVING,
    TORCH,
    TRAINING,
)
from mlrules_mcp.evidence.prose import Section
from mlrules_mcp.evidence.settings import Setting
from mlrules_mcp.evidence.tree import Listing, Role
from mlrules_mcp.findings import Finding

ALL_ROLES: tuple[Role, ...] = ("code", "examples", "tests")

_NOT_THERE = {
    "training": (TRAINING, "Nothing is trained here: no fit of a model and no training loop was found"),
    "deep_learning": (NETWORK, "No neural network is defined, trained or loaded here"),
    "pytorch": (TORCH, "No network of PyTorch is defined, trained or loaded here"),
    "classical": (ESTIMATOR, "No estimator of scikit-learn, XGBoost, LightGBM, CatBoost or statsmodels is used here"),
    "serving": (SERVING, "Nothing serves predictions here: no web service, app or handler of a model server was found"),
}


@dataclass(slots=True)
class Output:
    """A text that a notebook's cell has shown, and the cell's first line of code as the place."""

    path: str
    cell: int
    line: int
    text: str


@dataclass
class Facts:
    """A project as collectors see it. Everything is bounded; paths are from the root, with forward slashes.

    Attributes:
        code: what was asked for of the code. Ask through the methods below.
        noted: what the collectors' own `look` found, by rule.
        landmarks_found: see `landmarks`.
        settings: what YAML, TOML and JSON files say.
        sections: of documents, and of the prose cells of notebooks.
        outputs: what notebooks have shown.
        texts: other small files whole: Dockerfiles, workflows, dependency files, .gitignore, licences, shell scripts.
        history: what git tells; None where there is none.
    """

    listing: Listing
    code: CodeIndex
    noted: dict[str, list[Fact]] = field(default_factory=dict)
    landmarks_found: dict[str, list[Fact]] = field(default_factory=dict)
    settings: list[Setting] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    history: History | None = None
    found: dict[str, list[Finding]] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.listing.root

    @property
    def files(self) -> Sequence[str]:
        """The paths of all files."""
        return self.listing.files

    # What kind of project it is

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """What the project is, with the places that show it."""
        return kinds_of(self)

    def is_kind(self, name: str) -> bool:
        """Whether the project is of a kind, maybe beside others."""
        return any(kind.name == name for kind in self.kinds)

    def lacks(self, need: Need) -> str | None:
        """Why the project does not have what a rule needs to apply; None where it has it.

        `training` asks for training that is the project's own business: not that of a library for others' models;
        `data` for such training on data, not in an environment.
        """
        python = self.counts.python + self.counts.notebooks
        if not python:
            return "There is no Python code and no notebook here."
        if need == "code":
            return None
        if need in ("training", "data") and (library := self.library):
            return f"This is a library: {library.message} What it is trained and judged on is its users' business."
        if need == "data":
            if self.landmarks(ENVIRONMENT) and not self.landmarks(DATA, DATASET):
                return "What is learned from here comes from an environment that an agent acts in, not from data."
            need = "training"
        landmark, reason = _NOT_THERE[need]
        names = {
            "deep_learning": (NETWORK, DEEP_TRAINING, PRETRAINED),
            "classical": (ESTIMATOR,),
        }.get(need, (landmark,))
        if not any(self.landmarks(name) for name in names) and not (need == "training" and self._trained_elsewhere):
            return f"{reason}{self.extent}."
        return None

    @property
    def _trained_elsewhere(self) -> bool:
        """Whether data is explored here for a model that is only loaded here: its training is the project's too."""
        explored = any(fact.path.endswith(".ipynb") for fact in self.landmarks(DATA))
        return explored and bool(self.landmarks(SERVING)) and bool(self.landmarks(NETWORK, PRETRAINED, ESTIMATOR))

    @property
    def library(self) -> Evidence | None:
        """What shows that the project is a library of building blocks; None where it is none."""
        return next((kind.reasons[0] for kind in self.kinds if kind.name == "library"), None)

    @property
    def extent(self) -> str:
        """How much was looked at, as the end of a sentence: ` (12 Python files, 3 notebooks)`."""
        parts = [(self.counts.python, "Python file"), (self.counts.notebooks, "notebook")]
        texts = [f"{number:,} {noun}{'s' if number != 1 else ''}" for number, noun in parts if number]
        return f" ({', '.join(texts)})" if texts else ""

    # Code. By default the project's own counts; that of examples too in a library, which shows there how it is used.

    def _in_roles(self, facts: Iterable[Fact], roles: Sequence[Role]) -> list[Fact]:
        own: Sequence[Role] = ("code", "examples") if not roles and self.library else CODE
        return [fact for fact in facts if fact.role in (roles or own)]

    def landmarks(self, *names: str, roles: Sequence[Role] = ()) -> list[Fact]:
        """Places that every review looks for: see `landmarks.py` for the names."""
        return self._in_roles((fact for name in names for fact in self.landmarks_found.get(name, ())), roles)

    def calls(self, *names: str, roles: Sequence[Role] = ()) -> list[Fact]:
        """Calls that the collector has asked for: qualified names, `package.*`, `.method`, all of them by default."""
        return self._in_roles(_named(self.code.calls, names), roles)

    def keywords(self, *names: str, roles: Sequence[Role] = ()) -> list[Fact]:
        """Calls with one of these keyword arguments."""
        return self._in_roles(_named(self.code.keywords, names), roles)

    def definitions(self, *parts: str, roles: Sequence[Role] = ()) -> list[Fact]:
        """Functions and classes with one of these parts in their names."""
        return self._in_roles(_containing(self.code.definitions, parts), roles)

    def keys(self, *parts: str, roles: Sequence[Role] = ()) -> list[Fact]:
        """Keys and names in code (see `Asked.keys`) that hold one of these parts."""
        return self._in_roles(_containing(self.code.keys, parts), roles)

    def notes(self, rule: str, roles: Sequence[Role] = ()) -> list[Fact]:
        """What the `look` of a rule's collector has found."""
        return self._in_roles(self.noted.get(rule, ()), roles)

    def findings(self, rule: str) -> list[Finding]:
        """The errors and warnings of the checks that enforce a rule, errors first: those in the project's own code, and
        where it has none those in the examples of a library, which its users copy."""
        own = self.found.get(rule, [])
        return own or (self.found.get(f"{rule}:examples", []) if self.library else [])

    def advice(self, rule: str) -> list[Finding]:
        """What the checks of a rule advise; it never breaks a rule by itself."""
        return self.found.get(f"{rule}:advice", [])

    # What is not code

    def paths(self, *globs: str) -> list[str]:
        """Files whose path matches a pattern in which `*` stands for folders too; letters' case is one."""
        patterns = [re.compile(fnmatch.translate(glob.lower())) for glob in globs]
        return [path for path in self.files if any(each.match(path.lower()) for each in patterns)]

    def set_to(self, key: str, value: str = "", path: str = "") -> list[Setting]:
        """Settings by regular expressions that the dotted key, the value and the path are searched for."""
        wanted, shown, where = re.compile(key, re.I), re.compile(value, re.I), re.compile(path, re.I)
        return [
            each
            for each in self.settings
            if wanted.search(each.key) and shown.search(each.value) and where.search(each.path)
        ]

    def told(self, heading: str, text: str = "") -> Iterator[tuple[Section, re.Match[str]]]:
        """Sections by regular expressions: the heading's, and the text's, whose first match is given.

        A section without any text below its heading is no evidence and left out.
        """
        wanted, said = re.compile(heading, re.I), re.compile(text or r"\S", re.I | re.M)
        for section in self.sections:
            if wanted.search(section.heading) and (match := said.search(section.text)):
                yield section, match

    def lines(self, glob: str, wanted: str) -> Iterator[tuple[str, int, str]]:
        """Lines of the small files kept whole (see `texts`) that a regular expression is found in: path, line, text."""
        matches, searched = re.compile(fnmatch.translate(glob.lower())), re.compile(wanted, re.I)
        for path, text in self.texts.items():
            if matches.match(path.lower()):
                for number, line in enumerate(text.splitlines(), start=1):
                    if not line.lstrip().startswith("#") and searched.search(line):
                        yield path, number, line.strip()

    def shown(self, wanted: str) -> Iterator[Evidence]:
        """What notebooks have shown, by a regular expression: the cell, and the line of the output that matches."""
        searched = re.compile(wanted, re.I | re.M)
        for output in self.outputs:
            if match := searched.search(output.text):
                yield Evidence(output.path, output.line, f"shown: {' '.join(match[0].split())[:120]}", output.cell)


def of(fact: Fact, message: str = "") -> Evidence:
    """A place in code as evidence; by default its line speaks for itself."""
    return Evidence(fact.path, fact.line, message or f"`{fact.text}`", fact.cell)


def _named(index: dict[str, list[Fact]], names: Sequence[str]) -> Iterator[Fact]:
    packages = tuple(name[:-1] for name in names if name.endswith(".*"))
    for name, facts in index.items():
        if name in names or name.startswith(packages):
            yield from facts


def _containing(index: dict[str, list[Fact]], parts: Sequence[str]) -> Iterator[Fact]:
    for name, facts in index.items():
        if any(part in name.lower() for part in parts):
            yield from facts
