"""Facts about data sets and how files are told apart: which packages handle data, and which files are tests."""

from __future__ import annotations

import ast

from mlrules_mcp.checks._programs import imports_test_framework
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

# Packages that a file imports which reads data for models, or trains them.
DATA = (
    TORCH
    | SKLEARN
    | frozenset("pandas numpy tensorflow keras cv2 PIL datasets polars albumentations h5py jax flax mxnet dask".split())
)
IMAGES = frozenset("torch torchvision lightning albumentations monai kornia timm fastai imgaug PIL cv2".split())

_TEST_PATH = pattern(r"(^|/)tests?(_\w+)?/|(^|/)(test_|conftest)[^/]*\.py$|_test\.py$")


def is_test_file(module: Module) -> bool:
    """Whether a file tests code, by its path or what it imports."""
    return bool(_TEST_PATH.search(module.source.path)) or imports_test_framework(module)


def is_script(module: Module) -> bool:
    """Whether a file is run rather than imported: a notebook, one with `if __name__ == "__main__"`, or a script whose
    loops and calls stand at its top."""
    if module.source.path.endswith(".ipynb"):
        return True
    for statement in module.tree.body:
        match statement:
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))) | ast.For() | ast.While():
                return True
            case ast.Expr(value=ast.Call(func=ast.Name() | ast.Attribute())):
                return True
    return False
