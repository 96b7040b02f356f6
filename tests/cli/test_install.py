from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlrules_mcp.cli import cli
from mlrules_mcp.cli.clients import CLIENTS, application_settings

COMMAND = {"command": sys.executable, "args": ["-m", "mlrules_mcp"]}
URL = "http://127.0.0.1:8000/mcp"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, and a project in it that is the current folder."""
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home / "settings"))
    monkeypatch.chdir(home / "project")
    return home


def install(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["install", *arguments])


def file_of(client: str) -> Path:
    file = CLIENTS[client].file(None)
    assert file is not None
    return file


def written(file: Path) -> dict[str, object]:
    text = file.read_text(encoding="utf-8")
    return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)


SHAPES = {
    "claude-code": ("mcpServers", {"type": "stdio", **COMMAND}, {"type": "http", "url": URL}),
    "claude-desktop": ("mcpServers", COMMAND, None),
    "codex": ("mcp_servers", {**COMMAND, "startup_timeout_sec": 60}, {"url": URL}),
    "cursor": ("mcpServers", COMMAND, {"url": URL}),
    "gemini": ("mcpServers", {"type": "stdio", **COMMAND}, {"type": "http", "url": URL}),
    "vscode": ("servers", {"type": "stdio", **COMMAND}, {"type": "http", "url": URL}),
    "windsurf": ("mcpServers", COMMAND, {"serverUrl": URL}),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_gets_a_new_file_in_its_own_shape(client: str, home: Path) -> None:
    key, program, address = SHAPES[client]
    result = install(client)
    assert result.exit_code == 0, result.output
    file = file_of(client)
    assert file.is_relative_to(home)
    assert written(file) == {key: {"mlrules": program}}
    assert str(file) in result.output
    if address is None:
        refused = install(client, "--url", URL)
        assert refused.exit_code == 2
        assert "connectors" in refused.output
    else:
        assert install(client, "--url", URL).exit_code == 0
        kept = {"startup_timeout_sec": 60} if client == "codex" else {}
        assert written(file) == {key: {"mlrules": {**address, **kept}}}


@pytest.mark.skipif(sys.platform != "linux", reason="the folder of settings is another on other platforms")
def test_settings_of_applications_are_where_the_platform_keeps_them(home: Path) -> None:
    assert application_settings() == home / "settings"
    assert file_of("vscode") == home / "settings" / "Code" / "User" / "mcp.json"


def test_what_else_a_file_holds_stays_in_its_order_and_indentation(home: Path) -> None:
    file = file_of("cursor")
    file.parent.mkdir()
    other = {"z": {"command": "zß", "env": {"A": "1"}}, "mlrules": {"url": "old", "env": {"B": "2"}, "disabled": True}}
    before = json.dumps({"theme": "dark", "mcpServers": other, "a": [1, {"b": None}]}, indent=4, ensure_ascii=False)
    file.write_text(before + "\n", encoding="utf-8")
    assert install("cursor").exit_code == 0
    other["mlrules"] = {**COMMAND, "env": {"B": "2"}, "disabled": True}
    after = json.dumps({"theme": "dark", "mcpServers": other, "a": [1, {"b": None}]}, indent=4, ensure_ascii=False)
    assert file.read_text(encoding="utf-8") == after + "\n"
    assert file.with_name("mcp.json.before-mlrules").read_text(encoding="utf-8") == before + "\n"


TOML = """\
# my settings
model = "gpt"  # a comment

[mcp_servers.other]
command = "x"

[mcp_servers.mlrules]
command = "old"
cwd = "/tmp"
env = { "A" = "1" }

[mcp_servers.mlrules.tools]
allowed = ["list_rules"]

