"""Makes what the battery trains of the user's module: its class, its arguments, its data, and how long."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn

from mlrules_mcp.training.errors import TrainingError, quote
from mlrules_mcp.training.target import guessing, wrapper
from mlrules_mcp.training.target.arguments import build, check_arguments
from mlrules_mcp.training.target.batches import MadeData
from mlrules_mcp.training.target.data import own_data, without_workers
from mlrules_mcp.training.target.loading import Importer, find_class
from mlrules_mcp.training.target.probe import Probe, fitting_length, take_steps
from mlrules_mcp.training.target.request import BATCH_EXAMPLE, Target
from mlrules_mcp.training.trials import Subject

_MakeData = Callable[[], pl.LightningDataModule]
# What a machine lacks, rather than what a model does wrong.
LONG_STEP = 0.1  # seconds
_MISSING = (OSError, ImportError)


def make_subject(target: Target, importer: Importer, *, seed: int, folder: Path) -> Subject:
    """Import the user's module, find data for it, take its first steps, and return what the battery trains.

    What the model itself does wrong is left to the battery, which blames the line on each device.

    Args:
        target: what is asked for.
        importer: of that target.
        seed: what made batches follow from.
        folder: for temporary files.

    Raises:
        TrainingError: the module can't be imported or made, has no data, or misses a file or package.
    """
    return _Maker(target, importer, seed, folder).subject()


def remade(target: Target, seed: int, folder: Path) -> Subject:
    """The same subject in another process, which has imported nothing of the target yet; arguments as above."""
    return make_subject(target, Importer(target), seed=seed, folder=folder)


class _Maker:
    def __init__(self, target: Target, importer: Importer, seed: int, folder: Path) -> None:
        self.target = target
        self.seed = seed
        self.folder = folder
        self.notes = list(target.notes)
        self.importer = importer
        torch.set_num_threads(1)
        self.module = self.importer.file_module(self.importer.file)
        wanted = (pl.LightningModule, nn.Module)
        self.cls: type = find_class(self.module, target.cls, wanted, "LightningModule or nn.Module")
        check_arguments(self.cls, target.init_args, "init_args")
        self.is_lightning = issubclass(self.cls, pl.LightningModule) and is_overridden(
            "training_step", self.cls, pl.LightningModule
        )
        self.made_up_loss = False

    def subject(self) -> Subject:
        """What the battery trains."""
        model = self._model()
        data, probe = self._data(model)
        if isinstance(probe.error, _MISSING) and not isinstance(probe.error, ConnectionError):
            raise self._failed("Training", probe.error)
        batches, epochs = fitting_length(probe.seconds)
        return Subject(
            name=self.cls.__name__,
            model=model,
            data=data,
            source=self.importer.source,
            epochs=epochs,
            # A small model is fastest on one thread, above all on a busy machine.
            threads=1 if (probe.seconds or 0) < LONG_STEP else os.cpu_count(),
            batches=batches,
            made_up_loss=self.made_up_loss,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _make_module(self) -> nn.Module:
        arguments = {name: build(value, self.importer) for name, value in self.target.init_args.items()}
        made: nn.Module = self.cls(**arguments)
        return made

    def _model(self) -> Callable[[], pl.LightningModule]:
        if not self.is_lightning:
            return wrapper.wrapped(self.cls, self._make_module, self.target.loss)
        if self.target.loss:
            raise TrainingError("bad-argument", f"{self.cls.__name__} computes its own loss: leave `loss` out.")
        optimizer = self.target.optimizer
        if optimizer is None or is_overridden("configure_optimizers", self.cls, pl.LightningModule):
            return self._make_module  # type: ignore[return-value]

        def with_optimizer() -> pl.LightningModule:
            model = self._make_module()
            assert isinstance(model, pl.LightningModule)
            make = build(dict(optimizer), self.importer)
            model.configure_optimizers = lambda: make(model.parameters())  # type: ignore[method-assign]
            return model

        return with_optimizer

    def _data(self, model: Callable[[], pl.LightningModule]) -> tuple[_MakeData, Probe]:
        """The data to train with, and how the first steps went on it."""
        if self.target.batch is not None:
            spec = self._with_target(self.target.batch, model)
            return self._probed(model, partial(MadeData, spec, self.seed))
        if (data := self._data_module()) is not None:
            return self._probed(model, data)
        try:
            made = model()
        except (Exception, SystemExit) as error:
            if isinstance(error, TrainingError):
                raise
            raise self._failed(f"Making {self.cls.__name__}", error) from None
        if own_data(made, self._on_workers) is not None:
            return self._probed(model, lambda: own_data(made, self._on_workers) or pl.LightningDataModule())
        return self._guessed(model, made)

    def _data_module(self) -> _MakeData | None:
        base = (pl.LightningDataModule,)
        named = self.target.data
        if named is None:
            here = [each for each in vars(self.module).values() if isinstance(each, type) and issubclass(each, base)]
            if not any(each.__module__ == self.module.__name__ for each in here):
                return None
            cls = find_class(self.module, None, base, "LightningDataModule")
            self.notes.append(f"Trained on {cls.__name__} of the same file.")
        elif named.partition(":")[0].endswith(".py"):
            path, _, name = named.rpartition(".py")
            module = self.importer.file_module(Path(f"{path}.py"))
            cls = find_class(module, name.removeprefix(":") or None, base, "LightningDataModule")
        else:
            cls = self.importer.attribute(named)
        check_arguments(cls, self.target.data_args, "data_args")

        def make() -> pl.LightningDataModule:
            arguments = {name: build(value, self.importer) for name, value in self.target.data_args.items()}
            return without_workers(cls(**arguments), self._on_workers)

        return make

    def _probed(self, model: Callable[[], pl.LightningModule], data: _MakeData) -> tuple[_MakeData, Probe]:
        probe = take_steps(model, data, seed=self.seed, folder=self.folder)
        if isinstance(probe.error, TrainingError):
            raise probe.error
        return data, probe

    def _with_target(self, spec: Any, model: Callable[[], pl.LightningModule]) -> Any:
        """A batch specification for a plain module, completed by the target that its loss needs if it lacks one."""
        loss = self.target.loss
        if self.is_lightning or loss is None or not isinstance(spec, dict) or "shape" not in spec:
            self._note_surrogate()
            return spec
        return [spec, self._target_of(loss, model(), spec)]

    def _guessed(self, model: Callable[[], pl.LightningModule], made: pl.LightningModule) -> tuple[_MakeData, Probe]:
        """Data of a specification that the model's example or its layers suggest and training takes.

        One that fails for want of CUDA is taken as well: that is for the checks to say.
        """
        first: BaseException | None = None
        for spec in self._specs(made):
            data = partial(MadeData, spec, self.seed)
            probe = take_steps(model, data, seed=self.seed, folder=self.folder)
            said = str(probe.error).lower()  # a build with CUDA says that it finds no NVIDIA driver
            wants_gpu = probe.error is not None and ("cuda" in said or "nvidia" in said)
            if wants_gpu or (probe.error is None and probe.finite):
                self._note_surrogate()
                self.notes.append(f"No data was given: trained on random batches {_as_json(spec)}, found by trying.")
                return data, probe
            first = first or probe.error
        tried = f" It was tried with random batches; the first one raised {self._quoted(first)}." if first else ""
        kind = "DataModule" if self.is_lightning else "inputs"
        message = (
            f"No {kind} for {self.cls.__name__} could be found or worked out.{tried} Pass data, such as "
            f"--data data.py:DataModule, or a batch, such as --batch '{BATCH_EXAMPLE}'"
        )
        raise TrainingError("bad-target", message)

    def _specs(self, made: pl.LightningModule) -> Iterator[Any]:
        module = made.module if isinstance(made, wrapper.Wrapper) else made
        found = self._example(made) or guessing.accepted_input(module)
        loss = self.target.loss
        if isinstance(made, wrapper.Wrapper):
            if found is not None:
                spec, outputs = found
                target = guessing.target_for(loss, wrapper.first_tensor(outputs)) if loss else None
                yield [spec, target] if target else spec
            return
        inputs = [found] if found else [(spec, None) for spec in guessing.input_specs(made)][:4]
        for spec, outputs in inputs:
            shape = spec["shape"]
            likely = guessing.target_specs(wrapper.first_tensor(outputs)) if outputs is not None else ()
            targets = [*likely, {"shape": shape[:1], "dtype": "int64"}, {"shape": [shape[0], 1], "low": 0.0}]
            yield from ([spec, target] for target in targets)
            yield [spec, spec]
            yield spec

    def _example(self, made: pl.LightningModule) -> tuple[dict[str, Any], Any] | None:
        """The specification of `example_input_array`, and what forward returns for it."""
        example: Any = getattr(made, "example_input_array", None)
        value: Any = example[0] if isinstance(example, tuple) and len(example) == 1 else example
        if not isinstance(value, torch.Tensor) or not value.dim():
            return None
        outputs = guessing.outputs_for(made, value)
        if outputs is None:
            return None
        spec: dict[str, Any] = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        if not value.dtype.is_floating_point:
            spec["high"] = int(value.max().item()) + 1
        return spec, outputs

    def _target_of(self, loss: str, made: pl.LightningModule, spec: Any) -> Any:
        from mlrules_mcp.training.target.batches import make  # noqa: PLC0415

        outputs = guessing.outputs_for(made, make(spec, torch.Generator().manual_seed(self.seed)))
        if outputs is None:
            message = f"forward does not take the batch given, {_as_json(spec)}, so that no target can be made for it."
            raise TrainingError("bad-target", message)
        return guessing.target_for(loss, wrapper.first_tensor(outputs))

    def _note_surrogate(self) -> None:
        if self.is_lightning or self.target.loss:
            return
        self.made_up_loss = True
        self.notes.append(
            "No loss was given: trained towards random numbers (or with the loss that forward returns), which shows "
            "that training works and not that it learns. Pass one, such as --loss cross_entropy."
        )

    def _on_workers(self, count: int) -> None:
        self.notes.append(
            f"Data was loaded without the {count} workers of the DataLoader, so that errors keep their line."
        )

    def _failed(self, what: str, error: BaseException) -> TrainingError:
        return TrainingError("bad-target", f"{what} raised {self._quoted(error)}.")

    def _quoted(self, error: BaseException) -> str:
        return f"{quote(error)}{self.importer.blamed(error)}"


def _as_json(spec: Any) -> str:
    import json  # noqa: PLC0415

    return json.dumps(spec)
