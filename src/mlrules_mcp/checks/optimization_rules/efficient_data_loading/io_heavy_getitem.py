from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.optimization_rules.efficient_data_loading._loaders import DATASET, item_functions
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import Function

# What reads a whole file, with the name of the parameter that says which.
_READ = {
    "numpy.load": "file",
    "numpy.loadtxt": "fname",
    "numpy.genfromtxt": "fname",
    "torch.load": "f",
    "joblib.load": "filename",
    "scipy.io.loadmat": "file_name",
    "json.load": "fp",
    "pickle.load": "file",
    "yaml.safe_load": "stream",
    **{
        f"pandas.read_{kind}": "path"
        for kind in ("csv", "excel", "feather", "json", "parquet", "pickle", "table", "hdf")
    },
}
# What opens a file and reads parts of it.
_OPENED = {
    "h5py.File": "name",
    "lmdb.open": "path",
    "sqlite3.connect": "database",
    "zipfile.ZipFile": "file",
    "tarfile.open": "name",
    "zarr.open": "store",
}
_KINDS = _READ | _OPENED
_NAMES = tuple({name.rpartition(".")[2] for name in _KINDS})
_CACHES = frozenset({"lru_cache", "cache", "cached_property", "property"})

_WHOLE = (
    "This reads the same whole file again for every sample, so an epoch reads it as often as there are samples. "
    "Read it once in `__init__` and index what it gives."
)
_ANEW = (
    "This opens the same file again for every sample, which takes longer than reading a sample from it does. "
    "Open it at the first sample and keep it in `self`, so that each worker has one of its own."
)


