from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import DATA, is_test_file
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_MACHINE_PATH = pattern(r"^(?:/home/([^/\s]+)/\S|/Users/([^/\s]+)/\S|[A-Za-z]:[\\/]+(?:Users[\\/]+([^\\/]+)[\\/]+)?\w)")
_PLACEHOLDER = pattern(
    r"(?i)^(user|username|user_?name|name|you|me|someone|somebody|x+|foo|bar|shared|public|app|runner|jovyan|jupyter)$"
    r"|your|my_?name|[<>{}$*…]|\.\.\."
)
_MARKS = ("/home/", "/Users/", ":\\", ":/")
_PATH_NAME = pattern(
    r"(?i)(path|dir|directory|folder|root|file|filename|fname|csv|location|cache|ckpt|checkpoint|data|dataset|img|"
    r"image|video|weights|input|output|base|home|prefix|url)s?_?\d*$"
)
_READS_OR_WRITES = pattern(
    r"^(open|read_\w+|\w*load\w*|from_\w+|im(read|write)|to_\w+|save\w*|dump|Path|PurePath|PosixPath|join|listdir|"
    r"scandir|walk|i?glob|rglob|makedirs|mkdir|chdir|copy\w*|move|rmtree|\w*Dataset\w*|\w*Folder\w*|loadtxt|"
    r"genfromtxt|fromfile|VideoCapture|File|ZipFile|abspath|expanduser|add_argument|FileWriter|SummaryWriter)$"
)


class MachinePath(Check[ast.Module]):
    """A path that exists on one person's machine only.

    ## What it does
    Finds paths into a home directory (`/home/ann/…`, `/Users/ann/…`, `C:\\\\Users\\\\ann\\\\…`) or on a drive
    (`D:\\\\data`) that are read, written, or kept in something called after a path. One finding a file.

    ## Why it matters
    Everywhere else the code stops with a FileNotFoundError, and nobody else can tell which data it ran on: a path says
    nothing about the version of what lay there.

    ## Do not flag
    Placeholders (`/home/user/…`, `/path/to/…`), paths of the system (`/data`, `/tmp`), texts that are printed, compared
    or replaced, and tests.

    ## Fix safety
    No fix: where the data lies elsewhere is not known.

    ## References
    - https://dvc.org/doc/start/data-management/data-versioning
    """

    packages = DATA
    examples = (
        Bad(
            """
            import pandas as pd

            df = pd.read_csv(«"/home/ann/projects/churn/data.csv"»)
            df.to_csv(‹"/home/ann/projects/churn/clean.csv"›)
            """
        ),
        Bad(
            """
            import os
            import torch

            DATA_ROOT = «"/Users/ann/Downloads/cifar"»

            def load(name, cache_dir=‹"/Users/ann/.cache"›):
                return torch.load(os.path.join(DATA_ROOT, name))
            """
        ),
        Bad(
            """
            import pandas as pd

            train = pd.read_csv(«r"C:\\Users\\ann\\Desktop\\titanic\\train.csv"»)
            """
        ),
        Bad(
            """
            import argparse
            import torch

            parser = argparse.ArgumentParser()
            parser.add_argument("--data", default=«"/home/ann/imagenet"»)
            config = {"image_dir": ‹"D:/images/"› + "train"}
            """
        ),
        Bad(
            """
            import torch

            for fold in range(5):
                model.load_state_dict(torch.load(«f"/home/ann/runs/fold{fold}.pt"»))
            """
        ),
        Good(
            """
            import os
            import pandas as pd

            root = os.environ.get("DATA_ROOT", "data")
            df = pd.read_csv(os.path.join(root, "train.csv"))
            image_dir = "/data/imagenet"
            cache = "~/.cache"
            """
        ),
        Good(
            """
            import torch

            data_dir = "/home/user/data"
            log_dir = "/home/<name>/logs"
            weights = "/path/to/weights.pt"
            """,
            why="placeholders for the reader to fill in",
        ),
        Good(
            '''
            import torch

            def relative(path):
                """Makes /home/ann/data/x.png to x.png."""
                print("/home/ann/data")
                if path.startswith("/home/ann/data"):
                    path = path.replace("/home/ann/data/", "")
                return path
            ''',
            why="nothing is read there",
        ),
        Good(
            """
            import pytest
            import torch

            def test_the_parent_of_a_path():
                path = "/home/ann/data/x.png"
                assert parent(path) == "/home/ann/data"
            """,
            why="a made-up path in a test",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not any(mark in module.source.code for mark in _MARKS) or is_test_file(module):
            return
        places = [place for constant in module.nodes(ast.Constant) if (place := _used_path(module, constant))]
        if not places:
            return
        first, *others = dict.fromkeys(places)
        yield self.finding(
            module,
            first,
            "This path exists on one machine only: elsewhere the code stops with a FileNotFoundError, and which "
            "version of the data lay there nobody can tell. Take it from an argument, a configuration file or an "
            "environment variable.",
            also_at=others,
        )


def _used_path(module: Module, constant: ast.Constant) -> ast.expr | None:
    """The text that holds a machine's path, where it is read, written or kept as a path."""
    value = constant.value
    if not isinstance(value, str) or not (found := _MACHINE_PATH.match(value)):
        return None
    if any(owner and _PLACEHOLDER.search(owner) for owner in found.groups()) or _PLACEHOLDER.search(value[:3]):
        return None
    text: ast.expr = constant
    parent = module.parent(constant)
    if isinstance(parent, ast.JoinedStr):
        if parent.values[0] is not constant:
            return None
        text = parent
    return text if _is_used_as_path(module, text) else None


def _is_used_as_path(module: Module, text: ast.expr) -> bool:
    child: ast.AST = text
    for ancestor in module.ancestors(text):
        match ancestor:
            case ast.BinOp(op=ast.Add() | ast.Div() | ast.Mod()) | ast.IfExp() | ast.List() | ast.Tuple():
                pass
            case ast.keyword(arg=str(name)) if _PATH_NAME.search(name):
                return True
            case ast.keyword(arg="default"):
                call = module.parent(ancestor)
                return isinstance(call, ast.Call) and module.called_name(call) == "add_argument"
            case ast.Call(func=func) if child is not func:
                return _READS_OR_WRITES.match(module.called_name(ancestor) or "") is not None
            case ast.Assign(targets=targets):
                return any(_is_path_name(target) for target in targets)
            case ast.AnnAssign(target=target):
                return _is_path_name(target)
            case ast.Dict(keys=keys, values=values):
                named = [key for key, value in zip(keys, values, strict=True) if value is child]
                return any(isinstance(key, ast.Constant) and _is_path_key(key.value) for key in named)
            case ast.arguments():
                return _PATH_NAME.search(_parameter(ancestor, child)) is not None
            case _:
                return False
        child = ancestor
    return False


def _is_path_name(target: ast.expr) -> bool:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _PATH_NAME.search(name) is not None
        case ast.Subscript(slice=ast.Constant(value=key)):
            return _is_path_key(key)
    return False


def _is_path_key(key: object) -> bool:
    return isinstance(key, str) and _PATH_NAME.search(key) is not None


def _parameter(arguments: ast.arguments, default: ast.AST) -> str:
    """The name of the parameter that has a default."""
    for arg, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if value is default:
            return arg.arg
    positional = [*arguments.posonlyargs, *arguments.args]
    for arg, value in zip(reversed(positional), reversed(arguments.defaults), strict=False):
        if value is default:
            return arg.arg
    return ""
