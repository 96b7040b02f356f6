from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from mlrules_mcp.training.checks.trains_on_every_device import TrainsOnEveryDevice
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return TrainsOnEveryDevice().run(trials(model, source=__file__))

    return run


def test_a_model_that_learns_is_met(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert outcome.figures["loss_after"] < outcome.figures["loss_before"]
    assert outcome.figures["metric_after"] > outcome.figures["metric_before"]


def test_what_raises_is_broken_at_the_line_of_the_model(verdict):
    class WrongShape(WaveformClassifier):
        def forward(self, signals):
            return super().forward(signals.flatten())  # the line to name

    outcome = verdict(WrongShape)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert outcome.status == "broken"
    assert outcome.path == __file__
    assert "the line to name" in lines[outcome.line - 1]
    assert outcome.message.startswith("Training on cpu raised RuntimeError: ")


def test_a_model_that_exits_is_broken(verdict):
    class Exits(WaveformClassifier):
        def on_train_start(self):
            raise SystemExit(0)

    outcome = verdict(Exits)
    assert (outcome.status, outcome.message) == ("broken", "Training on cpu raised SystemExit: 0")


def test_a_loss_that_stops_being_finite_is_broken_at_its_step(verdict):
    class Explodes(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * float("inf") if self.global_step == 4 else loss

    outcome = verdict(Explodes)
    assert outcome.status == "broken"
    assert outcome.message == "The loss is inf at step 5 of 12."
    assert outcome.figures == {"steps": 12, "first_bad_step": 5}


def test_a_loss_that_rises_is_broken(verdict):
    class Climbs(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return 0 * super().training_step(batch, batch_idx) + batch_idx + 10 * self.current_epoch

    outcome = verdict(Climbs)
    assert outcome.status == "broken"
    assert outcome.message.startswith("The loss does not fall: 0.5 over the first 2 of 12 steps, 14.5 over the")


def test_a_metric_that_gets_no_better_is_broken(verdict):
    class Guesses(WaveformClassifier):
        def _evaluate(self, batch, name, metrics):
            self.log("val_quality", 0.5)

        def configure_callbacks(self):
            return ModelCheckpoint(monitor="val_quality", mode="max")

    outcome = verdict(Guesses)
    assert outcome.status == "broken"
    assert "val_quality is no better: 0.5 before training, 0.5 after" in outcome.message


def test_a_metric_of_which_nobody_says_where_it_should_go_is_not_judged(verdict):
    class Guesses(WaveformClassifier):
        def _evaluate(self, batch, name, metrics):
            self.log("val_quality", 0.5)

        def configure_callbacks(self):
            return []

    outcome = verdict(Guesses)
    assert outcome.status == "met"
    assert "metric_after" not in outcome.figures


def test_a_metric_that_should_fall_and_falls_is_met(verdict):
    class WatchesLoss(WaveformClassifier):
        def configure_callbacks(self):
            return ModelCheckpoint(monitor="train_loss_so_far", mode="min")

        def _evaluate(self, batch, name, metrics):
            self.log("train_loss_so_far", 10.0 - self.global_step)

    outcome = verdict(WatchesLoss)
    assert outcome.status == "met"
    assert (outcome.figures["metric_before"], outcome.figures["metric_after"]) == (10.0, -2.0)


def test_a_model_that_returns_no_loss_cannot_be_judged(verdict):
    class Silent(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return None

    assert verdict(Silent).status == "not_applicable"


def test_memory_that_runs_out_is_not_the_models_fault(verdict):
    class Huge(WaveformClassifier):
        def on_train_start(self):
            torch.empty(2**50)

    with pytest.raises(TrainingError, match="does not fit into the memory of cpu") as caught:
        verdict(Huge)
    assert caught.value.reason == "out-of-memory"
