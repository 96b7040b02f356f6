"""What the user asks to have trained, as plain data: nothing of theirs is imported here, and no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlrules_mcp.training.errors import TrainingError

LOSSES = (
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "nll",
    "mse",
    "l1",
    "smooth_l1",
    "huber",
    "kl_div",
)
BATCH_EXAMPLE = '[{"shape": [8, 3, 32, 32]}, {"shape": [8], "dtype": "int64", "high": 10}]'
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "environment.yml", ".git")
_CONFIG_KEYS = {"model", "data", "trainer", "seed_everything", "optimizer", "lr_scheduler", "ckpt_path"}
_TENSOR_KEYS = {"shape", "dtype", "low", "high"}


@dataclass(frozen=True, slots=True)
class Target:
    """A module to train, and what to train it with.

    Attributes:
        file: the absolute path of the file that defines it.
        cls: its class; None leaves it to what the file defines.
        root: the absolute path of the folder that it is trained in: relative paths of the user's code start there.
        init_args: what its `__init__` gets; `{"class_path": …, "init_args": …}` anywhere inside stands for an object.
        data: its DataModule, as `FILE.py:CLASS` or a dotted name; None leaves it to what can be found.
        data_args: what the DataModule's `__init__` gets.
        optimizer: a `class_path` and `init_args`, for a module that configures none.
        batch: a batch specification (see `batches.make`) for a module without data.
        loss: one of `LOSSES`, for an nn.Module, computed of its output and the last tensor of the batch.
        notes: what was left out of a configuration, for the answer.
    """

    file: str
    cls: str | None
    root: str
    init_args: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    data_args: Mapping[str, Any] = field(default_factory=dict)
    optimizer: Mapping[str, Any] | None = None
    batch: Any = None
    loss: str | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """For the worker's command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Target:
        """The opposite of `to_json`."""
        read = json.loads(text)
        return cls(**{**read, "notes": tuple(read["notes"])})


def read_target(
    target: str,
    *,
    folder: Path,
    init_args: str | Mapping[str, Any] | None = None,
    data: str | None = None,
    data_args: str | Mapping[str, Any] | None = None,
    batch: Any = None,
    loss: str | None = None,
) -> Target:
    """Read what the user asks for.

    Args:
        target: `FILE.py:CLASS`, or `FILE.py` alone where the file defines one module.
        folder: what relative paths start from; the module is trained in it, if it lies there.
        init_args: a mapping, the same as JSON text, or the path of a JSON or YAML file with it or with a
            configuration of LightningCLI.
        data: `FILE.py:CLASS` of a DataModule.
        data_args: for the DataModule, like `init_args`.
        batch: a batch specification, as JSON text, as the path of a JSON or YAML file, or read already.
        loss: one of `LOSSES`.

    Raises:
        TrainingError: something of it can't be read; the text says what and shows what can.
    """
    file, cls = _file_and_class(target, folder, "target")
    root = folder.resolve() if file.is_relative_to(folder.resolve()) else project_of(file)
    settings = _settings(_mapping(init_args, "init_args", folder), str(file), cls)
    if data is not None:
        settings["data"] = ":".join(filter(None, map(str, _file_and_class(data, folder, "data"))))
    if data_args is not None:
        settings["data_args"] = _mapping(data_args, "data_args", folder)
    if isinstance(batch, str):
        batch = _read(batch, "batch", folder)
    if batch is not None:
        _check_batch(batch, "batch")
    if loss is not None and loss not in LOSSES:
        raise _bad(f"Unknown loss {loss!r}. Choose one of: {', '.join(LOSSES)}.")
    cls = cls or settings.pop("cls", None)
    settings.pop("cls", None)
    return Target(str(file), cls, str(root), batch=batch, loss=loss, **settings)


def project_of(file: Path) -> Path:
    """The nearest folder around a file that a project begins in; the file's own where nothing tells."""
    for parent in file.parents:
        if any((parent / name).exists() for name in _PROJECT_FILES):
            return parent
    return file.parent


def _bad(message: str) -> TrainingError:
    return TrainingError("bad-argument", message)


def file_of(text: str) -> str:
    """The file of `FILE.py:CLASS` or `FILE.py`, as it is written."""
    return _split(text)[0]


def _split(text: str) -> tuple[str, str]:
    path, _, name = text.rpartition(":")
    return (path, name) if path and name.isidentifier() else (text, "")


def _file_and_class(text: str, folder: Path, what: str) -> tuple[Path, str | None]:
    path, name = _split(text)
    file = (folder / path).resolve()
    if file.suffix != ".py":
        raise _bad(f"{what} must be FILE.py:CLASS, such as models/net.py:Net, not {text!r}.")
    if not file.is_file():
        raise _bad(f"There is no file {path} under {folder}.")
    return file, name or None


