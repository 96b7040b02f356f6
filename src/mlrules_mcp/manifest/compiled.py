"""The shipped manifest, read ahead of time: JSON costs a command less than parsing, pydantic and PyYAML would.

`python -m mlrules_mcp.manifest.compiled` writes it anew from rules/machine-learning.md.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlrules_mcp.manifest.model import Block, Guidance, Manifest, Rule

SHIPPED_SOURCE = "rules/machine-learning.md"
COMPILED = Path(__file__).with_name("shipped.json")


@lru_cache(maxsize=1)
def shipped_manifest() -> Manifest:
    """The manifest that comes with the package."""
    return from_json(COMPILED.read_text(encoding="utf-8"))


def shipped_path() -> Path:
    """The shipped manifest as a file: inside the installed package, or in the checkout that runs."""
    package = Path(__file__).parents[1]
    installed = package / SHIPPED_SOURCE
    return installed if installed.is_file() else package.parents[1] / SHIPPED_SOURCE


def to_json(manifest: Manifest) -> str:
    """A manifest without diagnostics and adjustments as text that `from_json` reads back."""
    if manifest.diagnostics or manifest.adjustments:
        raise ValueError(f"{manifest.source} is not ready to be shipped: {manifest.diagnostics}")
    content = asdict(manifest)
    del content["diagnostics"], content["adjustments"]
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Manifest:
    """The manifest that `to_json` wrote."""
    content = json.loads(text)
    content["globs"] = tuple(content["globs"])
    content["blocks"] = tuple(map(_block, content["blocks"]))
    return Manifest(**content)


def _block(content: dict[str, Any]) -> Block:
    content["rules"] = tuple(
        Rule(**{**rule, "stated": tuple(rule["stated"]), "overrides": ()}) for rule in content["rules"]
    )
    content["guidance"] = tuple(Guidance(**guidance) for guidance in content["guidance"])
    return Block(**content)


def main() -> None:
    """Write the compiled form of the shipped manifest."""
    from mlrules_mcp.manifest.reader import read_manifest_file  # noqa: PLC0415 - not where it is only read

    text = to_json(read_manifest_file(shipped_path(), SHIPPED_SOURCE))
    COMPILED.write_text(text, encoding="utf-8", newline="\n")
    print(f"wrote {COMPILED.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
