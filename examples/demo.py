"""The main job on real input: an MCP client talks to the real server over stdio. Run: make demo."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

ROOT = Path(__file__).resolve().parent.parent
SERVER = StdioServerParameters(command=sys.executable, args=["-m", "mlrules_mcp"], cwd=ROOT)
SCRIPT = "examples/train_reviews.py"
TWIN = "examples/train_reviews_fixed.py"


def show(title: str, result: CallToolResult) -> None:
    """Print what a tool answered, as an assistant reads it."""
    print(f"\n=== {title} ===\n")
    print("\n".join(block.text for block in result.content if block.type == "text"))
    if result.is_error:
        sys.exit(1)


async def show_progress(done: float, total: float | None, message: str | None) -> None:
    """Say what the training check is doing."""
    print(f"  [{done:g}/{total or 0:g}] {message}", file=sys.stderr)


async def main() -> None:
    """Call each tool the way an assistant would while it works on a training script."""
    async with Client(SERVER) as client:
        paths = [SCRIPT, "notebooks/explore.ipynb", "README.md"]
        show(f"list_rules {paths}", await client.call_tool("list_rules", {"paths": paths}))
        show(f"analyze_code {SCRIPT}", await client.call_tool("analyze_code", {"paths": [SCRIPT]}))
        explained = await client.call_tool("explain_rule", {"rule": "softmax-into-cross-entropy"})
        show("explain_rule softmax-into-cross-entropy", explained)
        show(f"fix_code {SCRIPT}", await client.call_tool("fix_code", {"path": SCRIPT}))
        show(f"analyze_code {TWIN}", await client.call_tool("analyze_code", {"paths": [TWIN]}))
        print("\nTraining a small model on every device that is there:", file=sys.stderr)
        show("review_project examples", await client.call_tool("review_project", {"root": "examples"}))
        trained = await client.call_tool("check_training", {}, progress_callback=show_progress)
        show("check_training", trained)


if __name__ == "__main__":
    asyncio.run(main())
