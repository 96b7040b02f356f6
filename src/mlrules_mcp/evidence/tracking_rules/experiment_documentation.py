from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import TRAINING
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED
from mlrules_mcp.evidence.steps import module_name

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_METRIC = (
    r"accuracy|top-?[15]|f1|f-?score|(?<!mixed )(?<!half )precision|recall|auc|roc|map|miou|iou|dice|bleu|rouge|"
    r"perplexity|mae|mse|rmse|mape|r2|r\^2|psnr|ssim|fid|wer|scored?|scores"
)
# Figures that belong to a metric's name: at which overlap it counts.
_SETTING = re.compile(r"(?i)threshold|\b(map|iou|ap)\W{0,3}0?\.[579]")
_LINK = re.compile(r"\]\([^)\s]*\)")
_FIGURE = r"\d+[.,]\d+|\d+\s*%"
_RESULT = re.compile(
    rf"(?i)\b({_METRIC})\b[^.`\n]{{0,60}}(\n[^.`\n]{{0,30}}){{0,2}}?({_FIGURE})|({_FIGURE})[^.`\n]{{0,40}}\b({_METRIC})\b"
)
_RESULTS = r"\b(results?|performance|evaluation|benchmarks?|leaderboard|ablations?|model zoo|findings|conclusions?)\b"
_TELLS = re.compile(
    r"(?i)\b(we|i)\s+(can\s+)?(see|find|found|observe|will|use|predict|want|conclude)|objective|goal|conclusion|"
    r"summary|hypothesis|shows? that|indicates?|as a result"
)
_ENOUGH_PROSE = 800


class ExperimentDocumentation(Collector):
    """What an experiment was for and what came out of it is written down.

    ## Met
    Results with their figures in the documents; notebooks that say in prose what is asked and found; notes given to a
    tracker's run.

    ## Broken
    Never: what is not written can't be pointed at.

    ## Not applicable
    Nothing is trained here.

    ## Never counts
    How to install and run, by itself; headings without text; comments in code.

    ## References
    - https://ml-ops.org/content/three-levels-of-ml-software
    - https://paperswithcode.github.io/releasing-research-code/
    """

    asks = Asked.of(
        calls="wandb.init mlflow.start_run mlflow.set_experiment_tag mlflow.set_tag", keywords="notes description"
    )
    would_count = "a document with the results of experiments, a notebook that explains what it finds, notes of a run"
    looked_in = "the documents, the prose of notebooks, and the code"
    examples = (
        Example(
            {"train.py": TRAINED, "README.md": "# U-Net\n\nTrained on 5,000 images it has a Dice score of 0.988.\n"},
            "met",
            ["README.md:3"],
        ),
        Example(
            {"train.py": TRAINED, "README.md": "# U-Net\n\nWith mixed precision. By default, the scale is 0.5.\n"},
            "no_evidence",
        ),
        Example({"train.py": TRAINED, "README.md": "# YOLO\n\n| weights | mAP 0.5 |\n| --- | --- |\n"}, "no_evidence"),
        Example({"train.py": TRAINED, "README.md": "# U-Net\n\n`pip install -r requirements.txt`\n"}, "no_evidence"),
        Example({"train.py": TRAINED, "README.md": "# Results\n\n# Licence\n\nMIT\n"}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where nothing is trained, by the project or by its examples, and no result is told."""
        if project.landmarks(TRAINING) or next(self.evidence(project), None) is not None:
            return project.lacks("code")
        return project.lacks("training")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Results in documents, then notebooks that explain, then notes."""
        for section, match in project.told(_RESULTS, _FIGURE):
            if section.cell is None:
                line = section.line_of(match.start())
                yield Evidence(section.path, line, f"results under “{section.heading}”")
        yield from _told(project)
        yield from _notebooks(project)
        noted = project.keywords("notes", "description")
        starts = ("wandb.init", "mlflow.start_run")
        yield from (of(fact) for fact in noted if fact.called in starts)

    def next_step(self, project: Facts) -> NextStep:
        """A page for one experiment, with the names of this project."""
        trained = next(iter(project.landmarks(TRAINING)), None)
        run = f"python {trained.path}" if trained and trained.path.endswith(".py") else "how it was run"
        what = module_name(project, trained.path) if trained else "the model"
        content = (
            f"# 1. What {what} reaches as it is\n\n"
            "**Question.** What should be better than before, and why?\n\n"
            f"**Setting.** `{run}`, commit …, data …, seed …\n\n"
            "**Result.**\n\n| run | metric on the validation part | on the test part |\n| --- | ---: | ---: |\n"
            "| baseline | | |\n| this | | |\n\n"
            "**Conclusion.** Keep it or drop it, and what to try next.\n"
        )
        return NextStep("Write down what was tried and what came out", "small", "experiments/001.md", content)


def _told(project: Facts) -> Iterator[Evidence]:
    """Metrics with their figures in the text of documents."""
    for section in project.sections:
        if section.cell is not None or section.path.lower().endswith(".txt"):
            continue
        text = _LINK.sub("]", section.text)
        match = next((found for found in _RESULT.finditer(text) if not _SETTING.search(found[0])), None)
        if match is not None:
            line = section.line + bool(section.heading) + text.count("\n", 0, match.start())
            yield Evidence(section.path, line, f"a result: “{' '.join(match[0].split())[:120]}”")


def _notebooks(project: Facts) -> Iterator[Evidence]:
    """Notebooks with enough prose that tells of aims and findings."""
    prose: dict[str, int] = {}
    for section in project.sections:
        if section.cell is not None:
            prose[section.path] = prose.get(section.path, 0) + len(section.text)
    for path, length in prose.items():
        if length < _ENOUGH_PROSE:
            continue
        for section in project.sections:
            if section.path == path and section.cell is not None and (match := _TELLS.search(section.text)):
                said = " ".join(section.text[match.start() : match.start() + 100].split())
                line = section.line_of(match.start())
                yield Evidence(path, line, f"a notebook that explains: “{said}”", section.cell)
                break
