import time
from pathlib import Path
from threading import Event

import pytest
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from mlrules_mcp.training.checks import loader_throughput
from mlrules_mcp.training.checks.loader_throughput import LoaderThroughput
from mlrules_mcp.training.sample import WaveformClassifier, Waveforms
from mlrules_mcp.training.trials import Subject, Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


class Busy(Dataset):
    """Computes for milliseconds for each example, as code that decodes by hand does."""

    def __init__(self, data, seconds):
        self.data, self.seconds = data, seconds

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):  # the line to name
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass
        return self.data[index]


class Endless(IterableDataset):
    """Gives the examples in turn."""

    def __init__(self, data):
        self.data = data

    def __iter__(self):
        return (self.data[index] for index in range(len(self.data)))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(loader_throughput, "BATCHES", 4)


def verdict(tmp_path, wrap, **options):
    class Data(Waveforms):
        def train_dataloader(self):
            return DataLoader(wrap(self.training_data), **{"batch_size": self.batch_size} | options)

    def data():
        return Data(examples=64, num_workers=0, batch_size=8)

    subject = Subject("model", WaveformClassifier, data, Path(__file__), epochs=1, threads=1)
    return LoaderThroughput().run(Trials(subject, "cpu", 0, tmp_path))


def test_a_loader_that_is_faster_than_the_step_is_met(tmp_path):
    outcome = verdict(tmp_path, lambda data: data)
    assert outcome.status == "met"
    assert all(outcome.figures[f"batches_per_second_{count}_workers"] > 0 for count in (0, 1, 2))
    assert outcome.figures["batch_cpu_ms"] < outcome.figures["step_ms"]


def test_a_loader_that_computes_far_longer_than_the_step_is_broken(tmp_path):
    outcome = verdict(tmp_path, lambda data: Busy(data, 0.004))
    assert outcome.status == "broken", outcome.figures
    assert "has no workers" in outcome.message
    lines = Path(outcome.path).read_text(encoding="utf-8").splitlines()
    assert "the line to name" in lines[outcome.line - 1]


def test_the_same_loader_with_workers_is_met(tmp_path):
    outcome = verdict(tmp_path, lambda data: Busy(data, 0.004), num_workers=2)
    assert outcome.status == "met"


def test_an_iterable_dataset_is_not_judged(tmp_path):
    assert verdict(tmp_path, Endless).status == "not_applicable"


def test_workers_that_give_nothing_are_waited_for_no_longer_than_some_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(loader_throughput, "WORKER_SECONDS", 0.3)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1)

    class Stuck(Busy):
        def __getitem__(self, index):
            if get_worker_info() is not None:
                Event().wait()
            return self.data[index]

    outcome = verdict(tmp_path, lambda data: Stuck(data, 0))
    assert outcome.status == "met"
    assert outcome.figures["batches_per_second_0_workers"] > 0
    assert outcome.figures["batches_per_second_2_workers"] is None
