"""The prompts: work on a file or an experiment, filled with the rules that concern it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, NamedTuple

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from pydantic import Field

from mlrules_mcp.analysis.engine import Analysis, analyze
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.manifest.globs import applies
from mlrules_mcp.manifest.model import Rule
from mlrules_mcp.server.context import ServerContext
from mlrules_mcp.server.findings import findings_answer
from mlrules_mcp.server.toolkit import weight
from mlrules_mcp.source import Module, Project, SourceFile, UnreadableSource

_PLANNING = ("workflow_rules", "data_rules", "evaluation_rules", "tracking_rules")
_MODEL_CARD = ("ethics_rules", "evaluation_rules", "data_rules", "deployment_rules", "tracking_rules")

Path_ = Annotated[str, Field(description="The file, from the project's folder")]
Optional_ = Annotated[str, Field(description="A training script, to leave out rules about what it does not use")]


class _Looked(NamedTuple):
    """What a file holds: the rules about it, and what the checks found."""

    rules: list[Rule]
    analysis: Analysis


def register(server: MCPServer[Any], context: ServerContext) -> None:
    """Offer the prompts of a server."""

    @server.prompt(title="Review this file")
    async def review_file(path: Path_) -> str:
        """Review a file of machine-learning code against the rules about what it uses."""
        looked = await _look(context, path)
        rules = _rules_text(looked.rules)
        return _joined(
            context,
            f"Review {path} as a machine-learning engineer. Change nothing.",
            "1. Read the file, and what it imports from this project as far as you need it.\n"
            "2. Judge each finding of the checks below: say if one is wrong here, and why.\n"
            "3. Go through the rules below for what no check sees: what the data means, what is compared with what.\n"
            "4. Answer worst first: the line, what goes wrong when it runs, the change. One line on what is right.",
            f"What the checks found:\n{_findings_text(looked.analysis, weight(rules))}",
            rules,
        )

    @server.prompt(title="Fix this file")
    async def fix_file(path: Path_) -> str:
        """Mend what the checks find in a file, safe fixes first."""
        looked = await _look(context, path)
        found = {finding.rule for finding in looked.analysis.findings}
        rules = _rules_text(rule for rule in looked.rules if rule.key in found)
        return _joined(
            context,
            f"Mend {path}, and change nothing that is not wrong.",
            f'1. fix_code {{"path": "{path}"}}: apply its diff.\n'
            "2. Mend the other errors and warnings by hand; explain_rule with a check's name shows good code. "
            "Weigh advice.\n"
            "3. analyze_code with the new text as `code` and the old one as `previous`: nothing may be new.\n"
            "4. Run the project's tests. Say what you changed, and which findings you left and why.",
            f"What the checks found:\n{_findings_text(looked.analysis, weight(rules))}",
            rules,
        )

    @server.prompt(title="Plan an experiment")
    async def plan_experiment(
        goal: Annotated[str, Field(description="What the experiment is to show")], path: Optional_ = ""
    ) -> str:
        """Plan an experiment by the rules on workflow, data, evaluation and tracking."""
        rules = await _rules_of(context, _PLANNING, path)
        return _joined(
            context,
            f"Plan an experiment. The goal: {goal}",
            "Answer in this order, each part short: the question and what would answer it no; the data, its split and "
            "why nothing leaks; the baseline; what is varied and what is held; metrics, with the spread over seeds; "
            "what is logged so that the run can be repeated; what it costs, and what stops it early. "
            "Name the rule that each decision follows, and ask about what you can't know.",
            _rules_text(rules),
        )

    @server.prompt(title="Write the model card")
    async def write_model_card(path: Optional_ = "") -> str:
        """Write a model card from what the project shows, by the rules on ethics, evaluation, data and deployment."""
        rules = await _rules_of(context, _MODEL_CARD, path)
        return _joined(
            context,
            f"Write the model card{f' of the model that {path} trains' if path else ''}, as MODEL_CARD.md.",
            "1. review_project gathers evidence: splits, metrics, licences, personal data, versions.\n"
            "2. Sections: what the model is and its version; intended use, and what it is not for; training data, "
            "where it comes from and its licence; evaluation, with the set, the metrics and the groups; limits, "
            "risks and who may be harmed; how to run it; how to train it again; whom to ask.\n"
            "3. Only what the project shows, with its file. Write `not known` for the rest; invent no number.",
            _rules_text(rules),
        )


async def _look(context: ServerContext, path: str) -> _Looked:
    try:
        file, root = await context.run(partial(context.allowed, path))
        return await context.run(partial(_looked_at, context.catalogue, file, Project(root)))
    except ToolError as error:
        raise MCPError(INVALID_PARAMS, str(error)) from None
    except UnreadableSource as error:
        raise MCPError(INVALID_PARAMS, f"{error.diagnostic.path}: {error}") from None


def _looked_at(catalogue: Catalogue, file: Any, project: Project) -> _Looked:
    source = SourceFile.from_path(file, project.name_of(file), project)
    return _Looked(_rules_about(catalogue, source), analyze(source, catalogue))


def _rules_about(catalogue: Catalogue, source: SourceFile) -> list[Rule]:
    """The rules that are on for a file and look at something that it uses."""
    root = source.project.root.as_posix() if source.project else None
    on = {manifest.source for manifest in catalogue.manifests if applies(manifest, source.path, root).on}
    return [rule for rule in catalogue.rules_for(Module(source)) if rule.source in on]


async def _rules_of(context: ServerContext, blocks: Iterable[str], path: str) -> list[Rule]:
    """The rules of some blocks; of those that look at code, only the ones about what the file at a path uses."""
    catalogue = context.catalogue
    rules = [rule for rule in catalogue.rules.rules if rule.block in blocks and rule.enabled]
    if not path:
        return rules
    about = {rule.key for rule in (await _look(context, path)).rules}
    checked = await context.run(lambda: {rule.key for rule in rules if catalogue.checks_of(rule)})
    return [rule for rule in rules if rule.key in about or rule.key not in checked]


def _findings_text(analysis: Analysis, taken: int) -> str:
    return findings_answer(analysis, "analyze_code shows them once these are mended.", taken).text


def _rules_text(rules: Iterable[Rule]) -> str:
    lines = [f"- {rule.key} ({rule.severity}): {rule.description}" for rule in rules]
    return "\n".join(["The rules about it; explain_rule tells more:", *lines]) if lines else ""


def _joined(context: ServerContext, *parts: str) -> str:
    warning = f"Warning: {context.warning}" if context.warning else ""
    return "\n\n".join(filter(None, (warning, *parts)))
