from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.resume_equals_uninterrupted import ResumeEqualsUninterrupted
from mlrules_mcp.training.sample import WaveformClassifier, Waveforms
from mlrules_mcp.training.trials import Subject, Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(subject, tmp_path):
    def run(model, device="cpu"):
        with devices.made_present(device):
            return ResumeEqualsUninterrupted().run(Trials(subject(model, source=__file__), device, 0, tmp_path))

    return run


def line_of(outcome):
    return Path(outcome.path).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


class Plateau(WaveformClassifier):
    """A schedule that goes by a metric."""

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, mode="max")
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"}}


@pytest.mark.parametrize("model", [WaveformClassifier, Plateau])
def test_training_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(verdict, model):
    outcome = verdict(model)
    assert outcome.status == "met", outcome.message
    assert outcome.figures["losses_apart"] == outcome.figures["weights_apart"] == 0
    assert (outcome.figures["compared_steps"], outcome.figures["data_order"]) == (5, "starts anew")


def test_what_was_saved_on_an_accelerator_goes_on_there_and_on_the_cpu(verdict):
    outcome = verdict(WaveformClassifier, device="simulated")
    assert outcome.status == "met"
    assert outcome.figures["loss_on_cpu_apart"] < 1e-5
    assert "on simulated and on the CPU" in outcome.message


def test_an_attribute_that_training_changes_is_named_with_its_line(verdict):
    class Remembers(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.scale = 1.0  # the line to name

        def training_step(self, batch, batch_idx):
            self.scale += 0.5
            return super().training_step(batch, batch_idx) * self.scale

    outcome = verdict(Remembers)
    assert outcome.status == "broken"
    assert "self.scale is 1.0 where it was 4.0, and is not in the checkpoint" in outcome.message
    assert "the line to name" in line_of(outcome)


def test_the_same_attribute_in_the_checkpoint_is_met(verdict):
    class Keeps(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.scale = 1.0

        def training_step(self, batch, batch_idx):
            self.scale += 0.5
            return super().training_step(batch, batch_idx) * self.scale

        def on_save_checkpoint(self, checkpoint):
            checkpoint["scale"] = self.scale

        def on_load_checkpoint(self, checkpoint):
            self.scale = checkpoint["scale"]

    assert verdict(Keeps).status == "met"


def test_an_optimizer_that_begins_anew_is_named(verdict):
    class Forgets(WaveformClassifier):
        def on_save_checkpoint(self, checkpoint):
            for state in checkpoint["optimizer_states"]:
                state["state"] = {}

    outcome = verdict(Forgets)
    assert outcome.status == "broken"
    assert "optimizers differ in 0.state" in outcome.message


def test_a_schedule_that_begins_anew_is_named(verdict):
    class Restarts(WaveformClassifier):
        def on_train_start(self):
            self.lr_schedulers().last_epoch = 0

    outcome = verdict(Restarts)
    assert outcome.status == "broken"
    assert "schedulers differ in 0.last_epoch" in outcome.message


def test_a_checkpoint_that_does_not_resume_is_broken_with_the_reason(verdict):
    class Grows(WaveformClassifier):
        def on_train_epoch_end(self):
            self.extra = torch.nn.Linear(2, 2)

    outcome = verdict(Grows)
    assert outcome.status == "broken"
    assert "Unexpected key(s) in state_dict" in outcome.message


def test_a_training_that_is_never_the_same_twice_is_not_judged(verdict):
    class Drifts(WaveformClassifier):
        runs = 0

        def on_train_start(self):
            Drifts.runs += 1

        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * Drifts.runs

    assert verdict(Drifts).status == "not_applicable"


def test_data_of_several_loaders_at_once_is_not_judged(tmp_path):
    class Pairs(Waveforms):
        def train_dataloader(self):
            return {"a": super().train_dataloader(), "b": super().train_dataloader()}

    class First(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch["a"], batch_idx)

    subject = Subject("First", First, lambda: Pairs(examples=64, num_workers=0), Path(__file__), 1, threads=1)
    assert ResumeEqualsUninterrupted().run(Trials(subject, "cpu", 0, tmp_path)).status == "not_applicable"


def test_data_in_a_fixed_order_is_said_to_be_kept(tmp_path):
    class Ordered(Waveforms):
        def train_dataloader(self):
            return DataLoader(self.training_data, batch_size=self.batch_size)

    subject = Subject(
        "Ordered", WaveformClassifier, lambda: Ordered(examples=64, num_workers=0), Path(__file__), 1, threads=1
    )
    outcome = ResumeEqualsUninterrupted().run(Trials(subject, "cpu", 0, tmp_path))
    assert (outcome.status, outcome.figures["data_order"]) == ("met", "kept")
    assert outcome.figures["compared_steps"] == 2
