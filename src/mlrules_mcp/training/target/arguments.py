"""Calls the user's classes with what a configuration says, after a look at what they ask for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.target.loading import Importer

_EXAMPLES = {"int": 64, "float": 0.001, "bool": True, "str": "…", "list": [64, 64], "dict": {}, "tuple": [64, 64]}
_OBJECTS = {
    "model",
    "net",
    "network",
    "backbone",
    "encoder",
    "decoder",
    "criterion",
    "loss_fn",
    "optimizer",
    "scheduler",
}


def check_arguments(cls: type, given: Mapping[str, Any], option: str) -> None:
    """Raise a TrainingError that lists what `__init__` requires and doesn't get, or gets and doesn't take.

    Args:
        option: the option that the arguments are passed in, such as `init_args`.
    """
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return
    named = [each for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}]
    missing = [each for each in named if each.default is each.empty and each.name not in given]
    if missing:
        shown = ", ".join(str(each) for each in missing)
        example = json.dumps({each.name: _example(each) for each in missing}, ensure_ascii=False)
        option = f"--{option.replace('_', '-')}"
        message = f"{cls.__name__} needs arguments that were not given: {shown}. Pass them: {option} '{example}'"
        raise TrainingError("bad-target", message)
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    unknown = given.keys() - {each.name for each in named}
    if unknown and not takes_all:
        known = ", ".join(each.name for each in named) or "none"
        message = f"{cls.__name__} takes no argument {sorted(unknown)[0]!r}. It takes: {known}."
        raise TrainingError("bad-target", message)


def build(value: Any, importer: Importer) -> Any:
    """A value of a configuration, where each `{"class_path", "init_args"}` or `{"_target_": …}` becomes an object.

    Optimizers and schedulers become functions that lack the parameters or the optimizer, as their users expect.

    Raises:
        TrainingError: a name means nothing.
    """
    if isinstance(value, list):
        return [build(item, importer) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_path" in value:
        made = importer.attribute(value["class_path"])
        given = {**(value.get("init_args") or {}), **(value.get("dict_kwargs") or {})}
        as_function = False
    elif "_target_" in value:
        made = importer.attribute(value["_target_"])
        given = {key: item for key, item in value.items() if not key.startswith("_")}
        as_function = value.get("_partial_", False)
    else:
        return {key: build(item, importer) for key, item in value.items()}
    arguments = {key: build(item, importer) for key, item in given.items()}
    return partial(made, **arguments) if as_function or _lacks_an_argument(made) else made(**arguments)


def _lacks_an_argument(made: Any) -> bool:
    from torch.optim import Optimizer  # noqa: PLC0415
    from torch.optim.lr_scheduler import LRScheduler  # noqa: PLC0415

    return inspect.isclass(made) and issubclass(made, Optimizer | LRScheduler)


def _example(parameter: inspect.Parameter) -> Any:
    annotation = parameter.annotation
    name = getattr(annotation, "__name__", str(annotation)).partition("[")[0].partition(" ")[0].lower()
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if annotation is parameter.empty and parameter.name in {"lr", "learning_rate"}:
        return _EXAMPLES["float"]
    if annotation is parameter.empty and parameter.name not in _OBJECTS:
        return _EXAMPLES["int"]
    full = f"{annotation.__module__}.{annotation.__qualname__}" if inspect.isclass(annotation) else "package.Class"
    return {"class_path": full, "init_args": {}}
