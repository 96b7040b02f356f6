from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import DATA, is_test_file
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.scopes import role_of_name
from mlrules_mcp.source.names import argument

_LISTS = frozenset({"os.listdir", "os.scandir", "glob.glob", "glob.iglob"})
_PATH_METHODS = frozenset({"glob", "rglob", "iterdir"})
_SHUFFLES = ("shuffle",)
_PARTS = frozenset({"train", "val", "valid", "test", "dev"})


class UnsortedFilesInSplit(Check[ast.Call]):
    """A split of files in whatever order the file system lists them.

    ## What it does
    Finds `os.listdir`, `glob.glob`, `Path.glob` and `Path.iterdir` whose result, unsorted, is cut into training and
    test parts by slices, or split with a fixed `random_state`.

    ## Why it matters
    The order of files is that of the file system: on another machine, or after a copy, other files are in the test
    part, in spite of the seed. Who goes on training there tests on what the model knows.

    ## Do not flag
    Lists that are sorted on the way, splits without a seed (they differ each time anyhow), lists that are not split.

    ## Fix safety
    Suggested: sorting gives another split than the last run had.

    ## References
    - https://docs.python.org/3/library/os.html#os.listdir
    - https://docs.python.org/3/library/glob.html
    """

    names = frozenset({"listdir", "scandir", "glob", "iglob", "rglob", "iterdir"})
    packages = DATA
    also_enforces = ("tracking_rules.reproducible_experiments",)
    examples = (
        Bad(
            """
            import os
            import torch

            files = «os.listdir("images")»
            train_files, test_files = files[:800], files[800:]
            """,
            suggested_fix="""
            import os
            import torch

            files = sorted(os.listdir("images"))
            train_files, test_files = files[:800], files[800:]
            """,
        ),
        Bad(
            """
            import random
            from glob import glob
            import torch

            random.seed(0)
            paths = [path for path in «glob("scans/*.png")» if "mask" not in path]
            random.shuffle(paths)
            n = len(paths) // 10
            val = paths[:n]
            train = paths[n:]
            """,
            suggested_fix="""
            import random
            from glob import glob
            import torch

            random.seed(0)
            paths = [path for path in sorted(glob("scans/*.png")) if "mask" not in path]
            random.shuffle(paths)
            n = len(paths) // 10
            val = paths[:n]
            train = paths[n:]
            """,
        ),
        Bad(
            """
            import glob
            import torch

            class Pictures(torch.utils.data.Dataset):
                def __init__(self, root, train=True):
                    self.files = «glob.glob(root + "/*.jpg")»
                    if train:
                        self.files = self.files[:800]
                    else:
                        self.files = self.files[800:]
            """,
            suggested_fix="""
            import glob
            import torch

            class Pictures(torch.utils.data.Dataset):
                def __init__(self, root, train=True):
                    self.files = sorted(glob.glob(root + "/*.jpg"))
                    if train:
                        self.files = self.files[:800]
                    else:
                        self.files = self.files[800:]
            """,
        ),
        Bad(
            """
            from pathlib import Path
            from sklearn.model_selection import train_test_split

            images = list(«Path("images").rglob("*.jpg")»)
            train, test = train_test_split(images, test_size=0.2, random_state=42)
            """,
            suggested_fix="""
            from pathlib import Path
            from sklearn.model_selection import train_test_split

            images = list(sorted(Path("images").rglob("*.jpg")))
            train, test = train_test_split(images, test_size=0.2, random_state=42)
            """,
        ),
        Good(
            """
            import os
            import torch

            files = sorted(os.listdir("images"))
            train, test = files[:800], files[800:]
            names = os.listdir("masks")
            names.sort()
            train_names, test_names = names[:800], names[800:]
            """
        ),
        Good(
            """
            import os
            from sklearn.model_selection import train_test_split

            files = os.listdir("images")
            train, test = train_test_split(files)
            first = files[:9]
            for name in os.listdir("images/test"):
                show(name)
            """,
            why="the split differs each time anyhow",
        ),
        Good(
            """
            import os
            import torch

            test_files = os.listdir("images/test")[:100]
            train_files = os.listdir("images/train")[:100]
            """,
            why="the parts are folders of their own",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not _lists_files(module, node) or is_test_file(module):
            return
        split = _split_of(module, node)
        if split is None:
            return
        text = module.text(node)
        yield self.finding(
            module,
            node,
            "Files come in the order of the file system, so that on another machine other files are in the test part, "
            "whatever the seed. Sort them before they are split.",
            related=[(split, "the split")],
            fix=suggested("Sort the files", Replace(Span.of(node), f"sorted({text})")),
        )


def _lists_files(module: Module, call: ast.Call) -> bool:
    name = module.qualified_name(call.func)
    if name is not None:
        return name in _LISTS
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _PATH_METHODS:
        return False
    return any(
        isinstance(origin, ast.Call) and module.qualified_name(origin.func) == "pathlib.Path"
        for origin in module.origins(_path(call.func.value))
    )


def _path(expression: ast.expr) -> ast.expr:
    """The path that others are made of: `root` in `root / "train"`."""
    while isinstance(expression, ast.BinOp):
        expression = expression.left
    return expression


def _split_of(module: Module, listing: ast.Call) -> ast.expr | None:
    """Where the files that a call lists are split, if they get there in the order they are listed in."""
    value: ast.AST = listing
    for ancestor in module.ancestors(listing):
        match ancestor:
            case ast.Call(args=[first, *_]) if first is value and module.is_call_to(
                ancestor, "builtins.list", "numpy.array"
            ):
                pass
            case ast.comprehension(iter=iterable) if iterable is value:
                pass
            case ast.ListComp(generators=[generator]) if generator is value or ancestor.elt is value:
                pass
            case ast.Assign(targets=[ast.Name() | ast.Attribute(value=ast.Name(id="self")) as target]):
                return _split_of_target(module, target)
            case _:
                return None
        value = ancestor
    return None


def _split_of_target(module: Module, target: ast.Name | ast.Attribute) -> ast.expr | None:
    """Where the list that a variable or attribute holds is split; None where it is sorted first."""
    cuts: dict[str, ast.expr] = {}
    for use in _uses(module, target):
        parent = module.parent(use)
        match parent:
            case ast.Attribute(attr="sort"):
                return None
            case ast.Call() if module.called_name(parent) in ("sorted", "natsorted"):
                return None
            case ast.Call() if module.called_name(parent) == "train_test_split":
                seed = argument(parent, "random_state")
                if seed is not None and not (isinstance(seed, ast.Constant) and seed.value is None):
                    return parent
            case ast.Subscript(slice=ast.Slice(step=None)) if (role := _role(module, parent)) is not None:
                cuts[role] = parent
    return next(iter(cuts.values())) if len(cuts) > 1 and _is_repeatable(module) else None


def _uses(module: Module, target: ast.Name | ast.Attribute) -> Iterator[ast.expr]:
    """Where what is assigned to a variable, or to an attribute in the same function, is used."""
    if isinstance(target, ast.Name):
        names = (name for name in module.nodes(ast.Name) if name.id == target.id and isinstance(name.ctx, ast.Load))
        yield from (name for name in names if any(binding.node is target for binding in module.reaching(name)))
        return
    function = module.enclosing_function(target)
    for attribute in module.nodes(ast.Attribute):
        match attribute:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Load()) if name == target.attr:
                if module.enclosing_function(attribute) is function:
                    yield attribute


def _is_repeatable(module: Module) -> bool:
    """Whether a split by slices falls out the same each time, but for the order of the files."""
    shuffles = module.calls(*_SHUFFLES, "permutation", "sample")
    return not shuffles or any("seed" in (module.called_name(call) or "").lower() for call in module.nodes(ast.Call))


def _role(module: Module, part: ast.Subscript) -> str | None:
    """The part of the data that a slice is, by the name it gets."""
    position: int | None = None
    child: ast.AST = part
    for ancestor in module.ancestors(part):
        match ancestor:
            case ast.Assign(targets=[ast.Tuple(elts=targets)]) if position is not None and position < len(targets):
                target = targets[position]
                return role_of_name(target.id) if isinstance(target, ast.Name) else None
            case ast.Tuple(elts=values):
                position, child = next(i for i, value in enumerate(values) if value is child), ancestor
            case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)]):
                return role_of_name(name) or _role_by_flag(module, part)
            case ast.Call() | ast.BinOp():
                child = ancestor
            case _:
                return None
    return None


def _role_by_flag(module: Module, part: ast.Subscript) -> str | None:
    """The part of the data that a slice is, by the flag that it depends on: `if train: files = files[:n]`."""
    for guard in module.guards(part):
        names = [node.id for node in ast.walk(guard.test) if isinstance(node, ast.Name)]
        names += [node.attr for node in ast.walk(guard.test) if isinstance(node, ast.Attribute)]
        names += [
            node.value for node in ast.walk(guard.test) if isinstance(node, ast.Constant) and node.value in _PARTS
        ]
        for name in names:
            if (role := role_of_name(name)) is not None:
                return role if guard.holds else f"not {role}"
    return None
