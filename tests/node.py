"""Programs from npm at pinned versions, in folders that git ignores, with a Node of their own."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".node"
_SYSTEM = {"Windows": "win"}.get(platform.system(), platform.system().lower())
_MACHINE = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_NODE = f"node-{_SYSTEM}-{_MACHINE}"


def install(name: str, packages: Sequence[str]) -> Path:
    """The `node_modules` folder that has these packages and Node 22; npm is asked only when they have changed."""
    folder = FOLDER / name
    wanted = "\n".join([*packages, f"{_NODE}@22"])
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        npm = shutil.which("npm")
        if npm is None:
            sys.exit("npm is needed to install " + ", ".join(packages) + ": install Node.js, which brings it.")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}", encoding="utf-8")
        print(f"Installing {', '.join(packages)} into {folder.name}/", file=sys.stderr)
        flags = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", "--engine-strict=false"]
        subprocess.run([npm, "install", *flags, *wanted.split("\n")], cwd=folder, check=True, stdout=sys.stderr)
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "node_modules"


def node(modules: Path) -> Path:
    """The Node program among installed packages."""
    return modules / _NODE / "bin" / ("node.exe" if _SYSTEM == "win" else "node")
