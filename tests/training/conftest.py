import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from mlrules_mcp.training.sample import Waveforms
from mlrules_mcp.training.simulated.device import register
from mlrules_mcp.training.trials import Subject, Trials

register()  # before any test goes backward: PyTorch counts its devices once


@pytest.fixture(autouse=True)
def unchanged_process() -> Iterator[None]:
    """Seeding and a deterministic Trainer set variables and switches of the process: put them back."""
    environment, threads = dict(os.environ), torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def subject() -> Callable[..., Subject]:
    """Makes what is to be trained out of a model's class: a dozen steps."""

    def make(model, source: str = __file__, **data):
        return Subject(
            name=getattr(model, "__name__", "model"),
            model=model,
            data=partial(Waveforms, **{"examples": 256, "num_workers": 0} | data),
            source=Path(source),
            epochs=2,
            threads=1,
        )

    return make


@pytest.fixture
def trials(subject, tmp_path) -> Callable[..., Trials]:
    """The trainings of a model's class on the CPU."""

    def make(model, source: str = __file__, **data):
        return Trials(subject(model, source, **data), "cpu", seed=0, folder=tmp_path)

    return make
