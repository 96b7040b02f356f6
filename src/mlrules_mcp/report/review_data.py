"""A review as plain data, ready for `json.dumps`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mlrules_mcp.evidence.answer import STATUSES, Answer, Evidence, NextStep, Review
from mlrules_mcp.report.data import diagnostic_data

_MOST_DIAGNOSTICS = 100


def review_data(review: Review) -> dict[str, Any]:
    """The whole review, every key always present; `next` names the rules that need work in the order to do it."""
    counts = Counter(answer.status for answer in review.answers)
    return {
        "project": {
            "name": review.root,
            "kinds": [kind.name for kind in review.kinds],
            "reasons": [{"kind": kind.name, **_evidence_data(why)} for kind in review.kinds for why in kind.reasons],
            "files": review.counts.files,
            "python": review.counts.python,
            "notebooks": review.counts.notebooks,
        },
        "summary": {status: counts[status] for status in STATUSES},
        "rules": [answer_data(answer) for answer in review.answers],
        "next": [answer.rule for answer in review.next_steps],
        "limits": list(review.limits),
        "diagnostics": [diagnostic_data(each) for each in review.diagnostics[:_MOST_DIAGNOSTICS]],
        "seconds": round(review.seconds, 2),
    }


def answer_data(answer: Answer) -> dict[str, Any]:
    """One rule's answer; places that a static check found name it under `check`, and `more` counts those left out."""
    return {
        "rule": answer.rule,
        "severity": answer.severity,
        "description": answer.description,
        "status": answer.status,
        "summary": answer.summary,
        "evidence": [_evidence_data(evidence) for evidence in answer.evidence],
        "more": answer.more,
        "next_step": step_data(answer.next_step) if answer.next_step else None,
    }


def step_data(step: NextStep) -> dict[str, Any]:
    """A next step with its content; `line` is null where `path` is a file to add."""
    return {
        "title": step.title,
        "effort": step.effort,
        "path": step.path,
        "cell": step.cell,
        "line": step.line,
        "content": step.content,
    }


def _evidence_data(evidence: Evidence) -> dict[str, Any]:
    return {
        "path": evidence.path,
        "cell": evidence.cell,
        "line": evidence.line,
        "message": evidence.message,
        "check": evidence.check,
    }
