"""Connects the clients that people use to the server, over stdio and HTTP, and has them list and call its tools.

Run: make clients. Their home is a folder of its own, so that what they know of other servers stays as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mcp.server.transport_security import TransportSecuritySettings

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from mlrules_mcp.server.http.app import build_app
from mlrules_mcp.server.http.state import ServiceState
from tests.node import install, node
from tests.serving import served

PACKAGES = (
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/client@2.4.0",
    "@modelcontextprotocol/sdk@1.32.2",
    "@anthropic-ai/claude-code@2.1.330",
    "@openai/codex@0.169.0",
    "@google/gemini-cli@0.61.0",
)
CODE = "import torch\n\nwith torch.no_grad:\n    pass\n"
CALLS: dict[str, dict[str, Any]] = {
    "analyze_code": {"code": CODE, "filename": "train.py"},
    "check_training": {"device": "cpu"},
    "explain_rule": {"rule": "no-grad-not-called"},
    "fix_code": {"path": "train.py"},
    "list_rules": {"paths": ["train.py"]},
    "review_project": {},
}


class Failed(Exception):
    """A client could not do what it was asked; the message is what it said."""


class Bench(NamedTuple):
    """Where the clients are, and how they reach the server."""

    modules: Path
    folder: Path
    environment: dict[str, str]
    url: str

    @property
    def passed_on(self) -> dict[str, str]:
        """What a server that a client starts has to be given: it inherits next to nothing."""
        return {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}

    @property
    def server(self) -> list[str]:
        """The command line of the server over stdio."""
        return [sys.executable, "-m", "mlrules_mcp"]

    def run(self, program: str, *arguments: str) -> str:
        """What a program among the packages prints.

        Raises:
            Failed: it says that something went wrong.
        """
        path = (self.modules / ".bin" / program).resolve()
        script = [str(node(self.modules))] if path.suffix in {".js", ".mjs", ".cjs"} else []
        done = subprocess.run(
            [*script, str(path), *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise Failed(f"exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr


def main() -> int:
    """Print a table; 1 when a client could not do its part."""
    modules = install("clients", PACKAGES)
    catalogue = Catalogue()
    failures = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        project = Path(home) / "project"
        project.mkdir()
        (project / "train.py").write_text(CODE, encoding="utf-8")
        security = TransportSecuritySettings(allowed_hosts=["127.0.0.1:*"], allowed_origins=["http://127.0.0.1:*"])
        app = build_app(build_server(catalogue, [project]), ServiceState(catalogue), security)
        path = f"{node(modules).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "HOME": home, "PATH": path, "GEMINI_CLI_TRUST_WORKSPACE": "true", "NO_COLOR": "1"}
        with served(app) as url:
            bench = Bench(modules, project, environment, url)
            print(f"{'client':<44} {'transport':<9} result")
            for client, transport, proof in _proofs(bench):
                try:
                    result = proof()
                except (Failed, subprocess.TimeoutExpired, ValueError) as error:
                    failures += 1
                    result = f"FAILED: {error}"
                print(f"{client:<44} {transport:<9} {result}", flush=True)
    return int(failures > 0)


def _proofs(bench: Bench) -> Iterator[tuple[str, str, Callable[[], str]]]:
    inspector, client, sdk, claude, codex, gemini = PACKAGES
    for transport in ("stdio", "http"):
        yield inspector, transport, lambda t=transport: _inspector(bench, t)
        for package in (client, sdk):
            yield package, transport, lambda t=transport, p=package: _typescript(bench, p.rpartition("@")[0], t)
        yield claude, transport, lambda t=transport: _claude(bench, t)
        yield codex, transport, lambda t=transport: _codex(bench, t)
        yield gemini, transport, lambda t=transport: _gemini(bench, t)
        for package, name, program in (
            (claude, "claude-code", "claude"),
            (codex, "codex", "codex"),
            (gemini, "gemini", "gemini"),
        ):
            yield package, transport, lambda n=name, p=program, t=transport: _installed(bench, n, p, t)


def _inspector(bench: Bench, transport: str) -> str:
    given = [f"{name}={value}" for name, value in bench.passed_on.items()]
    target = [*_pairs("-e", given), *bench.server] if transport == "stdio" else [bench.url, "--transport", "http"]

    def ask(*arguments: str) -> str:
        return bench.run("mcp-inspector", "--cli", *target, *arguments)

    for era in ("legacy", "modern"):
        listed = json.loads(
            _last_json(ask("--method", "tools/list", "--strict", "--format", "json", "--protocol-era", era))
        )
        _expect(sorted(tool["name"] for tool in listed["result"]["tools"]) == sorted(CALLS), f"{era}: other tools")
    for name, parameters in CALLS.items():
        call = ["--method", "tools/call", "--tool-name", name, "--tool-args-json", json.dumps(parameters)]
        result = json.loads(_last_json(ask(*call, "--format", "json")))["result"]
        _expect(not result.get("isError") and "structuredContent" in result, f"{name}: {str(result)[:300]}")
    skills = ask("--method", "skills/list", "--verify", "--require-digests", "--protocol-era", "modern").count(
        '"uri":"skill:'
    )
    apps = ask("--method", "tools/list", "--app-info").count('"hasApp":true')
    _expect(skills > 0 and apps == 2, f"{skills} skills, {apps} apps")
    return f"strict list in both eras, {len(CALLS)} tools called, skills verified, {apps} apps"


def _typescript(bench: Bench, package: str, transport: str) -> str:
    script = bench.modules.parent / "calls.mjs"  # there, so that it finds the packages
    shutil.copy(Path(__file__).with_name("calls.mjs"), script)
    command, *arguments = bench.server
    stdio = {"command": command, "args": arguments, "cwd": str(bench.folder), "env": bench.environment}
    done = subprocess.run(
        [
            node(bench.modules),
            script,
            package,
            transport,
            json.dumps(stdio) if transport == "stdio" else bench.url,
            json.dumps(CALLS),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise Failed(done.stderr)
    said = json.loads(_last_json(done.stdout))
    _expect(said == {"tools": sorted(CALLS), "answered": sorted(CALLS)}, f"{said} {done.stderr}")
    return f"list, {len(CALLS)} tools called"


def _claude(bench: Bench, transport: str) -> str:
    given = [f"{name}={value}" for name, value in bench.passed_on.items()]
    if transport == "stdio":
        bench.run("claude", "mcp", "add", "mlrules-stdio", *_pairs("-e", given), "--", *bench.server)
    else:
        bench.run("claude", "mcp", "add", "--transport", "http", "mlrules-http", bench.url)
    return _connected(bench.run("claude", "mcp", "list"), f"mlrules-{transport}")


def _codex(bench: Bench, transport: str) -> str:
    given = [f"{name}={value}" for name, value in bench.passed_on.items()]
    if transport == "stdio":
        bench.run("codex", "mcp", "add", "mlrules-stdio", *_pairs("--env", given), "--", *bench.server)
    else:
        bench.run("codex", "mcp", "add", "mlrules-http", "--url", bench.url)
    line = _line(bench.run("codex", "mcp", "list"), f"mlrules-{transport}")
    _expect("enabled" in line, line)
    return "registered and enabled (it does not connect before a session)"


def _gemini(bench: Bench, transport: str) -> str:
    if transport == "stdio":
        command, *arguments = bench.server
        # It takes no PYTHONPATH for a server, so this is the installed package.
        bench.run("gemini", "mcp", "add", "-s", "user", "mlrules-stdio", command, "--", *arguments)
    else:
        bench.run("gemini", "mcp", "add", "-s", "user", "-t", "http", "mlrules-http", bench.url)
    return _connected(bench.run("gemini", "mcp", "list"), f"mlrules-{transport}")


def _installed(bench: Bench, client: str, program: str, transport: str) -> str:
    """What a client says of the entry that `mlrules-mcp install` wrote for it."""
    name = f"installed-{transport}"
    address = ["--url", bench.url] if transport == "http" else []
    command = [*bench.server, "install", client, "--name", name, *address]
    done = subprocess.run(
        command, cwd=bench.folder, env=bench.environment, capture_output=True, encoding="utf-8", check=False
    )
    _expect(done.returncode == 0, done.stderr)
    line = _line(bench.run(program, "mcp", "list"), name)
    _expect("Connected" in line or "enabled" in line, line)
    return "mlrules-mcp install: " + ("connected" if "Connected" in line else "registered and enabled")


def _connected(listing: str, name: str) -> str:
    line = _line(listing, name)
    _expect("Connected" in line, line)
    return "connected"


def _line(listing: str, name: str) -> str:
    return next((line.strip() for line in listing.splitlines() if name in line), f"{name} is not in: {listing}")


def _last_json(output: str) -> str:
    """The last line that is JSON; programs print warnings before it."""
    return next(line for line in reversed(output.splitlines()) if line.startswith("{"))


def _pairs(option: str, values: list[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


if __name__ == "__main__":
    sys.exit(main())
