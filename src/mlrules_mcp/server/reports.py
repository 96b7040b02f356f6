"""Reports of past runs, kept in memory and served as resources."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import anyio.to_thread
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp_types import Resource, ResourceLink

Kind: TypeAlias = Literal["training", "review"]
Content: TypeAlias = str | bytes | Mapping[str, Any] | Callable[[], str | bytes]

MIME_TYPES = {
    "json": "application/json",
    "html": "text/html",
    "md": "text/markdown",
    "svg": "image/svg+xml",
    "png": "image/png",
}
MOST_REPORTS = 16


@dataclass(frozen=True, slots=True)
class Report:
    """One run's report.

    Attributes:
        id: such as `training-3`.
        title: what ran and how it went, in one line.
        contents: by format, a key of `MIME_TYPES`: text, bytes, data for JSON, or a function that makes one of the
            first two each time it is read.
    """

    id: str
    title: str
    created: datetime
    contents: Mapping[str, Content]

    def uri(self, form: str) -> str:
        """Where the report is served in one format."""
        return f"reports://{self.id}/{form}"

    def links(self) -> list[ResourceLink]:
        """Links to all its formats, for an answer."""
        return [
            ResourceLink(type="resource_link", uri=self.uri(form), name=f"{self.id}.{form}", mime_type=MIME_TYPES[form])
            for form in self.contents
        ]

    def resources(self) -> Iterator[Resource]:
        """Its formats as a list of resources shows them."""
        when = self.created.isoformat(timespec="seconds")
        for form in self.contents:
            yield Resource(
                uri=self.uri(form),
                name=f"{self.id}.{form}",
                title=self.title,
                description=f"Made {when}",
                mime_type=MIME_TYPES[form],
            )


class ReportStore:
    """The latest reports; older ones make room.

    They live in this process alone. A service of several replicas, or one that does not know its clients apart, has
    no such store: a link would not resolve there, or would show one client what another ran.
    """

    def __init__(self, most: int = MOST_REPORTS) -> None:
        self._most = most
        self._reports: OrderedDict[str, Report] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def add(self, kind: Kind, title: str, contents: Mapping[str, Content]) -> Report:
        """Keep a report under a new id.

        Raises:
            ValueError: a format has no known MIME type.
        """
        if unknown := contents.keys() - MIME_TYPES.keys():
            raise ValueError(f"no MIME type is known for {', '.join(sorted(unknown))}")
        self._counts[kind] += 1
        report = Report(f"{kind}-{self._counts[kind]}", title, datetime.now(UTC), dict(contents))
        self._reports[report.id] = report
        while len(self._reports) > self._most:
            self._reports.popitem(last=False)
        return report

    def __iter__(self) -> Iterator[Report]:
        """The reports, latest first."""
        return reversed(self._reports.values())

    async def read(self, identifier: str, form: str) -> str | bytes:
        """A report in one format.

        Raises:
            ResourceNotFoundError: there is none; the message names those that are there.
        """
        report = self._reports.get(identifier)
        if report is None:
            known = ", ".join(self._reports) or "none"
            raise ResourceNotFoundError(
                f"There is no report {identifier!r}. Reports are kept until newer ones need "
                f"their room or the server ends; there are: {known}."
            )
        if form not in report.contents:
            raise ResourceNotFoundError(f"{identifier} has no format {form!r}; it has: {', '.join(report.contents)}.")
        match report.contents[form]:
            case str() | bytes() as content:
                return content
            case Mapping() as data:
                return json.dumps(data, ensure_ascii=False, indent=1)
            case render:
                return await anyio.to_thread.run_sync(render)
