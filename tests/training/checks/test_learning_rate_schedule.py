from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training.checks.learning_rate_schedule import LearningRateSchedule
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return LearningRateSchedule().run(trials(model, source=__file__, examples=512))

    return run


def scheduled(make, interval="epoch"):
    class Scheduled(WaveformClassifier):
        def configure_optimizers(self):
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": make(optimizer), "interval": interval}}

    return Scheduled


def decays(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


def test_a_schedule_is_followed_from_step_to_step(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert outcome.figures["schedule"] == "OneCycleLR each step"
    assert outcome.figures["rate_first"] < outcome.figures["rate_largest"] == pytest.approx(0.02, rel=0.05)
    assert outcome.figures["rate_last"] < outcome.figures["rate_first"]


def test_a_schedule_for_epochs_that_is_stepped_each_batch_is_broken(verdict):
    outcome = verdict(scheduled(decays, "step"))
    assert outcome.status == "broken"
    assert (
        "After one epoch of 2, ExponentialLR, stepped each step, has taken the learning rate from 0.1"
        in outcome.message
    )
    lines = Path(outcome.path).read_text(encoding="utf-8").splitlines()
    assert "def configure_optimizers" in lines[outcome.line - 1]


def test_the_same_schedule_stepped_each_epoch_is_met(verdict):
    outcome = verdict(scheduled(decays))
    assert (outcome.status, outcome.figures["rates"]) == ("met", 2)


def test_a_rate_that_is_negative_is_broken(verdict):
    outcome = verdict(
        scheduled(lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 - 2 * epoch))
    )
    assert outcome.status == "broken"
    assert "makes the learning rate -0.1 in step" in outcome.message


class Manual(WaveformClassifier):
    """Runs its optimizer itself."""

    def __init__(self, steps_scheduler):
        super().__init__()
        self.automatic_optimization = False
        self.steps_scheduler = steps_scheduler

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return [optimizer], [decays(optimizer)]

    def training_step(self, batch, batch_idx):
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.optimizers().zero_grad()
        self.manual_backward(loss)
        self.optimizers().step()

    def on_train_epoch_end(self):
        if self.steps_scheduler:
            self.lr_schedulers().step()


def test_a_scheduler_that_nobody_steps_is_broken(verdict):
    outcome = verdict(lambda: Manual(False))
    assert (outcome.status, "is never stepped" in outcome.message) == ("broken", True)
    assert verdict(lambda: Manual(True)).status == "met"


def test_a_constant_rate_is_not_judged(verdict):
    class Constant(WaveformClassifier):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    outcome = verdict(Constant)
    assert (outcome.status, "the rate is 0.1" in outcome.message) == ("not_applicable", True)
