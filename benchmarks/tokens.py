"""What the server costs an assistant in tokens: its list of tools beside others', and its answers on real files.

Run: python benchmarks/tokens.py [FOLDER]. Five machine-learning files under the folder are taken, from small to large;
without one, the examples of this repository. Tokens are those of o200k, counted by the npm package gpt-tokenizer, which
brings the data; where npm is missing they are estimated as a quarter of the bytes, and other servers are left out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.node import install, node  # noqa: E402

TOKENIZER = "gpt-tokenizer@4.0.0"
OTHERS = {
    "@modelcontextprotocol/server-everything@2026.8.31": ("@modelcontextprotocol/server-everything/dist/index.js",),
    "@modelcontextprotocol/server-filesystem@2026.8.31": ("@modelcontextprotocol/server-filesystem/dist/index.js", "."),
    "@modelcontextprotocol/server-memory@2026.8.31": ("@modelcontextprotocol/server-memory/dist/index.js",),
    "@playwright/mcp@0.0.83": ("@playwright/mcp/cli.js",),
}
COUNT = """
import { encode } from "gpt-tokenizer/encoding/o200k_base";
let text = "";
for await (const part of process.stdin) text += part;
console.log(JSON.stringify(JSON.parse(text).map((each) => encode(each, { allowedSpecial: "all" }).length)));
"""
ML = re.compile(r"^\s*(?:import|from) (?:torch|lightning|pytorch_lightning|sklearn)\b", re.MULTILINE)
FILES = 5


def main() -> None:
    """Print the tables."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "examples").resolve()
    modules = install("tokens", [TOKENIZER, *OTHERS]) if shutil.which("npm") else None
    print(f"Tokens: {'o200k' if modules else 'a quarter of the bytes (no npm here for o200k)'}\n")
    _print_lists(modules)
    _print_answers(folder, _five(folder), modules)


def _print_lists(modules: Path | None) -> None:
    """The size of tools/list, as a client gets it."""
    servers: dict[str, Any] = {"mlrules-mcp": build_server(Catalogue(), [ROOT])}
    if modules is not None:
        for name, (script, *arguments) in OTHERS.items():
            servers[name] = StdioServerParameters(
                command=str(node(modules)), args=[str(modules / script), *arguments], cwd=modules.parent
            )
    rows = [(name, *anyio.run(_tools, server)) for name, server in servers.items()]
    counts = _count([text for *_, text in rows], modules)
    print(f"{'tools/list of':<52} {'tools':>5} {'tokens':>7}")
    for (name, tools, _), tokens in zip(rows, counts, strict=True):
        print(f"{name:<52} {tools:>5} {tokens:>7,}")


async def _tools(server: Any) -> tuple[int, str]:
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
    return len(tools), _json([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools])


def _print_answers(folder: Path, files: Sequence[Path], modules: Path | None) -> None:
    """The size of each tool's answer, as text and as data: clients show the model one of them."""
    answers = anyio.run(_answers, folder, files)
    texts = [text for _, result in answers for text in _forms(result)]
    counts = iter(_count([*(file.read_text("utf-8") for file in files), *texts], modules))
    sizes = {file: next(counts) for file in files}
    print(f"\n{'answer of':<44} {'text':>7} {'data':>7}")
    for name, result in answers:
        text, data = next(counts), next(counts)
        print(f"{name:<44} {text:>7,} {data:>7,}{'  (an error)' if result.is_error else ''}")
    print("\nThe files:", ", ".join(f"{file.relative_to(folder)} ({size:,} tokens)" for file, size in sizes.items()))


async def _answers(folder: Path, files: Sequence[Path]) -> list[tuple[str, CallToolResult]]:
    made: list[tuple[str, CallToolResult]] = []
    async with Client(build_server(Catalogue(), [folder])) as client:

        async def call(tool: str, about: str, **arguments: Any) -> CallToolResult:
            made.append((f"{tool} {about}", await client.call_tool(tool, arguments)))
            return made[-1][1]

        for number, file in enumerate(files, 1):
            path = file.relative_to(folder).as_posix()
            about = f"on file {number}"
            await call("list_rules", about, paths=[path])
            found = await call("analyze_code", about, paths=[path])
            await call("fix_code", f"{about}, all fixes", path=path, suggested=True)
            findings = (found.structured_content or {}).get("findings", [])
            if findings:
                await call("explain_rule", f"of {findings[0]['check']}", rule=findings[0]["check"])
        await call("explain_rule", "of a rule", rule="pytorch_rules.gradient_management")
        await call("review_project", "of the folder")
        await call("check_training", "on the CPU", device="cpu")
    return made


def _forms(result: CallToolResult) -> tuple[str, str]:
    text = "\n".join(block.text for block in result.content if block.type == "text")
    return text, _json(result.structured_content or {})


def _five(folder: Path) -> list[Path]:
    """Five files that use PyTorch, Lightning or scikit-learn, spread over their sizes."""
    found = sorted(
        (p for p in folder.rglob("*.py") if p.is_file() and ML.search(_read(p))), key=lambda p: p.stat().st_size
    )
    if len(found) <= FILES:
        return found
    return [found[(2 * place + 1) * len(found) // (2 * FILES)] for place in range(FILES)]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _count(texts: Sequence[str], modules: Path | None) -> list[int]:
    if modules is None:
        return [len(text.encode()) // 4 for text in texts]
    script = modules.parent / "count.mjs"  # there, so that it finds the package
    script.write_text(COUNT, encoding="utf-8")
    done = subprocess.run(
        [node(modules), script], input=json.dumps(texts), capture_output=True, check=True, encoding="utf-8"
    )
    counts: list[int] = json.loads(done.stdout)
    return counts


if __name__ == "__main__":
    main()
