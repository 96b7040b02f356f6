"""How fast the analysis, the command line and the server are, beside others in the same run.

Run: make bench [CORPUS="folder …"]. Without folders the sources of the installed torch and lightning are analysed.
Prints tables of medians and ratios; times differ between machines and runs, ratios less.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.analysis.files import python_files
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import SourceFile, UnreadableSource

ROUNDS = 3
STARTS = 15
LINES = 150_000  # of code to analyse
TORCHFIX_LINES = 10_000  # TorchFix makes some hundreds a second
TORCHFIX_FOLDER = Path(__file__).parent.parent / "build" / "torchfix"
COMMAND = Path(sysconfig.get_path("scripts"), "mlrules-mcp")
STANDARD_LIBRARY = "import ast, argparse, json, re"
BARE_SERVER = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
server.run("stdio")
"""
# As for a user: Python keeps what it has compiled.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
CONSOLE = Console()


def main(folders: Sequence[str]) -> None:
    """Measure everything and print the tables."""
    sources = _sources([Path(folder) for folder in folders] or _installed())
    table = _table("Analysis of one process, CPU time", "lines/s", "x ast.parse")
    _analysis_rows(table, sources)
    CONSOLE.print(table)
    table = _table("Whole processes, wall time", "ms", "ratio")
    _command_rows(table, sources)
    _server_rows(table)
    CONSOLE.print(table)
    table = _table("TorchFix on the same files, whole processes", "lines/s", "x slower")
    _torchfix_rows(table, sources)
    CONSOLE.print(table)


def _table(title: str, *figures: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("what", min_width=44)
    for figure in figures:
        table.add_column(figure, justify="right")
    return table


def _installed() -> list[Path]:
    """The folders of packages that hold much real training code."""
    specs = [spec for name in ("lightning", "torch") if (spec := find_spec(name)) is not None]
    return [Path(location) for spec in specs for location in spec.submodule_search_locations or ()]


def _sources(folders: list[Path]) -> list[SourceFile]:
    """Files that parse, drawn at random (always the same) until there are enough lines."""
    files = [file for folder in folders for file in python_files([folder]) if isinstance(file, Path)]
    random.Random(0).shuffle(files)
    sources: list[SourceFile] = []
    lines = 0
    for file in files:
        try:
            source = SourceFile.from_path(file, file.name)
            ast.parse(source.code)
        except (UnreadableSource, SyntaxError, ValueError):
            continue
        sources.append(source)
        lines += len(source.lines)
        if lines >= LINES:
            break
    CONSOLE.print(f"{lines:,} lines in {len(sources)} files under {', '.join(map(str, folders))}\n")
    return sources


def _analysis_rows(table: Table, sources: list[SourceFile]) -> None:
    catalogue = Catalogue()
    lines = sum(len(source.lines) for source in sources)
    parsed: list[float] = []
    parsed_alone: list[float] = []
    analysed: list[float] = []
    for source in sources[:20]:  # warm
        analyze(source, catalogue)
    for _ in range(ROUNDS):
        parsed.append(_cpu_time(lambda source: ast.parse(source.code), sources))
        gc.disable()
        parsed_alone.append(_cpu_time(lambda source: ast.parse(source.code), sources))
        gc.enable()
        analysed.append(_cpu_time(lambda source: analyze(source, catalogue), sources))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(analysed, parsed, strict=True))
    table.add_row("ast.parse", f"{lines / statistics.median(parsed):,.0f}", "1.00")
    # The analysis pauses the garbage collector while it has a tree; this is what that alone gives.
    paused = statistics.median(alone / whole for alone, whole in zip(parsed_alone, parsed, strict=True))
    table.add_row("ast.parse, collector paused", f"{lines / statistics.median(parsed_alone):,.0f}", f"{paused:.2f}")
    name = f"analysis, {len(catalogue.checks)} checks"
    table.add_row(name, f"{lines / statistics.median(analysed):,.0f}", f"{ratio:.2f}")


def _cpu_time(work: Callable[[SourceFile], object], sources: list[SourceFile]) -> float:
    start = time.process_time()
    for source in sources:
        work(source)
    return time.process_time() - start


def _command_rows(table: Table, sources: list[SourceFile]) -> None:
    typical = min(sources, key=lambda source: abs(len(source.lines) - 300))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "train.py")
        file.write_text(typical.text, encoding="utf-8")
        python = [sys.executable, "-c", STANDARD_LIBRARY]
        check = [str(COMMAND), "check", str(file)]
        theirs, ours = _interleaved(lambda: _wall_time(python), lambda: _wall_time(check))
    table.add_row(f'python -c "{STANDARD_LIBRARY}"', f"{theirs:.0f}", "1.00")
    table.add_row(f"mlrules-mcp check, a file of {len(typical.lines)} lines", f"{ours:.0f}", f"{ours / theirs:.2f}")


def _server_rows(table: Table) -> None:
    bare = [sys.executable, "-c", BARE_SERVER]
    theirs, ours = _interleaved(lambda: _time_to_tools(bare), lambda: _time_to_tools([str(COMMAND), "serve"]))
    table.add_row("bare MCPServer, start to tools/list", f"{theirs:.0f}", "1.00")
    table.add_row("mlrules-mcp serve, start to tools/list", f"{ours:.0f}", f"{ours / theirs:.2f}")


def _interleaved(first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float]:
    """The medians, in ms, of two measurements taken in turn, so that a slow moment meets both."""
    first(), second()
    pairs = [(first(), second()) for _ in range(STARTS)]
    return statistics.median(a for a, _ in pairs) * 1000, statistics.median(b for _, b in pairs) * 1000


def _wall_time(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT)
    return time.perf_counter() - start


def _time_to_tools(command: list[str]) -> float:
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "0"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=ENVIRONMENT,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for message in messages:
            server.stdin.write(json.dumps(message) + "\n")
        server.stdin.flush()
        for line in server.stdout:
            if json.loads(line).get("id") == 2:
                break
        taken = time.perf_counter() - start
        server.stdin.close()
        server.wait(timeout=30)
    return taken


def _torchfix_rows(table: Table, sources: list[SourceFile]) -> None:
    torchfix = _installed_torchfix()
    if torchfix is None:
        table.add_row("TorchFix can't be installed here", "–", "–")
        return
    with tempfile.TemporaryDirectory() as folder:
        lines = 0
        for number, source in enumerate(sources):
            if lines >= TORCHFIX_LINES:
                break
            Path(folder, f"file_{number}.py").write_text(source.text, encoding="utf-8")
            lines += len(source.lines)
        ours = statistics.median(_wall_time([str(COMMAND), "check", folder]) for _ in range(ROUNDS))
        theirs = _wall_time([str(torchfix), "--select", "ALL", folder])
    table.add_row(f"mlrules-mcp check, {lines:,} lines", f"{lines / ours:,.0f}", "1.00")
    table.add_row(f"torchfix --select ALL, {lines:,} lines", f"{lines / theirs:,.0f}", f"{theirs / ours:.1f}")


def _installed_torchfix() -> Path | None:
    """TorchFix in an environment of its own, because it needs an older libcst; None where it can't be had."""
    scripts = TORCHFIX_FOLDER / Path(sysconfig.get_path("scripts")).name
    if not (scripts / "torchfix").exists():
        venv.create(TORCHFIX_FOLDER, with_pip=True)
        install = [str(scripts / "python"), "-m", "pip", "install", "--quiet", "torchfix"]
        if subprocess.run(install, capture_output=True, check=False).returncode != 0:
            return None
    return scripts / "torchfix"


if __name__ == "__main__":
    main(sys.argv[1:])
