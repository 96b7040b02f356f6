"""Trains a model on one device, as often as the checks ask for it, and keeps what they want to know."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from mlrules_mcp.training import devices, places
from mlrules_mcp.training.bench import Bench, Looked, Looker, tensors_of
from mlrules_mcp.training.budget import OutOfTime
from mlrules_mcp.training.errors import (
    NotApplicableError,
    NotSimulatedError,
    TrainingError,
    TrainingFailedError,
    is_out_of_memory,
    quote,
)
from mlrules_mcp.training.loggers import QuietLogger
from mlrules_mcp.training.recorder import Recorder
from mlrules_mcp.training.simulated.device import NotSimulated
from mlrules_mcp.training.spread import Spread

T = TypeVar("T")

_OURS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Subject:
    """What is trained: how a fresh model and fresh data are made, and for how long they train.

    Attributes:
        name: the model's, for people.
        model: makes the model; called once a training, after seeding.
        data: makes its data; called likewise.
        source: the file or the project's folder whose lines are to blame when something raises.
        epochs: how often training goes through the data.
        threads: of the CPU; None leaves it to PyTorch.
        batches: how many of the training data an epoch goes through, and of the validation data; None is all of them.
            A training that is cut short so shows no lasting fall of the loss, so that none is demanded.
        made_up_loss: the loss is none that the model was made for; whether it falls says nothing.
        notes: what people should know of how the subject was made.
        remake: makes the same subject in another process, which it is sent to by pickle; None if the subject itself
            can be sent.
    """

    name: str
    model: Callable[[], pl.LightningModule]
    data: Callable[[], pl.LightningDataModule]
    source: Path
    epochs: int
    threads: int | None = None
    batches: int | None = None
    made_up_loss: bool = False
    notes: tuple[str, ...] = ()
    remake: Callable[[], Subject] | None = None

    def made_by(self, path: str) -> bool:
        """Whether a file is ours and not the subject's: none of its lines is to blame."""
        return Path(path).is_relative_to(_OURS) and not self.source.is_relative_to(_OURS)


@dataclass(frozen=True, slots=True)
class Trial:
    """One training, done.

    Attributes:
        model: as training left it, on the CPU.
        data: still set up.
        trainer: still attached to both.
        recorder: what was seen of the training.
        peak_memory_bytes: see `devices.peak_memory`.
        seconds: the wall time of everything.
    """

    model: pl.LightningModule
    data: pl.LightningDataModule
    trainer: pl.Trainer
    recorder: Recorder
    peak_memory_bytes: int | None
    seconds: float

    def predict(self, model: pl.LightningModule) -> dict[str, Tensor]:
        """What the model predicts for the first batch of the validation data, tensor by tensor, on the CPU."""
        outputs = self.trainer.predict(model, dataloaders=self.data.val_dataloader())
        return tensors_of("output", outputs)


class Trials:
    """The trainings of one subject on one device: each is run when a check first asks for it, then kept.

    Args:
        subject: what is trained.
        device: what it is trained on.
        seed: what every training starts from.
        folder: where checkpoints may be written.
        spread: the processes that all take every step together with this one; None if there are none.
    """

    def __init__(self, subject: Subject, device: str, seed: int, folder: Path, spread: Spread | None = None) -> None:
        self.subject = subject
        self.device = device
        self.seed = seed
        self.folder = folder / device
        self.spread = spread

        self._done: dict[str, Trial | TrainingFailedError | NotSimulatedError] = {}

    @property
    def first(self) -> Trial:
        """A training from the seed; raises TrainingFailedError if the model cannot be trained."""
        return self._trial("first")

    @property
    def second(self) -> Trial:
        """The same once more, with everything made anew."""
        return self._trial("second")

    def on_first_batch(self, look: Callable[[Bench], T]) -> T:
        """What `look` returns of a fresh model and its first batch, made from the seed as in a training.

        Raises:
            TrainingFailedError: something raised, in `look` or before.
            NotApplicableError: `look` raised it.
        """
        looker = Looker(self.device, self.seed, look)
        self.watch(looker)
        seen: T = looker.seen
        return seen

    def watch(
        self,
        watcher: pl.Callback,
        *,
        tap: Callable[[pl.LightningDataModule], None] = lambda data: None,
        resume: Path | None = None,
        least_epochs: int = 1,
    ) -> None:
        """Train a fresh model, made from the seed, until the watcher raises Looked; errors as in `on_first_batch`.

        Args:
            watcher: sees the training.
            tap: gets the fresh data before it is used.
            resume: the checkpoint to go on from.
            least_epochs: how often to go through the data at least.
        """
        self._use_threads()
        trainer = self._trainer("watched", watcher, least_epochs)
        try:
            pl.seed_everything(self.seed, workers=True, verbose=False)
            model, data = self.subject.model(), self.subject.data()
            tap(data)
            trainer.fit(model, data, ckpt_path=resume)
        except Looked:
            pass
        except NotApplicableError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error

    def _trial(self, name: str) -> Trial:
        if name not in self._done:
            try:
                self._done[name] = self._train(name)
            except (TrainingFailedError, NotSimulatedError) as error:
                self._done[name] = error
            except OutOfTime:  # it would take as long again
                self._done[name] = TrainingFailedError("Training takes too long.", None)
                raise
        done = self._done[name]
        if isinstance(done, TrainingFailedError | NotSimulatedError):
            raise done
        return done

    def _train(self, name: str) -> Trial:
        self._use_threads()
        recorder = Recorder(self.device)
        trainer = self._trainer(name, recorder)
        devices.reset_peak_memory(self.device)
        start = time.perf_counter()
        try:
            pl.seed_everything(self.seed, workers=True, verbose=False)
            model, data = self.subject.model(), self.subject.data()
            if is_overridden("validation_step", model) and is_overridden("val_dataloader", data):
                trainer.validate(model, data, verbose=False)
            trainer.fit(model, data)
        except (Exception, SystemExit) as error:
            raise self._failure(error) from error
        seconds = time.perf_counter() - start
        return Trial(model, data, trainer, recorder, devices.peak_memory(self.device), seconds)

    def _use_threads(self) -> None:
        if self.subject.threads is not None:
            torch.set_num_threads(self.subject.threads)

    def _trainer(self, name: str, watcher: pl.Callback, least_epochs: int = 1) -> pl.Trainer:
        alone = {**devices.trainer_arguments(self.device), "plugins": [LightningEnvironment()]}
        return pl.Trainer(
            **(self.spread.trainer_arguments(self.device) if self.spread else alone),
            max_epochs=max(self.subject.epochs, least_epochs),
            limit_train_batches=self.subject.batches,
            limit_val_batches=self.subject.batches,
            callbacks=[watcher],
            # Where an operation has no deterministic form, training goes on and the check sees the difference.
            deterministic="warn",
            num_sanity_val_steps=0,
            limit_predict_batches=1,
            default_root_dir=self.folder / name,
            logger=QuietLogger(self.folder / name),
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    def _failure(self, error: BaseException) -> Exception:
        if isinstance(error, TrainingError):
            return error
        if isinstance(error, NotSimulated):
            return NotSimulatedError(str(error))
        if is_out_of_memory(error):
            message = f"The model does not fit into the memory of {self.device}: {quote(error)}"
            return TrainingError("out-of-memory", message)
        return TrainingFailedError(quote(error), places.of_error(error, self.subject.source))
