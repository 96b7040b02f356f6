"""What a program draws at random, and what it seeds."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from mlrules_mcp.checks._programs import started
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.values import MODULE

# Names and texts of code that has to do with seeds.
SEEDING = pattern(r"seed|determinis|reproduc|random_?state|fix(ed)?_?rand|rng_state", re.IGNORECASE)
# Functions of other files that may set up all that a run needs.
_SET_UP = pattern(
    r"(^|_)(init|initiali[sz]e|set_?up|prepare|config|configure|cfg|opts?|options?|args?|arguments|env|environment|exp|"
    r"experiment|launch|bootstrap|run|main|entry)(_|\d*$)|Options?$|Config$|Opts?$|Args$|Parser$|Arguments$",
)
_LIBRARIES = sys.stdlib_module_names | frozenset(
    "torch torchvision torchaudio torchtext torchmetrics lightning pytorch_lightning numpy scipy pandas sklearn "
    "matplotlib seaborn PIL cv2 skimage tqdm tensorboardX wandb mlflow builtins timm einops torch_geometric ignite "
    "datasets transformers accelerate tensorflow keras gym gymnasium nltk spacy albumentations visdom yaml omegaconf "
    "torchsummary torchinfo IPython monai kornia dgl networkx librosa".split()
)
# Layers whose weights are drawn at random.
_LAYERS = frozenset(
    "Linear Bilinear LazyLinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d RNN LSTM GRU "
    "RNNCell LSTMCell GRUCell Embedding EmbeddingBag Transformer TransformerEncoderLayer TransformerDecoderLayer "
    "MultiheadAttention".split()
)
_LOADER = "torch.utils.data.DataLoader"


def mentions_seeds(module: Module) -> bool:
    """Whether code of a module, comments aside, has to do with seeds: it sets one, or passes one on."""
    return module.fact(_mentions_seeds)


def _mentions_seeds(module: Module) -> bool:
    if not SEEDING.search(module.source.code):
        return False
    return any(SEEDING.search(word) for word in _words(module))


def _words(module: Module) -> Iterator[str]:
    for name in module.nodes(ast.Name):
        yield name.id
    for attribute in module.nodes(ast.Attribute):
        yield attribute.attr
    for keyword in module.nodes(ast.keyword):
        yield keyword.arg or ""
    for alias in module.nodes(ast.alias):
        yield alias.name
    for arg in module.nodes(ast.arg):
        yield arg.arg
    for constant in module.nodes(ast.Constant):
        if isinstance(constant.value, str) and len(constant.value) < 80:
            yield constant.value


def may_be_set_up_elsewhere(module: Module) -> bool:
    """Whether the program calls what other files of the project define, and what may seed as well."""
    return any(_may_set_up(module, call) for call in module.nodes(ast.Call))


def _may_set_up(module: Module, call: ast.Call) -> bool:
    if not _SET_UP.search(module.called_name(call) or ""):
        return False
    name = module.qualified_name(call.func)
    return name is not None and name.partition(".")[0] not in _LIBRARIES


def torch_draws(module: Module) -> list[ast.Call]:
    """The calls that a started program draws weights or an order of data with, those nearest to its own level first."""
    depths = started(module)
    found = [
        (depths[function], start(call), call)
        for call in (*_models(module), *_orders(module))
        if (function := module.enclosing_function(call)) in depths
    ]
    return [call for *_, call in sorted(found, key=lambda each: each[:2])]


def _models(module: Module) -> Iterator[ast.Call]:
    for cls in module.nodes(ast.ClassDef):
        if module.is_subclass(cls, MODULE):
            yield from (call for call in module.calls(cls.name) if module.local_class(call.func) is cls)
    for call in module.calls(*_LAYERS):
        if (module.qualified_name(call.func) or "").startswith("torch.nn."):
            yield call


def _orders(module: Module) -> Iterator[ast.Call]:
    for call in module.calls("DataLoader"):
        shuffle = argument(call, "shuffle", 2)
        if module.is_call_to(call, _LOADER) and isinstance(shuffle, ast.Constant) and shuffle.value is True:
            yield call
    for call in module.calls("random_split"):
        if module.is_call_to(call, "torch.utils.data.random_split"):
            yield call
