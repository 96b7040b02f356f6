"""Where each client keeps the MCP servers it knows, and how an entry there looks."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Client:
    """A client and its files.

    Attributes:
        label: its name as people know it.
        key: the member of the file that holds the servers.
        user: the file for all of a person's projects, below a folder that `base` names.
        base: the home folder, or where applications keep their settings on this platform.
        project: the file for one project, below its root; None where there is none.
        url_key: how an entry names an address; None where the file takes programs alone.
        typed: whether an entry says which transport it is.
        extra: members of a new entry that make it work better.
        then: what to do next.
    """

    label: str
    key: str
    user: str
    base: str = "home"
    project: str | None = None
    url_key: str | None = "url"
    typed: bool = False
    extra: Mapping[str, Any] | None = None
    then: str = "Restart it, or reload its window."

    def file(self, project: Path | None) -> Path | None:
        """The file to write: that of a project, or a person's; None where there is no such file."""
        if project is None:
            return (Path.home() if self.base == "home" else application_settings()) / self.user
        return project / self.project if self.project else None

    def entry(self, command: list[str], url: str | None) -> dict[str, Any] | None:
        """What the file says of the server; None where it takes no addresses."""
        if url is not None:
            kind = {"type": "http"} if self.typed else {}
            return {**kind, self.url_key: url} if self.url_key else None
        kind = {"type": "stdio"} if self.typed else {}
        return {**kind, "command": command[0], "args": command[1:], **(self.extra or {})}


# Members that say how a server is reached: an entry that changes its transport loses those of the other one.
REACH = frozenset({"type", "command", "args", "url", "serverUrl", "httpUrl"})

CLIENTS = {
    "claude-code": Client(
        "Claude Code",
        "mcpServers",
        ".claude.json",
        project=".mcp.json",
        typed=True,
        then="`claude mcp list` shows whether it connects; a project's servers have to be approved once.",
    ),
    "claude-desktop": Client(
        "Claude Desktop", "mcpServers", "Claude/claude_desktop_config.json", base="settings", url_key=None
    ),
    "codex": Client(
        "Codex",
        "mcp_servers",
        ".codex/config.toml",
        extra={"startup_timeout_sec": 60},
        then="`codex mcp list` shows it.",
    ),
    "cursor": Client("Cursor", "mcpServers", ".cursor/mcp.json", project=".cursor/mcp.json"),
    "gemini": Client(
        "Gemini CLI",
        "mcpServers",
        ".gemini/settings.json",
        project=".gemini/settings.json",
        typed=True,
        then="`gemini mcp list` shows whether it connects.",
    ),
    "vscode": Client(
        "VS Code", "servers", "Code/User/mcp.json", base="settings", project=".vscode/mcp.json", typed=True
    ),
    "windsurf": Client("Windsurf", "mcpServers", ".codeium/windsurf/mcp_config.json", url_key="serverUrl"),
}


def application_settings() -> Path:
    """The folder where applications keep a person's settings."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if os.name == "nt":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def server_command() -> list[str]:
    """How a client starts the server that runs here: this very installation, or uvx where it is one of uvx's.

    Those are thrown away when uv cleans its cache.
    """
    if "archive-v0" in Path(sys.prefix).parts:
        return ["uvx", "mlrules-mcp"]
    return [sys.executable, "-m", "mlrules_mcp"]