class IoHeavyGetitem(Check[ast.ClassDef]):
    """A data set that reads or opens the same file again for each sample.

    ## What it does
    Finds `pd.read_csv`, `np.load`, `torch.load`, `json.load` and the like in `__getitem__`, or in a method that it
    calls, where the path has nothing to do with the index; and files such as HDF5 and LMDB that are opened for each
    sample and closed again.

    ## Why it matters
    A file of a million rows that is read for each of its rows is read a million times an epoch. Nothing fails; the
    device just waits. Workers only spread the waste.

    ## Do not flag
    One file a sample; what is kept in `self` when first read, or cached; memory maps (`mmap_mode`); classes that are no
    data sets; tests and benchmarks.

    ## Fix safety
    No fix: where the data is kept, and whether it fits in memory, is for the author to say.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#map-style-datasets
    """

    examples = (
        Bad(
            """
            import pandas as pd
            import torch

            class Rows(torch.utils.data.Dataset):
                def __init__(self, path):
                    self.path = path
                    self.length = len(pd.read_csv(path))

                def __len__(self):
                    return self.length

                def __getitem__(self, index):
                    frame = «pd.read_csv(self.path)»
                    return torch.tensor(frame.iloc[index].values)
            """
        ),
        Bad(
            """
            import json
            import os

            import numpy as np
            from torch.utils.data import Dataset

            class Captions(Dataset):
                def __getitem__(self, i):
                    features = «np.load(os.path.join(self.root, "features.npy"))»[i]
                    return features, self.caption(i)

                def caption(self, i):
                    with open(self.caption_file) as file:
                        return «json.load(file)»[i]["text"]
            """
        ),
        Bad(
            """
            import h5py
            from torch.utils import data

            class Volumes(data.Dataset):
                def __getitem__(self, idx):
                    with «h5py.File(self.path, "r")» as file:
                        return file["volumes"][idx]
            """
        ),
        Bad(
            """
            import h5py
            from torch.utils.data import Dataset

            class Scans(Dataset):
                def __getitem__(self, item):
                    file = «h5py.File("data/scans.h5", "r")»
                    return file["scans"][item]
            """
        ),
        Good(
            """
            import h5py
            import numpy as np
            import pandas as pd
            import torch

            class Files(torch.utils.data.Dataset):
                def __init__(self, folder):
                    self.table = pd.read_csv(folder / "table.csv")
                    self.file = None

                def __getitem__(self, index):
                    row = self.table.iloc[index]
                    path = f"{self.folder}/{row.id}.npy"
                    sample = np.load(path)
                    target = torch.load(self.paths[index])
                    extra = self.load(path)
                    mapped = np.load(self.big_path, mmap_mode="r")[index]
                    if self.file is None:
                        self.file = h5py.File(self.h5_path, "r")
                    return sample, target, extra, mapped, self.file["x"][index]

                def load(self, path):
                    return np.load(path)
            """,
            why="one file a sample, a memory map, and a file that stays open",
        ),
        Good(
            """
            from functools import lru_cache

            import numpy as np
            import pandas as pd
            from torch.utils.data import Dataset

            class Cached(Dataset):
                @lru_cache
                def table(self):
                    return pd.read_csv(self.path)

                def frame(self):
                    if self._frame is None:
                        self._frame = pd.read_csv(self.path)
                    return self._frame

                def __getitem__(self, index):
                    choice = np.random.choice(self.paths)
                    background = np.load(choice)
                    return self.table().iloc[index], self.frame().iloc[index], background

            class Store:
                def __getitem__(self, key):
                    return pd.read_csv(self.path)[key]
            """,
            why="read once and kept; a random file; no data set",
        ),
        Good(
            """
            import h5py
            import pandas as pd
            from torch.utils.data import Dataset

            class Shards(Dataset):
                def __getitem__(self, index):
                    shard = self.find(index)
                    with h5py.File(shard, "r") as file:
                        self.position += 1
                        name = next(self.names)
                        return file["x"][0], pd.read_csv(name), pd.read_csv(self.current())
            """,
            why="which file it is depends on more than what is seen",
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        getitem = next((method for method in module.methods(node) if method.name == "__getitem__"), None)
        if getitem is None or not node.bases or not _is_data_set(module, node) or is_test_or_benchmark(module):
            return
        calls = module.calls(*_NAMES)
        for function in item_functions(module, getitem):
            if _is_cached(function):
                continue
            for call in calls:
                name = module.qualified_name(call.func)
                if name in _KINDS and module.enclosing_function(call) is function and _is_repeated(module, call, name):
                    yield self.finding(module, call, _WHOLE if name in _READ else _ANEW)


def _is_data_set(module: Module, cls: ast.ClassDef) -> bool:
    """Whether a class is a data set of torch, or of a kind that is called one."""
    return module.is_subclass(cls, DATASET) or any(ast.unparse(base).endswith("Dataset") for base in cls.bases)


def _is_cached(function: Function) -> bool:
    return any(
        any(isinstance(part, ast.Name | ast.Attribute) and _last(part) in _CACHES for part in ast.walk(decorator))
        for decorator in function.decorator_list
    )


def _last(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _is_repeated(module: Module, call: ast.Call, name: str) -> bool:
    """Whether a call reads the same file for every sample and throws away what it gives."""
    path = argument(call, _KINDS[name], 0) or (call.args[0] if call.args else None)
    if path is None or argument(call, "mmap_mode") is not None or _is_kept(module, call):
        return False
    return _is_constant(module, path, depth=4)


def _is_kept(module: Module, call: ast.Call) -> bool:
    """Whether what a call gives goes into `self` or a global, or is read only under a condition."""
    for ancestor in module.ancestors(call):
        match ancestor:
            case ast.If() | ast.IfExp() | ast.Try():
                return True
            case ast.Assign(targets=targets):
                if any(not isinstance(target, ast.Name | ast.Tuple) for target in targets):
                    return True
            case ast.FunctionDef(body=body):
                return any(isinstance(statement, ast.Global) for statement in body)
    return False


def _is_constant(module: Module, path: ast.expr, depth: int) -> bool:
    """Whether a path is the same for every sample: made of constants, settings in `self` and module-level names."""
    match path:
        case ast.Constant():
            return True
        case ast.Attribute(value=ast.Name(id="self")) as attribute:
            return _is_set_once(module, attribute)
        case ast.JoinedStr(values=parts):
            return all(_is_constant(module, part, depth) for part in parts)
        case ast.FormattedValue(value=value):
            return _is_constant(module, value, depth)
        case ast.BinOp(left=left, right=right):
            return _is_constant(module, left, depth) and _is_constant(module, right, depth)
        case ast.Call(func=func, args=args, keywords=[]):
            known = module.qualified_name(func) in {"os.path.join", "pathlib.Path", "builtins.open", "builtins.str"}
            return known and all(_is_constant(module, arg, depth) for arg in args)
        case ast.Call(func=func, args=[first, *_]):
            return module.qualified_name(func) == "builtins.open" and _is_constant(module, first, depth)
        case ast.Name() if depth:
            bindings = module.reaching(path)
            return bool(bindings) and all(
                binding.kind in ("assignment", "with")
                and binding.value is not None
                and _is_constant(module, binding.value, depth - 1)
                for binding in bindings
            )
    return False


def _is_set_once(module: Module, attribute: ast.Attribute) -> bool:
    """Whether an attribute of `self` is a plain value that only `__init__` sets, as far as this file shows."""
    cls = module.enclosing_class(attribute)
    for each in module.nodes(ast.Attribute):
        if each.attr == attribute.attr and isinstance(each.ctx, ast.Store):
            function = module.enclosing_function(each)
            if function is None or function.name not in ("__init__", "setup"):
                return False
    return cls is not None and module.method(cls, attribute.attr) is None
