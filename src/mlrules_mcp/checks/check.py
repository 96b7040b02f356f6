"""What a check is: one class that finds one kind of problem, with its documentation and examples."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import ClassVar, Generic, TypeAlias, TypeVar, get_args

from mlrules_mcp.findings import Edit, Finding, Fix, Location, Related, Severity
from mlrules_mcp.source.module import Module
from mlrules_mcp.source.tree import Positioned

N = TypeVar("N", bound=ast.AST)

SECTIONS = ("What it does", "Why it matters", "Do not flag", "Fix safety", "References")

# A file that imports none of these holds no PyTorch code of its own.
TORCH = frozenset(
    "torch lightning torchvision torchaudio torchmetrics torchtext timm transformers diffusers accelerate peft fastai "
    "functorch ignite monai kornia einops torch_geometric dgl segmentation_models_pytorch ultralytics deepspeed".split()
)


@dataclass(frozen=True, slots=True)
class Bad:
    """Code with one finding, at the place between « and »; further places of it lie between ‹ and ›.

    Attributes:
        safe_fix: the code after a safe fix.
        suggested_fix: the code after a suggested fix.
        advice: whether it is found as advice, whatever the rule's severity.
        shows: what the saved output shows, where the code is the cell of a notebook.
    """

    code: str
    safe_fix: str | None = None
    suggested_fix: str | None = None
    advice: bool = False
    shows: str | None = None


@dataclass(frozen=True, slots=True)
class Good:
    """Code in which the check finds nothing, and, where it does not speak for itself, why.

    Attributes:
        shows: what the saved output shows, where the code is the cell of a notebook.
    """

    code: str
    why: str = ""
    shows: str | None = None


Example: TypeAlias = Bad | Good


class Check(Generic[N]):
    """Finds one kind of problem in a module.

    A check is a subclass in a file of its own (`checks/<block>/<rule id>/<check>.py`). The subclass names the
    node type it looks at as its type argument, documents itself in the fixed SECTIONS (`## What it does` …), and
    shows what it finds and what it leaves alone in `examples`, which are its tests. Its name on the command
    line is the class name in kebab case: `HardcodedCuda` is `hardcoded-cuda`.

    Attributes:
        names: where the node type is `ast.Call`, the last name parts of the calls it wants (`{"load"}` for
            `torch.load(…)`); empty wants every node.
        packages: a module that imports none of these is not looked at; empty looks at every module.
        words: a module whose code holds none of these is not looked at; empty looks at every module.
        speaks_of_absence: whether it finds what a program lacks. Documents show pieces of programs, so there it is
            not asked.
        also_enforces: further rules that what it finds breaks. A finding names one rule alone: `rule`.
        rule: the rule that its findings name: that of the folder, or another it enforces where that one is off.
        severity: that of the findings, from the manifest.
    """

    names: ClassVar[frozenset[str]] = frozenset()
    packages: ClassVar[frozenset[str]] = TORCH
    words: ClassVar[tuple[str, ...]] = ()
    speaks_of_absence: ClassVar[bool] = False
    also_enforces: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[Sequence[Example]] = ()

    node_types: ClassVar[tuple[type[ast.AST], ...]]
    name: ClassVar[str]
    rule: str

    def __init_subclass__(cls) -> None:
        wanted = get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]
        cls.node_types = get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        cls.rule = ".".join(cls.__module__.split(".")[-3:-1])

    def __init__(self, severity: Severity = "warning", rule: str | None = None) -> None:
        self.severity = severity
        self.rule = rule or type(self).rule

    @property
    def rules(self) -> tuple[str, ...]:
        """The keys of the rules that it enforces, the one that its findings name first."""
        return (self.rule, *(rule for rule in self.also_enforces if rule != self.rule))

    def check(self, node: N, module: Module) -> Iterator[Finding]:
        """Yield a finding for each problem at a node."""
        raise NotImplementedError

    def finding(
        self,
        module: Module,
        node: Positioned | Location,
        message: str,
        *,
        fix: Fix | None = None,
        advice: bool = False,
        error: bool = False,
        also_at: Sequence[Positioned] = (),
        related: Sequence[tuple[Positioned, str]] = (),
    ) -> Finding:
        """A finding of this check at a node, or at a place that no node has.

        Args:
            message: what goes wrong at run time and what to write instead, in two sentences.
            fix: how it is mended; None where code may be lost or there is no one way.
            advice: report it as advice, whatever the rule's severity.
            error: report it as an error although the rule's findings are warnings; a rule that was set to advice
                stays advice.
            also_at: further places of the same problem.
            related: other places that the finding speaks of, each with what it is.
        """
        path = module.source.path
        severity: Severity = "error" if error and self.severity == "warning" else self.severity
        return Finding(
            self.rule,
            self.name,
            "advice" if advice else severity,
            path,
            node if isinstance(node, Location) else module.location(node),
            message,
            fix,
            tuple(map(module.location, also_at)),
            tuple(Related(path, module.location(other), what) for other, what in related),
        )


def safe(title: str, *edits: Edit) -> Fix:
    """A fix that keeps what the code computes, or mends a certain bug."""
    return Fix("safe", title, edits)


def suggested(title: str, *edits: Edit) -> Fix:
    """A fix that needs a reader."""
    return Fix("suggested", title, edits)


def documentation(check: type[Check[ast.AST]]) -> dict[str, str]:
    """A check's docstring by section; its first line is under `summary`."""
    summary, *sections = re.split(r"^## (.+)$", inspect.cleandoc(check.__doc__ or ""), flags=re.MULTILINE)
    texts = dict(zip(sections[::2], map(str.strip, sections[1::2]), strict=True))
    return {"summary": summary.strip(), **texts}
