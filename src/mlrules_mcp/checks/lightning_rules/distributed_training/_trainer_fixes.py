"""How arguments that the Trainer no longer takes are written today, where there is one way."""

from __future__ import annotations

import ast
from collections.abc import Callable

from mlrules_mcp.checks._lightning import (
    DROPPED_AT_DEFAULT,
    EARLY_STOPPING,
    MODEL_CHECKPOINT,
    RENAMED_TRAINER_ARGUMENTS,
    STRATEGIES,
)
from mlrules_mcp.checks.check import safe, suggested
from mlrules_mcp.findings import AddImport, Edit, Fix, RemoveArgument, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_Arguments = dict[str, str]


def trainer_fix(module: Module, call: ast.Call, keyword: ast.keyword) -> Fix | None:
    """A fix for a removed argument of a call that makes a Trainer; safe where the new form means the same."""
    name = keyword.arg or ""
    if name in RENAMED_TRAINER_ARGUMENTS:
        return _rewritten(call, name, {RENAMED_TRAINER_ARGUMENTS[name]: module.text(keyword.value)})
    match keyword.value:
        case ast.Constant(value=value) if any(
            value is default or (value == default and type(value) is type(default))
            for default in DROPPED_AT_DEFAULT.get(name, ())
        ):
            return _rewritten(call, name, {})
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)) if -1 in DROPPED_AT_DEFAULT.get(name, ()):
            return _rewritten(call, name, {})
    write = _WRITERS.get(name)
    return write(module, call, keyword.value) if write else None


def _rewritten(
    call: ast.Call, name: str, arguments: _Arguments, *, exact: bool = True, added: tuple[Edit, ...] = ()
) -> Fix | None:
    """The fix that puts other arguments in the place of one; None where the call has them already."""
    if passes_unseen_arguments(call) or any(argument(call, new) is not None for new in arguments if new != name):
        return None
    span = Span.of(call)
    edits = (RemoveArgument(span, name), *(SetArgument(span, new, code) for new, code in arguments.items()), *added)
    text = ", ".join(f"{new}={code}" for new, code in arguments.items())
    title = f"Write `{text}`" if text else f"Leave `{name}` out"
    return safe(title, *edits) if exact else suggested(title, *edits)


def _devices(accelerator: str) -> Callable[[Module, ast.Call, ast.expr], Fix | None]:
    name = {"gpu": "gpus", "tpu": "tpu_cores"}[accelerator]

    def write(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
        text = module.text(value)
        match value:
            case ast.Constant(value=None | 0 | False):
                return _rewritten(call, name, {"accelerator": '"cpu"'})
            case ast.Constant(value=int()) | ast.List() | ast.UnaryOp(operand=ast.Constant(value=1)):
                return _rewritten(call, name, {"accelerator": f'"{accelerator}"', "devices": text})
        if "is_available" in text or "device_count" in text:
            devices = '"auto"' if "device_count" in text else "1"
            return _rewritten(call, name, {"accelerator": '"auto"', "devices": devices}, exact=False)
        return _rewritten(call, name, {"accelerator": f'"{accelerator}"', "devices": text}, exact=False)

    return write


def _checkpoint_callback(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
    name = "checkpoint_callback"
    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        return _rewritten(call, name, {"enable_checkpointing": module.text(value)})
    return _as_callback(module, call, name, value, MODEL_CHECKPOINT)


def _early_stop_callback(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
    return _as_callback(module, call, "early_stop_callback", value, EARLY_STOPPING)


def _as_callback(module: Module, call: ast.Call, name: str, value: ast.expr, kind: str) -> Fix | None:
    if any(not module.is_call_to(origin, kind) for origin in module.origins(value)):
        return None
    return _rewritten(call, name, {"callbacks": f"[{module.text(value)}]"})


def _weights_summary(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
    if isinstance(value, ast.Constant) and value.value is None:
        return _rewritten(call, "weights_summary", {"enable_model_summary": "False"})
    return None


def _refresh_rate(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
    name = "progress_bar_refresh_rate"
    match value:
        case ast.Constant(value=0):
            return _rewritten(call, name, {"enable_progress_bar": "False"})
        case ast.Constant(value=int()):
            package = "pytorch_lightning" if "pytorch_lightning" in module.imported_packages else "lightning.pytorch"
            added = AddImport(f"{package}.callbacks", "TQDMProgressBar")
            callbacks = {"callbacks": f"[TQDMProgressBar(refresh_rate={module.text(value)})]"}
            return _rewritten(call, name, callbacks, exact=False, added=(added,))
    return None


def _distributed_backend(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
    match value:
        case ast.Constant(value=str() as strategy) if strategy in STRATEGIES:
            return _rewritten(call, "distributed_backend", {"strategy": module.text(value)})
        case ast.Constant(value="dp" | "ddp2"):
            return _rewritten(call, "distributed_backend", {"strategy": '"ddp"'}, exact=False)
    return None


def _reload_dataloaders(module: Module, call: ast.Call, value: ast.expr) -> Fix | None:
    if isinstance(value, ast.Constant) and value.value is True:
        return _rewritten(call, "reload_dataloaders_every_epoch", {"reload_dataloaders_every_n_epochs": "1"})
    return None


_WRITERS: dict[str, Callable[[Module, ast.Call, ast.expr], Fix | None]] = {
    "gpus": _devices("gpu"),
    "tpu_cores": _devices("tpu"),
    "checkpoint_callback": _checkpoint_callback,
    "early_stop_callback": _early_stop_callback,
    "weights_summary": _weights_summary,
    "progress_bar_refresh_rate": _refresh_rate,
    "distributed_backend": _distributed_backend,
    "reload_dataloaders_every_epoch": _reload_dataloaders,
}