[tui]
notifications = true
"""


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_comments_and_other_tables_of_a_toml_file_stay_to_the_byte(ends: str) -> None:
    file = file_of("codex")
    file.parent.mkdir()
    file.write_bytes(TOML.replace("\n", ends).encode())
    assert install("codex").exit_code == 0
    text = file.read_bytes().decode()
    head, rest = TOML.split("[mcp_servers.mlrules]\n")
    assert text.startswith(head.replace("\n", ends))
    assert text.endswith(rest[rest.index("\n[mcp_servers.mlrules.tools]") :].replace("\n", ends))
    assert text.count("\r\n") == (text.count("\n") if ends == "\r\n" else 0)
    assert written(file)["mcp_servers"]["mlrules"] == {
        **COMMAND,
        "startup_timeout_sec": 60,
        "cwd": "/tmp",
        "env": {"A": "1"},
        "tools": {"allowed": ["list_rules"]},
    }


def test_a_second_time_changes_nothing() -> None:
    for client in CLIENTS:
        install(client)
        before = file_of(client).stat().st_mtime_ns
        result = install(client)
        assert result.exit_code == 0
        assert "already" in result.output
        assert file_of(client).stat().st_mtime_ns == before


def test_a_dry_run_shows_the_change_and_makes_none(home: Path) -> None:
    result = install("vscode", "--project", "--dry-run", "--name", "rules")
    assert result.exit_code == 0
    assert '+    "rules": {' in result.output
    assert not (home / "project" / ".vscode").exists()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_project_has_a_file_of_its_own_where_the_client_knows_one(client: str, home: Path) -> None:
    result = install(client, "--project")
    project = CLIENTS[client].project
    if project is None:
        assert result.exit_code == 2
        assert "leave --project out" in result.output
    else:
        assert (home / "project" / project).exists()
    assert not file_of(client).exists()


@pytest.mark.parametrize(
    ("client", "text", "reason"),
    [
        ("cursor", '{"mcpServers": {', "is not plain JSON"),
        ("cursor", '{"mcpServers": {}} // mine', "is not plain JSON"),
        ("cursor", '{"mcpServers": {}, "mcpServers": {"a": {}}}', "stands in one object twice"),
        ("cursor", "[]", "has no object under 'mcpServers'"),
        ("cursor", '{"mcpServers": []}', "has no object under 'mcpServers'"),
        ("cursor", '{"mcpServers": {"mlrules": "x"}}', "has no object under 'mcpServers'"),
        ("codex", "[mcp_servers", "is not TOML"),
        ("codex", "mcp_servers = 1\n", "has no table under 'mcp_servers'"),
        ("codex", 'mcp_servers = { mlrules = { command = "x" } }\n', "can't be replaced safely"),
        ("codex", "[mcp_servers.mlrules]\nsince = 2026-01-01\n", "is not kept here"),
    ],
)
def test_a_file_that_can_not_be_changed_safely_stays_and_the_entry_is_shown(
    client: str, text: str, reason: str
) -> None:
    file = file_of(client)
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    result = install(client)
    assert result.exit_code == 2
    assert reason in result.output
    assert "Add this by hand:" in result.output
    assert json.dumps(sys.executable) in result.output
    assert "Traceback" not in result.output
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    assert file.read_text(encoding="utf-8") == text


def test_a_file_that_is_no_text_stays() -> None:
    file = file_of("gemini")
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe{}")
    result = install("gemini")
    assert result.exit_code == 2
    assert "is not UTF-8" in result.output
    assert file.read_bytes() == b"\xff\xfe{}"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_file_that_is_a_link_is_written_where_it_leads(home: Path) -> None:
    real = home / "dotfiles.json"
    real.write_text("{}", encoding="utf-8")
    real.chmod(0o600)
    file = file_of("claude-code")
    file.symlink_to(real)
    assert install("claude-code").exit_code == 0
    assert file.is_symlink()
    assert "mlrules" in real.read_text(encoding="utf-8")
    assert real.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("arguments", [("--name", "a b"), ("--name", "a.b"), ("--url", "localhost:8000")])
def test_names_and_addresses_that_no_client_takes_are_refused(arguments: tuple[str, ...]) -> None:
    result = install("codex", *arguments)
    assert result.exit_code == 2
    assert not file_of("codex").exists()


def test_an_installation_that_uvx_made_is_started_by_uvx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/me/.cache/uv/archive-v0/abc")
    install("cursor")
    assert written(file_of("cursor")) == {"mcpServers": {"mlrules": {"command": "uvx", "args": ["mlrules-mcp"]}}}
