"""The skills extension: the rules as Agent Skills that hosts list, verify and read (SEP-2640)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NoReturn

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, RequestParams, Resource

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.report.skills import MANIFEST, Skill, skills
from mlrules_mcp.server.toolkit import ServerContext

_SCHEME = "skill://"
_MARKDOWN = "text/markdown"
_DIRECTORY = "inode/directory"
# The base protocol's hints: skills change only when a rule file does, and are the same for every client.
_CACHE = {"ttlMs": 60_000, "cacheScope": "public"}
_COMPLETE = {"resultType": "complete"}


class UriParams(RequestParams):
    """What names one skill or one of its folders."""

    uri: str


class DirectoryParams(PaginatedRequestParams):
    """What names a folder, and a page of its listing."""

    uri: str


@dataclass(frozen=True, slots=True)
class _Served:
    """The skills of a catalogue; their files are made when one is asked for."""

    catalogue: Catalogue
    skills: dict[str, Skill]
    files: dict[str, dict[str, str]]


class SkillsExtension(Extension):
    """Serves the rules in force as skills, those of the catalogue that the server has at the time."""

    identifier = "io.modelcontextprotocol/skills"

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._cached: _Served | None = None

    def settings(self) -> dict[str, Any]:
        """What is declared: folders can be read too."""
        return {"directoryRead": True}

    def methods(self) -> Sequence[MethodBinding]:
        """The extension's methods."""
        return (
            MethodBinding("skills/list", PaginatedRequestParams, self._list),
            MethodBinding("skills/get", UriParams, self._get),
            MethodBinding("resources/directory/read", DirectoryParams, self._read_directory),
        )

    def offer(self, server: MCPServer[Any]) -> None:
        """Make the files readable as resources."""

        @server.resource(
            f"{_SCHEME}{{skill}}/{{+path}}",
            name="skill-file",
            title="File of a skill",
            description="The rules of a block for an assistant to follow, or the checks of one rule",
            mime_type=_MARKDOWN,
        )
        async def file(skill: str, path: str) -> str:
            files = await self._files(skill)
            if path not in files:
                known = ", ".join(files or self._served.skills)
                raise ResourceNotFoundError(f"There is no skill file {skill}/{path}; there are: {known}.")
            return files[path]

    def listed(self) -> Iterator[Resource]:
        """Each skill's `SKILL.md` as a list of resources shows it."""
        for skill in self._served.skills.values():
            yield Resource(
                uri=_uri(skill.name, MANIFEST), name=skill.name, description=skill.description, mime_type=_MARKDOWN
            )

    @property
    def _served(self) -> _Served:
        catalogue = self._context.catalogue
        if self._cached is None or self._cached.catalogue is not catalogue:
            self._cached = _Served(catalogue, {skill.name: skill for skill in skills(catalogue)}, {})
        return self._cached

    async def _files(self, name: str) -> dict[str, str]:
        """The files of a skill by their path; empty where there is no such skill."""
        served = self._served
        if name in served.skills and name not in served.files:
            served.files[name] = await anyio.to_thread.run_sync(served.skills[name].files, served.catalogue)
        return served.files.get(name, {})

    async def _list(self, _ctx: Any, params: PaginatedRequestParams) -> dict[str, Any]:
        _refuse_cursor(params)
        return {**_COMPLETE, "skills": [await self._entry(name) for name in self._served.skills], **_CACHE}

    async def _get(self, _ctx: Any, params: UriParams) -> dict[str, Any]:
        name = params.uri.removeprefix(_SCHEME).partition("/")[0]
        if name not in self._served.skills or params.uri != _uri(name, MANIFEST):
            _refuse(f"No skill is served at {params.uri}. skills/list names those that are.")
        return {**_COMPLETE, "skill": await self._entry(name), **_CACHE}

    async def _entry(self, name: str) -> dict[str, Any]:
        """A skill with all its files and what their content is verified by."""
        files = {path: text.encode() for path, text in (await self._files(name)).items()}
        return {
            "uri": _uri(name, MANIFEST),
            "frontmatter": self._served.skills[name].front_matter,
            "resources": [
                {
                    "uri": _uri(name, path),
                    "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
                    "size": len(content),
                }
                for path, content in files.items()
            ],
        }

    async def _read_directory(self, _ctx: Any, params: DirectoryParams) -> dict[str, Any]:
        """The direct children of a skill's folder, or of one in it."""
        _refuse_cursor(params)
        name, _, folder = params.uri.removeprefix(_SCHEME).partition("/")
        parent = PurePosixPath(folder)
        paths = [PurePosixPath(path) for path in await self._files(name)] if params.uri.startswith(_SCHEME) else []
        inside = [path for path in paths if parent in path.parents]
        if not inside or params.uri != _uri(name, folder).rstrip("/"):
            _refuse(f"{params.uri} is not a directory resource.")
        children = dict.fromkeys(parent / path.relative_to(parent).parts[0] for path in inside)
        return {
            **_COMPLETE,
            "resources": [
                {
                    "uri": _uri(name, child.as_posix()),
                    "name": child.name,
                    "mimeType": _MARKDOWN if child in paths else _DIRECTORY,
                }
                for child in children
            ],
        }


def _uri(name: str, path: str) -> str:
    return f"{_SCHEME}{name}/{path}"


def _refuse_cursor(params: PaginatedRequestParams) -> None:
    if params.cursor is not None:
        _refuse("There is one page only: the cursor is not one of ours.")


def _refuse(message: str) -> NoReturn:
    raise MCPError(INVALID_PARAMS, message)
