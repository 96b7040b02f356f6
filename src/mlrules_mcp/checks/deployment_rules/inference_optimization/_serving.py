"""Which functions answer requests, and which calls load a model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS, Function

SERVERS = frozenset(
    "fastapi flask starlette sanic quart litestar gradio streamlit bentoml robyn bottle blacksheep".split()
)
_ROUTES = frozenset("get post put patch delete route api_route websocket websocket_route api add".split())
_EVENTS = frozenset("click submit change upload select input then".split())
_INTERFACES = frozenset({"gradio.Interface", "gradio.ChatInterface"})
# By their full names: many classes have a method `load`.
_LOADERS = frozenset(
    {
        *("torch.load", "torch.jit.load", "torch.hub.load", "torch.export.load"),
        *(
            "joblib.load",
            "sklearn.externals.joblib.load",
            "pickle.load",
            "dill.load",
            "cloudpickle.load",
            "skops.io.load",
        ),
        *("transformers.pipeline", "onnxruntime.InferenceSession", "spacy.load", "whisper.load_model"),
        *("ultralytics.YOLO", "sentence_transformers.SentenceTransformer", "sentence_transformers.CrossEncoder"),
        *("keras.models.load_model", "tensorflow.keras.models.load_model", "keras.saving.load_model"),
        *(
            "timm.create_model",
            "fastai.learner.load_learner",
            "fastai.vision.all.load_learner",
            "fasttext.load_model",
            "gensim.models.KeyedVectors.load",
            "safetensors.torch.load_file",
        ),
    }
)
_LOADING_METHODS = frozenset({"from_pretrained", "load_from_checkpoint", "load_model"})
_NAMES = tuple(sorted({name.rpartition(".")[2] for name in _LOADERS} | _LOADING_METHODS))
_ADMINISTERS = pattern(
    r"(?:^|[_/-])(re)?(load|refresh|update|train|retrain|startup|start|warm\w*|init\w*|deploy|switch|set|swap|register|lifespan)(?:[_/-]|$)"
)
_CACHES = pattern(r"cache|singleton|lazy|memo|property", re.IGNORECASE)

_KEPT = pattern(
    r"model|cache|(?<!up)(?<!down)load|pipe|net|session|state|clf|classifier|predictor|tokenizer|ready|init",
    re.IGNORECASE,
)


class Load(NamedTuple):
    """A call of a handler that loads a model: itself, or through a function that loads at `inside`."""

    call: ast.Call
    inside: ast.Call | None = None


def is_server(module: Module) -> bool:
    return bool(module.imported_packages & SERVERS)


def handlers(module: Module) -> list[Function]:
    """The functions that run once for each request, or each use of a control."""
    return module.fact(_find_handlers)


def _find_handlers(module: Module) -> list[Function]:
    found = {
        function: None for function in module.functions if any(_is_route(each) for each in function.decorator_list)
    }
    for call in module.calls("Interface", "ChatInterface", *_EVENTS):
        if "gradio" not in module.imported_packages:
            break
        is_event = isinstance(call.func, ast.Attribute) and call.func.attr in _EVENTS
        if is_event or module.qualified_name(call.func) in _INTERFACES:
            given = argument(call, "fn", 0)
            if isinstance(given, ast.Name):
                found.update((each, None) for each in module.functions if each.name == given.id)
    return [function for function in found if not _ADMINISTERS.search(function.name)]


def _is_route(decorator: ast.expr) -> bool:
    """Whether a decorator makes its function answer requests: `@app.post("/predict")`."""
    match decorator:
        case ast.Call(func=ast.Attribute(attr=method, value=ast.Name() | ast.Attribute()), args=args):
            path = args[0].value if args and isinstance(args[0], ast.Constant) else ""
            return method in _ROUTES and isinstance(path, str) and not _ADMINISTERS.search(path)
    return False


def loads(function: Function | ast.Module, module: Module) -> Iterator[Load]:
    """The calls of a function, or of the module itself, that load a model each time it runs."""
    for node in module.walk(function.body):
        if not isinstance(node, ast.Call) or _is_kept(node, module):
            continue
        if _loads_model(node, module):
            yield Load(node)
        elif (inside := _load_inside(node, function, module)) is not None:
            yield Load(node, inside)


def _load_inside(call: ast.Call, caller: Function | ast.Module, module: Module) -> ast.Call | None:
    """Where the function of this module that is called, or the class that is made, loads a model."""
    cls = module.local_class(call.func)
    called = module.local_function(call) if cls is None else module.method(cls, "__init__")
    if called is None or called is caller or _is_cached(called):
        return None
    for node in module.walk(called.body):
        # What an object keeps is gone with it.
        if isinstance(node, ast.Call) and _loads_model(node, module) and (cls or not _is_kept(node, module)):
            return node
    return None


def _loads_model(call: ast.Call, module: Module) -> bool:
    name = last_name(call.func)
    match call.args:
        case [ast.Call(func=ast.Attribute(attr="SerializeToString")), *_]:
            return False  # a model in memory, such as one that the request brought
    if name not in _NAMES:
        return name is not None and isinstance(call.func, ast.Name) and module.qualified_name(call.func) in _LOADERS
    qualified = module.qualified_name(call.func)
    if qualified in _LOADERS:
        return True
    # `load_model` of the file itself is looked into instead.
    return name in _LOADING_METHODS and isinstance(call.func, ast.Attribute) and module.local_function(call) is None


def _is_kept(call: ast.Call, module: Module) -> bool:
    """Whether a load runs only where there is no model yet, or its result is kept for the next request."""
    if any(_asks_whether_there(guard.test) for guard in module.guards(call)):
        return True
    match module.statement(call):
        case ast.Assign(targets=targets):
            return any(_outlives(target, call, module) for target in targets)
        case ast.AnnAssign(target=target):
            return _outlives(target, call, module)
    return False


def _asks_whether_there(test: ast.expr) -> bool:
    """Whether a condition asks if there is a model already: `model is None`, `name not in models`, `hasattr(…)`."""
    match test:
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return True
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()]):
            return bool(_KEPT.search(ast.unparse(left)))
        case ast.Name() | ast.Attribute():
            return bool(_KEPT.search(ast.unparse(test)))
        case ast.Call(func=func):
            return last_name(func) in ("hasattr", "get")
    return False


def _outlives(target: ast.expr, call: ast.Call, module: Module) -> bool:
    if isinstance(target, ast.Attribute | ast.Subscript):
        return True
    function = module.enclosing_function(call)
    return (
        isinstance(target, ast.Name)
        and function is not None
        and any(isinstance(node, ast.Global) and target.id in node.names for node in module.walk(function.body))
    )


def _is_cached(function: Function) -> bool:
    return any(_CACHES.search(ast.unparse(decorator)) for decorator in function.decorator_list)


def is_cached_around(node: ast.AST, module: Module) -> bool:
    """Whether a function around a node keeps its results."""
    return any(isinstance(each, FUNCTIONS) and _is_cached(each) for each in module.ancestors(node))
