"""The real command in a process of its own, called over a socket."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client

from mlrules_mcp.cli import cli
from tests.server.http.conftest import BAD, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process at once on Windows")


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address; killed where the test has not ended it."""
    command = [sys.executable, "-m", "mlrules_mcp", "serve", "--transport", "http", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        try:
            assert process.stderr is not None
            url = next(match[0] for line in process.stderr if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
            yield process, url
        finally:
            process.kill()


def test_sigterm_ends_the_server_after_the_call_that_it_has_taken() -> None:
    async def call_while_ending(process: subprocess.Popen[str], url: str) -> Any:
        async with Client(f"{url}/mcp", mode="2026-07-28") as client:
            process.send_signal(signal.SIGTERM)
            return await client.call_tool("analyze_code", {"code": BAD})

    with served("--drain-delay", "2") as (process, url):
        result = run(call_while_ending, process, url)
        assert not result.is_error
        assert process.wait(timeout=30) == 0


def test_listening_beyond_this_machine_takes_an_explicit_word() -> None:
    refused = CliRunner().invoke(cli, ["serve", "--transport", "http", "--host", "0.0.0.0"])
    assert refused.exit_code == 2
    assert "or insecure" in refused.output
