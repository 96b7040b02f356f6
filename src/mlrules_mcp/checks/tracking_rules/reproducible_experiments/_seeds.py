"""What a program draws at random, and what it seeds."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks._programs import is_started, started
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS
from mlrules_mcp.source.values import MODULE

# Names and texts of code that has to do with seeds.
# One of these is in whatever SEEDING finds, and most files have none.
_STEMS = ("seed", "determinis", "reproduc", "rand", "rng_state")
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
    code = module.source.code.lower()
    if not any(stem in code for stem in _STEMS):
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


# What seeds the global generator of a library.
_SEEDERS = {
    "torch.manual_seed": "torch",
    "torch.random.manual_seed": "torch",
    "torch.cuda.manual_seed": "torch.cuda",
    "torch.cuda.manual_seed_all": "torch.cuda",
    "torch.cuda.random.manual_seed_all": "torch.cuda",
    "numpy.random.seed": "numpy",
    "random.seed": "random",
    "tensorflow.set_random_seed": "tensorflow",
    "tensorflow.random.set_seed": "tensorflow",
    "transformers.trainer_utils.set_seed": "every",
}
# Draws of the global generators by which data is put in order, split or changed.
_DRAWS = frozenset(
    "shuffle permutation permuted choice choices sample rand randn randint random random_sample uniform normal "
    "standard_normal binomial beta gauss randrange multivariate_normal exponential poisson dirichlet".split()
)


class Seeding(NamedTuple):
    """A call that seeds.

    Attributes:
        library: whose global generator: `torch`, `torch.cuda`, `numpy`, `random`; `every` for a function that is
            not seen to seed some of them only.
    """

    call: ast.Call
    library: str


def seedings(module: Module) -> list[Seeding]:
    """The calls of a module that seed a global generator, in the order of the text.

    What a function of the module itself seeds is listed where that calls the library.
    """
    return module.fact(_seedings)


def _seedings(module: Module) -> list[Seeding]:
    if not any(stem in module.source.code.lower() for stem in _STEMS):
        return []
    return [
        Seeding(call, library)
        for call in module.nodes(ast.Call)
        if SEEDING.search(name := module.called_name(call) or "") and (library := _library(module, call, name))
    ]


def _library(module: Module, call: ast.Call, name: str) -> str | None:
    qualified = module.qualified_name(call.func) or ""
    if qualified in _SEEDERS:
        return _SEEDERS[qualified]
    if module.local_function(call) is not None:
        return None
    if isinstance(call.func, ast.Attribute) and name in ("seed", "manual_seed", "initial_seed", "seed_all"):
        # The generator of an environment, or one of its own: `env.seed(0)`, `generator.manual_seed(0)`.
        return None
    return None if qualified.startswith(("torch.", "numpy.", "random.")) or name == "initial_seed" else "every"


def global_draws(module: Module, library: str) -> list[ast.Call]:
    """The calls of a started program that draw from NumPy's, or Python's, global generator, in order."""
    package = {"numpy": "numpy.random.", "random": "random."}[library]
    return [
        call
        for call in module.calls(*_DRAWS)
        if (module.qualified_name(call.func) or "").rpartition(".")[0] + "." == package and is_started(module, call)
    ]


def is_of_workers(module: Module, call: ast.Call) -> bool:
    """Whether a call runs in the workers of a loader: in a lambda or a function called like one for workers."""
    for ancestor in module.ancestors(call):
        if isinstance(ancestor, ast.Lambda) or (isinstance(ancestor, FUNCTIONS) and "worker" in ancestor.name):
            return True
    return False
