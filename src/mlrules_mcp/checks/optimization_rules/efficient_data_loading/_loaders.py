"""DataLoaders: how they are made, what they read, and how much work a sample is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import Function

LOADER = "torch.utils.data.DataLoader"
DATASET = "torch.utils.data.Dataset"

_SPLITS = frozenset({"torch.utils.data.random_split"})
_WRAPPERS = frozenset({"torch.utils.data.Subset", "torch.utils.data.ConcatDataset"})
# What reads or decodes a file; of the last two kinds only the last name part is asked for.
_READERS = frozenset(
    {
        "PIL.Image.open",
        "builtins.open",
        "cv2.VideoCapture",
        "cv2.imread",
        "h5py.File",
        "imageio.imread",
        "imageio.v2.imread",
        "imageio.v3.imread",
        "joblib.load",
        "librosa.load",
        "librosa.core.load",
        "matplotlib.image.imread",
        "matplotlib.pyplot.imread",
        "nibabel.load",
        "numpy.load",
        "numpy.loadtxt",
        "pandas.read_csv",
        "pandas.read_parquet",
        "pandas.read_pickle",
        "pydicom.dcmread",
        "rasterio.open",
        "scipy.io.loadmat",
        "scipy.io.wavfile.read",
        "skimage.io.imread",
        "soundfile.read",
        "SimpleITK.ReadImage",
        "torch.load",
        "torchaudio.load",
        "torchvision.datasets.folder.default_loader",
        "torchvision.datasets.folder.pil_loader",
        "torchvision.io.read_image",
        "torchvision.io.read_video",
    }
)
_READER_NAMES = tuple({name.rpartition(".")[2] for name in _READERS})
_CELLS = ("\n# %%", "\n#%%", "\n# In[", "\n# In [")


def is_notebook(module: Module) -> bool:
    """Whether a module is a notebook, or a script with the marks of one."""
    return module.source.notebook is not None or any(mark in module.source.code for mark in _CELLS)


def loaders(module: Module) -> list[ast.Call]:
    """The calls that make a DataLoader."""
    return [call for call in module.calls("DataLoader") if module.is_call_to(call, LOADER)]


def data_sets(module: Module, loader: ast.Call) -> Iterator[ast.Call]:
    """The calls that make the data sets of a loader, seen through splits, subsets and the module's functions."""
    dataset = argument(loader, "dataset", 0)
    if dataset is not None:
        yield from _data_sets(module, dataset, set())


def _data_sets(module: Module, dataset: ast.expr, seen: set[ast.expr]) -> Iterator[ast.Call]:
    if dataset in seen or len(seen) > 20:
        return
    seen.add(dataset)
    for origin in origins_through_calls(module, dataset):
        match origin:
            case ast.Name():
                for binding in module.reaching(origin):
                    if binding.kind == "unpacking" and binding.value is not None:
                        yield from _data_sets(module, binding.value, seen)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    yield from _data_sets(module, part, seen)
            case ast.Call() if module.qualified_name(origin.func) in _SPLITS | _WRAPPERS:
                inner = argument(origin, "dataset", 0) or argument(origin, "datasets", 0)
                if inner is not None:
                    yield from _data_sets(module, inner, seen)
            case ast.Call():
                yield origin


def decodes_samples(module: Module, dataset: ast.Call) -> bool:
    """Whether a data set reads or decodes each sample when asked for it: torchvision's do, and classes of this module
    that open something in `__getitem__`."""
    if (module.qualified_name(dataset.func) or "").startswith("torchvision.datasets."):
        return "FakeData" not in ast.unparse(dataset.func)
    cls = module.local_class(dataset.func)
    method = module.method(cls, "__getitem__") if cls else None
    return method is not None and any(_reads(module, each) for each in item_functions(module, method))


def item_functions(module: Module, getitem: Function) -> list[Function]:
    """`__getitem__` and the functions of the module that it calls, one step down."""
    found = [getitem]
    for node in module.walk(getitem):
        if isinstance(node, ast.Call) and (called := module.local_function(node)) and called not in found:
            found.append(called)
    return found


def _reads(module: Module, function: Function) -> bool:
    return any(
        module.qualified_name(call.func) in _READERS and module.enclosing_function(call) is function
        for call in module.calls(*_READER_NAMES)
    )


def uses(module: Module, loader: ast.Call) -> list[ast.expr]:
    """Where the variable or attribute of `self` is read that a loader is assigned to; empty for any other loader."""
    statement = module.statement(loader)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is loader:
            names = [each for each in module.nodes(ast.Name) if each.id == name and isinstance(each.ctx, ast.Load)]
            return [each for each in names if loader in module.values_of(each)]
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value) if value is loader:
            return [
                each for each in module.nodes(ast.Attribute) if each.attr == name and isinstance(each.ctx, ast.Load)
            ]
    return []


def is_only_peeked_at(module: Module, loader: ast.Call) -> bool:
    """Whether a loader only ever gives its first batch, to be shown: `next(iter(loader))`, or a loop that breaks."""
    used = uses(module, loader)
    return bool(used) and all(peeks(module, each) for each in used)


def peeks(module: Module, use: ast.expr) -> bool:
    """Whether a loader is asked for its first batch alone."""
    parent = module.parent(use)
    match parent:
        case ast.Call(func=ast.Name(id="iter" | "enumerate")):
            parent = module.parent(parent)
            if isinstance(parent, ast.Call):
                return isinstance(parent.func, ast.Name) and parent.func.id == "next"
    if not isinstance(parent, ast.For):
        return False
    return isinstance(parent.body[-1], ast.Break) or all(map(_only_shows, parent.body))


def _only_shows(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Call(func=ast.Name(id="print"))):
            return True
    return False
