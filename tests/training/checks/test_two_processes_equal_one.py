from functools import partial
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.utils.data import DataLoader

from mlrules_mcp.training import processes
from mlrules_mcp.training.checks.two_processes_equal_one import TwoProcessesEqualOne
from mlrules_mcp.training.ranks import Rank
from mlrules_mcp.training.sample import WaveformClassifier, Waveforms
from mlrules_mcp.training.trials import Subject, Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


class Branches(WaveformClassifier):
    """Has a layer that not every step uses: DDP waits for its gradient."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Linear(4, 4)  # the line to name
        self.steps = 0

    def training_step(self, batch, batch_idx):
        self.steps += 1
        logits = self(batch[0])
        return nn.functional.cross_entropy(self.branch(logits) if self.steps % 2 else logits, batch[1])


class Unreduced(WaveformClassifier):
    """Logs a loss of validation as each process sees it."""

    def validation_step(self, batch, batch_idx):
        logits = self(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(logits, batch[1]))
        self.validation_metrics.update(logits, batch[1])
        self.log_dict(self.validation_metrics)


class Shuffled(Waveforms):
    """Draws the order of its data from the global generator."""

    def train_dataloader(self):
        return DataLoader(self.training_data, batch_size=self.batch_size, shuffle=True)


def trials_of(model, folder):
    data = partial(Shuffled, examples=256, num_workers=0)
    return Trials(Subject("model", model, data, Path(__file__), epochs=1, threads=1), "cpu", 0, folder)


def verdict(model, folder):
    return TwoProcessesEqualOne().run(trials_of(model, folder))


def line_of(outcome):
    return Path(outcome.path).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


@pytest.fixture
def one_rank(monkeypatch):
    """A group of one process, this one: DDP raises there what it raises in several."""

    def run_here(work, arguments, **options):
        store = distributed.HashStore()
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            return [work(0, *arguments)]
        finally:
            distributed.destroy_process_group()

    for name in ("RANK", "LOCAL_RANK", "GROUP_RANK"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("mlrules_mcp.training.ranks.run_together", run_here)
    monkeypatch.setattr("mlrules_mcp.training.ranks.PROCESSES", 1)


def test_parameters_that_a_step_leaves_out_are_named(one_rank, tmp_path):
    outcome = verdict(Branches, tmp_path)
    assert outcome.status == "broken"
    assert "no gradient in a step (branch.weight, branch.bias)" in outcome.message
    assert "the line to name" in line_of(outcome)


def test_two_processes_train_as_one_and_metrics_that_are_not_reduced_are_broken(tmp_path):
    outcome = verdict(Unreduced, tmp_path)
    assert (outcome.figures["steps"], outcome.figures["weights_of_ranks_apart"]) == (5, 0)
    assert outcome.figures["losses_apart"] < 1e-4
    assert outcome.status == "broken"
    # The metrics of torchmetrics reduce themselves, and what training logs is each process's own.
    assert outcome.message.startswith("Validation logs val_loss without reducing over processes")
    assert "def validation_step" in line_of(outcome)


@pytest.fixture
def ranks(monkeypatch):
    """Says what one process and two processes saw, without any."""

    def say(one, two):
        monkeypatch.setattr("mlrules_mcp.training.ranks.alone", lambda trials: one)
        monkeypatch.setattr("mlrules_mcp.training.ranks.together", lambda trials: two)

    return say


def rank(number, losses=(1.0, 0.5), weight=1.0, **metrics):
    return Rank(number, torch.tensor(losses), {"classifier.weight": torch.tensor([weight])}, metrics)


def test_processes_that_agree_with_one_are_met(ranks, tmp_path):
    ranks([rank(0), rank(1, (1.5, 1.0))], [rank(0, val_loss=1.0), rank(1, (1.5, 1.0), val_loss=1.0)])
    outcome = verdict(WaveformClassifier, tmp_path)
    assert (outcome.status, outcome.figures["losses_apart"]) == ("met", 0)


def test_a_weight_that_differs_between_the_processes_is_named(ranks, tmp_path):
    ranks([rank(0), rank(1)], [rank(0), rank(1, weight=1.5)])
    outcome = verdict(WaveformClassifier, tmp_path)
    assert outcome.status == "broken"
    assert "classifier.weight is not the same in both processes" in outcome.message


def test_losses_that_are_not_those_of_one_process_are_broken(ranks, tmp_path):
    ranks([rank(0), rank(1)], [rank(0), rank(1, losses=(1.0, 0.6))])
    outcome = verdict(WaveformClassifier, tmp_path)
    assert outcome.status == "broken"
    assert outcome.figures["losses_apart"] == pytest.approx(0.1)


def test_a_model_that_can_not_be_sent_is_not_judged(tmp_path):
    class Local(WaveformClassifier):
        pass

    outcome = verdict(Local, tmp_path)
    assert outcome.status == "not_applicable"
    assert "can't be made anew in another process" in outcome.message


def test_processes_that_can_not_talk_are_no_fault(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise processes.NotApplicableError("Processes can't talk to each other here: no network.")

    monkeypatch.setattr("mlrules_mcp.training.ranks.run_together", refuse)
    assert verdict(WaveformClassifier, tmp_path).status == "not_applicable"


def test_a_training_that_is_never_the_same_twice_is_not_judged(ranks, tmp_path, monkeypatch):
    ranks([], [rank(0), rank(1, losses=(1.0, 0.6))])
    runs = iter([[rank(0), rank(1)], [rank(0), rank(1, losses=(1.0, 0.7))]])
    monkeypatch.setattr("mlrules_mcp.training.ranks.alone", lambda trials: next(runs))
    assert verdict(WaveformClassifier, tmp_path).status == "not_applicable"