def _mapping(value: str | Mapping[str, Any] | None, what: str, folder: Path) -> dict[str, Any]:
    read = _read(value, what, folder) if isinstance(value, str) else value
    if read is None:
        return {}
    if not isinstance(read, Mapping) or not all(isinstance(key, str) for key in read):
        raise _bad(f'{what} must be an object such as {{"hidden": 64}}, not {_short(read)}.')
    return dict(read)


def _read(text: str, what: str, folder: Path) -> Any:
    """JSON from the text itself, or JSON or YAML from the file that it names."""
    if text.lstrip()[:1] in {"{", "["}:
        return _parsed(text, what, yaml=False)
    file = folder / text
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise _bad(f"{what} is neither JSON nor a file that can be read: {_short(text)} ({error}).") from None
    return _parsed(content, f"{what} ({text})", yaml=file.suffix in {".yaml", ".yml"})


def _parsed(text: str, what: str, yaml: bool) -> Any:
    import yaml as pyyaml  # noqa: PLC0415 - most runs need none

    try:
        return pyyaml.safe_load(text) if yaml else json.loads(text)
    except (ValueError, RecursionError, pyyaml.YAMLError) as error:
        kind = "YAML" if yaml else "JSON"
        raise _bad(f"{what} is not valid {kind}: {' '.join(str(error).split())}.") from None


def _settings(read: dict[str, Any], file: str, cls: str | None) -> dict[str, Any]:
    """Init arguments, or a configuration of LightningCLI or Hydra, as the attributes of a Target."""
    if isinstance(read.get("fit"), dict) and read.keys() <= _CONFIG_KEYS | {"fit"}:
        read = read["fit"]
    if not _is_configuration(read, cls):
        name, args = _class_and_args(read)
        return {"init_args": args} | ({"cls": name.rpartition(".")[2]} if name else {})
    name, args = _class_and_args(read["model"])
    settings: dict[str, Any] = {"init_args": args}
    if name:
        settings["cls"] = name.rpartition(".")[2]
    if isinstance(read.get("data"), dict):
        settings["data"], settings["data_args"] = _class_and_args(read["data"])
        settings["data"] = settings["data"] or file
    if isinstance(read.get("optimizer"), dict):
        settings["optimizer"] = read["optimizer"]
    unused = [name for name in ("trainer", "lr_scheduler", "ckpt_path") if read.get(name)]
    if unused:
        settings["notes"] = (f"Not used of the configuration: {', '.join(unused)}.",)
    return settings


def _is_configuration(read: Mapping[str, Any], cls: str | None) -> bool:
    """Whether `model` is a section of LightningCLI's configuration, rather than an argument of that name."""
    model = read.get("model")
    if not isinstance(model, dict):
        return False
    name, _ = _class_and_args(model)
    if "trainer" in read:
        return True
    if len(read) == 1:
        return name is not None and cls in {None, name.rpartition(".")[2]}
    return read.keys() <= _CONFIG_KEYS


def _class_and_args(read: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    if "_target_" in read:
        return read["_target_"], {key: value for key, value in read.items() if not key.startswith("_")}
    if "class_path" in read:
        return read["class_path"], dict(read.get("init_args") or {}) | dict(read.get("dict_kwargs") or {})
    return None, dict(read)


def _check_batch(spec: Any, where: str) -> None:
    if isinstance(spec, list) and spec:
        for index, part in enumerate(spec):
            _check_batch(part, f"{where}[{index}]")
    elif isinstance(spec, dict) and "shape" in spec:
        sizes = spec["shape"]
        if not isinstance(sizes, list) or not all(type(size) is int and size > 0 for size in sizes):
            raise _bad(f"{where}: shape must be a list of sizes above 0, such as [8, 3, 32, 32], not {_short(sizes)}.")
        if unknown := spec.keys() - _TENSOR_KEYS:
            known = ", ".join(sorted(_TENSOR_KEYS))
            raise _bad(f"{where}: a tensor has no {sorted(unknown)[0]!r}. It may have: {known}.")
        for bound in ("low", "high"):
            if type(spec.get(bound, 0)) not in {int, float}:
                raise _bad(f"{where}: {bound} must be a number, not {_short(spec[bound])}.")
    elif isinstance(spec, dict) and spec:
        for name, part in spec.items():
            _check_batch(part, f"{where}.{name}")
    elif not isinstance(spec, str | int | float | bool):
        raise _bad(f"{where} is no batch specification: {_short(spec)}. An example: {BATCH_EXAMPLE}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:80] + "…"
