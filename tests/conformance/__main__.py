"""Runs the official conformance suite against the server, as it is and with the suite's fixtures, on both revisions."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import yaml
from mcp import MCPDeprecationWarning
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from mlrules_mcp.server.http.app import build_app
from mlrules_mcp.server.http.state import ServiceState
from tests.conformance.fixtures import add_fixtures
from tests.node import install, node
from tests.serving import served

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
# What no revision requires and the server passes all the same; the baselines don't hold for these.
FURTHER = {
    "bare": (
        "sep-2640-skills-enumeration",
        "sep-2640-skills-manifest",
        "sep-2640-skills-directory",
        "http-header-validation",
    ),
    "with-fixtures": ("http-header-validation", "http-custom-header-server-validation"),
}
REVISIONS = ("2025-11-25", "2026-07-28")
HERE = Path(__file__).parent


def main() -> int:
    """Print a table; 1 when a scenario fails that its baseline doesn't name, or one passes that it does name."""
    modules = install("conformance", [SUITE])
    package = modules / "@modelcontextprotocol" / "conformance"
    suite = [str(node(modules)), str(package / "dist" / "index.js")]
    print(
        f"{SUITE}\n{'server':<14} {'revision':<12} {'required':>8} {'passed':>6} {'expected failures':>18} "
        f"{'unexpected checks':>18}"
    )
    failed = False
    warnings.simplefilter("ignore", MCPDeprecationWarning)  # the older revision has logging and sampling
    for kind, app in (("bare", _bare()), ("with-fixtures", _with_fixtures())):
        logging.getLogger("mcp").setLevel(logging.CRITICAL)  # the suite provokes errors
        with served(app) as url:
            for revision in REVISIONS:
                requirements = yaml.safe_load((package / "requirements" / f"{revision}.yaml").read_text("utf-8"))
                failed |= not _run(suite, url, kind, revision, set(requirements["server"]))
            for scenario in FURTHER[kind]:
                failed |= not _run_further(suite, url, kind, scenario)
    return int(failed)


def _bare() -> Starlette:
    """The service as `serve --transport http` offers it."""
    catalogue = Catalogue()
    security = TransportSecuritySettings(allowed_hosts=["127.0.0.1:*"], allowed_origins=["http://127.0.0.1:*"])
    return build_app(build_server(catalogue), ServiceState(catalogue), security)


def _with_fixtures() -> Starlette:
    """The same server with sessions: the fixtures ask their client back, which the older revision does in one."""
    server = build_server(Catalogue())
    add_fixtures(server)
    return server.streamable_http_app()


def _run_further(suite: list[str], url: str, kind: str, scenario: str) -> bool:
    """Run a scenario that no revision requires; whether every check passes, without a warning."""
    command = [*suite, "server", "--url", url, "--scenario", scenario]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    result = re.search(r"Passed: (\d+)/\1, 0 failed, 0 warnings", run.stdout)
    print(f"{kind:<14} {scenario}: {f'all {result[1]} checks' if result else 'failed'}", flush=True)
    if not result:
        print(run.stdout, run.stderr, sep="\n", file=sys.stderr)
    return result is not None and run.returncode == 0


def _run(suite: list[str], url: str, kind: str, revision: str, required: set[str]) -> bool:
    """Run what a revision requires; whether only what the baseline names fails."""
    with tempfile.TemporaryDirectory() as results:
        arguments = ["--requirements", revision, "--expected-failures", str(HERE / f"{kind}.yml"), "-o", results]
        run = subprocess.run(
            [*suite, "server", "--url", url, *arguments], capture_output=True, encoding="utf-8", check=False
        )
    summary = run.stdout.partition("=== SUMMARY ===")[2]
    expected = set(re.findall(r"^  ~ ([^:\n]+)", summary, re.MULTILINE))  # those with warnings pass, to the suite
    passed = required & set(re.findall(r"^✓ (\S+): \d+ passed", summary, re.MULTILINE)) - expected
    surprises = re.split("Stale baseline|Unexpected failures", summary)[1:]
    unexpected = sum(len(re.findall(r"^  [✓✗] ", part, re.MULTILINE)) for part in surprises)
    figures = f"{len(required):>8} {len(passed):>6} {len(expected):>18} {unexpected:>18}"
    print(f"{kind:<14} {revision:<12} {figures}", flush=True)
    if run.returncode:
        print(summary or run.stdout, run.stderr, sep="\n", file=sys.stderr)
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
