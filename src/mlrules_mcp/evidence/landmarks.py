"""The landmarks of machine-learning code that every review looks for: models, training, serving, data, estimators."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from mlrules_mcp.checks._sklearn import class_name, trade
from mlrules_mcp.checks.check import TORCH as TORCH_PACKAGES
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.tree import Role
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

# What collectors ask `Facts.landmarks` for.
TRAINING = "training"  # a place where a model learns: a step of an optimizer, a fit
DEEP_TRAINING = "deep training"  # such a place of a neural network
NETWORK = "network"  # a neural network that is defined here
TORCH = "torch"  # such a place, or such training, in a file that imports PyTorch or what builds on it
ENVIRONMENT = "environment"  # an environment that an agent learns in, in the place of data
ESTIMATOR = "estimator"  # a classical model that is made here
PRETRAINED = "pretrained"  # a neural network that is loaded
SERVING = "serving"  # predictions for others: a web service, an app

DATA = "data"  # a place where data comes in: a table that is read, a dataset that is loaded
TARGET = "target"  # a split or fit whose target is a column that shows: `arguments` are the column's name
# A data set that is defined here: `arguments` are what it needs to be made, `receiver` is "module" for Lightning's.
DATASET = "dataset"

_ENVIRONMENTS = (
    "gym.make",
    "gymnasium.make",
    "gym.vector.",
    "gymnasium.vector.",
    "envpool.",
    "procgen.",
    "pettingzoo.",
)
_READERS = frozenset(
    "read_csv read_parquet read_excel read_json read_feather read_sql read_sql_query read_table "
    "read_hdf scan_csv".split()
)
_DATASET_BASES = (
    "torch.utils.data.Dataset",
    "torch.utils.data.IterableDataset",
    "lightning.pytorch.LightningDataModule",
)
_TRAINERS = (
    "lightning.pytorch.Trainer",
    "lightning.Trainer",
    "transformers.Trainer",
    "transformers.Seq2SeqTrainer",
    "trl.",
    "sentence_transformers.",
    "setfit.",
    "fastai.",
    "keras.",
    "tensorflow.keras.",
    "ultralytics.",
    "skorch.",
    "darts.models.",
    "pytorch_tabnet.",
    "stable_baselines3.",
)
_ESTIMATORS = ("statsmodels.", "prophet.", "pmdarima.", "lifelines.", "autogluon.", "pycaret.", "flaml.", "tpot.")
_TRAIN_FUNCTIONS = frozenset({"xgboost.train", "lightgbm.train", "catboost.train", "xgboost.cv", "lightgbm.cv"})
_FITS = ("fit", "train", "fit_generator", "learn", "fit_one_cycle", "fine_tune", "partial_fit", "fit_resample")
_GRAPHS = frozenset({"tensorflow", "optax", "flax", "tflearn", "tf_slim"})
_NETWORK_BASES = (
    MODULE,
    "tensorflow.keras.Model",
    "keras.Model",
    "tensorflow.keras.layers.Layer",
    "keras.layers.Layer",
    "flax.linen.Module",
    "flax.nnx.Module",
    "equinox.Module",
    "haiku.Module",
    "mxnet.gluon.Block",
    "paddle.nn.Layer",
)
_APPS = frozenset(
    "fastapi.FastAPI flask.Flask gradio.Interface gradio.Blocks gradio.ChatInterface litserve.LitServer "
    "litserve.LitAPI starlette.applications.Starlette sanic.Sanic quart.Quart falcon.App aiohttp.web.Application "
    "robyn.Robyn litestar.Litestar bottle.Bottle chainlit.on_message".split()
)
_APP_PACKAGES = ("bentoml.", "ray.serve.", "streamlit.", "mlserver.", "kserve.", "seldon_core.", "flask_restful.")
_HANDLERS = frozenset({"model_fn", "predict_fn", "lambda_handler"})
_SERVED_BASES = (
    "ts.torch_handler.base_handler.BaseHandler",
    "litserve.LitAPI",
    "mlserver.MLModel",
    "kserve.Model",
)
_MODEL_NAME = pattern(
    r"(?i)(^|_)(model|clf|classifier|regressor|reg|estimator|pipe|pipeline|search|grid|cv|net|gbm|xgb)"
)
ASKS = Asked.of(calls="joblib.load pickle.load torch.load onnxruntime.InferenceSession .predict")


def landmarks(module: Module, role: Role) -> Iterator[Fact]:
    """The landmarks of a module, named by the constants of this file, and its `trade:<kind>` (see `Trade`)."""
    deep = [*_training(module, role), *_networks(module, role)]
    yield from deep
    if not module.imported_packages.isdisjoint(TORCH_PACKAGES):
        yield from (replace(fact, name=TORCH) for fact in deep if fact.name in (DEEP_TRAINING, NETWORK, PRETRAINED))
    yield from _trades(module, role)
    yield from _serving(module, role)
    yield from _data(module, role)


def _networks(module: Module, role: Role) -> Iterator[Fact]:
    for cls in module.nodes(ast.ClassDef):
        if cls.bases and any(module.is_subclass(cls, base) for base in _NETWORK_BASES):
            yield fact_at(module, role, cls, NETWORK)
            if module.is_subclass(cls, LIGHTNING_MODULE):
                yield fact_at(module, role, cls, LIGHTNING_MODULE)
    for call in module.calls("Sequential", "Model"):
        name = module.qualified_name(call.func) or ""
        if name.startswith(("torch.nn.", "keras.", "tensorflow.keras.")) and (call.args or call.keywords):
            yield fact_at(module, role, call, NETWORK)
    for call in module.calls("from_pretrained", "create_model", "load_model", "pipeline", "SentenceTransformer"):
        name = module.qualified_name(call.func) or ""
        is_weights = not any(word in name for word in ("Tokenizer", "Processor", "Config", "FeatureExtractor"))
        if name.startswith(("transformers.", "timm.", "diffusers.", "keras.", "tensorflow.keras.")) and is_weights:
            yield fact_at(module, role, call, PRETRAINED)
    for call in module.nodes(ast.Call):
        name = module.qualified_name(call.func) or ""
        if name.startswith(("torchvision.models.", "torch.hub.load")):
            yield fact_at(module, role, call, PRETRAINED)


def _trades(module: Module, role: Role) -> Iterator[Fact]:
    for call in module.nodes(ast.Call):
        name = class_name(module, call)
        if name is None:
            continue
        qualified = module.qualified_name(call.func) or name
        if (kind := trade(qualified)) is not None and "." in qualified:
            yield fact_at(module, role, call, f"trade:{kind.kind}")
            if kind.kind == "predictor":
                yield fact_at(module, role, call, ESTIMATOR)
    for call in module.nodes(ast.Call):
        name = module.qualified_name(call.func) or ""
        if name.startswith(_ESTIMATORS) and name.rpartition(".")[2][:1].isupper():
            yield fact_at(module, role, call, ESTIMATOR)


def _training(module: Module, role: Role) -> Iterator[Fact]:
    for call in module.backward_calls:
        if module.optimizer_steps and module.step_region(call) is not None:
            yield fact_at(module, role, call, DEEP_TRAINING)
            yield fact_at(module, role, call, TRAINING)
    if not module.imported_packages.isdisjoint(_GRAPHS):
        for call in module.calls("minimize", "apply_gradients", "apply_updates"):
            yield fact_at(module, role, call, DEEP_TRAINING)
            yield fact_at(module, role, call, TRAINING)
    for call in module.calls(*_FITS):
        name = module.qualified_name(call.func) or ""
        if name in _TRAIN_FUNCTIONS:
            yield fact_at(module, role, call, TRAINING)
        elif isinstance(call.func, ast.Attribute) and (found := _fitted(module, call, call.func.value)):
            yield fact_at(module, role, call, TRAINING)
            if found == DEEP_TRAINING:
                yield fact_at(module, role, call, DEEP_TRAINING)


def _fitted(module: Module, call: ast.Call, receiver: ast.expr) -> str | None:
    """What kind of training a `fit` is: of a network, or of another model; None for that of a transformer, say."""
    known = [name for origin in module.origins(receiver) if (name := _made_by(module, origin))]
    for name in known:
        if name.startswith(_TRAINERS):
            return DEEP_TRAINING
        kind = trade(name)
        if kind is not None:
            return {"predictor": TRAINING, "search": TRAINING, "pipeline": TRAINING, "network": DEEP_TRAINING}.get(
                kind.kind
            )
        if name.startswith(_ESTIMATORS):
            return TRAINING
    if not (call.args or call.keywords):
        return None
    called = last_name(receiver) or ""
    packages = module.imported_packages
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in {"fit", "partial_fit"} and _MODEL_NAME.search(called) and len(call.args) + len(call.keywords) > 1:
        if packages & {"keras", "tensorflow"}:
            return DEEP_TRAINING
        return TRAINING
    if method == "fit" and called == "trainer" and "lightning" in packages | {_lightning(packages)}:
        return DEEP_TRAINING
    if method == "train" and called == "trainer" and "transformers" in packages:
        return DEEP_TRAINING
    return None


def _lightning(packages: frozenset[str]) -> str:
    return "lightning" if packages & {"pytorch_lightning", "lightning_fabric"} else ""


def _made_by(module: Module, origin: ast.expr) -> str | None:
    if not isinstance(origin, ast.Call):
        return None
    name = module.qualified_name(origin.func)
    if name is None and isinstance(origin.func, ast.Attribute):  # Net(…).to(device), Model.from_pretrained(…)
        return _made_by(module, origin.func.value)
    if name is None and (cls := module.local_class(origin.func)) is not None:
        return next((base for base in module.base_names(cls) if trade(base) or base.startswith(_TRAINERS)), None)
    return name


def _serving(module: Module, role: Role) -> Iterator[Fact]:
    for call in module.nodes(ast.Call):
        name = module.qualified_name(call.func) or ""
        if name in _APPS or name.startswith(_APP_PACKAGES):
            yield fact_at(module, role, call, SERVING)
    for function in module.functions:
        if function.name in _HANDLERS or any(
            name.startswith(("bentoml.", "ray.serve.")) for name in module.decorator_names(function)
        ):
            yield fact_at(module, role, function, SERVING)
    for cls in module.nodes(ast.ClassDef):
        served = cls.name == "TritonPythonModel" or any(module.is_subclass(cls, base) for base in _SERVED_BASES)
        if served or any(name.startswith("bentoml.") for name in module.decorator_names(cls)):
            yield fact_at(module, role, cls, SERVING)


def _data(module: Module, role: Role) -> Iterator[Fact]:
    for call in module.calls(*_READERS, "load_dataset"):
        name = module.qualified_name(call.func) or ""
        if name.startswith(("pandas.", "polars.", "dask.", "datasets.", "modin.", "cudf.")):
            yield fact_at(module, role, call, DATA)
    for call in module.nodes(ast.Call):
        name = module.qualified_name(call.func) or ""
        last = name.rpartition(".")[2]
        if name.startswith(_ENVIRONMENTS):
            yield fact_at(module, role, call, ENVIRONMENT)
        if name.startswith(("torchvision.datasets.", "sklearn.datasets.")) or (last == "load_data" and "keras" in name):
            yield fact_at(module, role, call, DATA)
        elif last == "train_test_split" and len(call.args) > 1:
            yield from _target(module, role, call, call.args[1])
    for cls in module.nodes(ast.ClassDef):
        if cls.bases and any(module.is_subclass(cls, base) for base in _DATASET_BASES):
            needed = tuple(_needed(module, cls))
            kind = "module" if module.is_subclass(cls, _DATASET_BASES[-1]) else ""
            yield replace(fact_at(module, role, cls, DATASET), arguments=needed, receiver=kind)


def _target(module: Module, role: Role, call: ast.Call, target: ast.expr) -> Iterator[Fact]:
    for origin in module.origins(target):
        match origin:
            case ast.Subscript(slice=ast.Constant(value=str() as column)) | ast.Attribute(attr=column):
                yield replace(fact_at(module, role, call, TARGET), arguments=(column,))


def _needed(module: Module, cls: ast.ClassDef) -> Iterator[str]:
    """The parameters of a class's `__init__` that have no default."""
    for method in module.methods(cls):
        if method.name == "__init__":
            parameters = method.args.args[1:]
            yield from (each.arg for each in parameters[: len(parameters) - len(method.args.defaults)])
            pairs = zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True)
            yield from (each.arg for each, default in pairs if default is None)
