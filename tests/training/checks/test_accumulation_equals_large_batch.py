from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training.checks.accumulation_equals_large_batch import AccumulationEqualsLargeBatch
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


class GroupNormed(WaveformClassifier):
    """The sample without statistics of the batch."""

    def __init__(self):
        super().__init__(dropout=0.5)
        for place, layer in enumerate(self.features):
            if isinstance(layer, nn.BatchNorm1d):
                self.features[place] = nn.GroupNorm(4, layer.num_features)


@pytest.fixture
def verdict(trials):
    def run(model, **data):
        return AccumulationEqualsLargeBatch().run(trials(model, **data))

    return run


def test_a_mean_over_examples_is_met_in_spite_of_dropout(verdict):
    outcome = verdict(GroupNormed)
    assert outcome.status == "met"
    assert outcome.figures["apart"] < 1e-5


def test_an_odd_example_is_left_out(verdict):
    assert verdict(GroupNormed, batch_size=31).status == "met"


def test_a_sum_over_examples_is_broken_at_the_training_step(verdict):
    class Sums(GroupNormed):
        def training_step(self, batch, batch_idx):
            signals, classes = batch
            return nn.functional.cross_entropy(self(signals), classes, reduction="sum")

    outcome = verdict(Sums)
    assert outcome.status == "broken"
    assert "sums over the examples" in outcome.message
    assert outcome.figures["apart"] == pytest.approx(0.5, abs=0.01)
    assert "def training_step" in Path(__file__).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


def test_a_mean_over_what_is_not_padding_is_broken(verdict):
    class Masked(GroupNormed):
        def training_step(self, batch, batch_idx):
            signals, classes = batch
            classes = classes.masked_fill(torch.arange(len(classes)) > 20, 0)
            return nn.functional.cross_entropy(self(signals), classes, ignore_index=0)

    outcome = verdict(Masked)
    assert outcome.status == "broken"
    assert "depends on the rest of the batch" in outcome.message


def test_batch_norms_are_not_judged(verdict):
    outcome = verdict(WaveformClassifier)
    assert (outcome.status, "2 batch norms" in outcome.message) == ("not_applicable", True)


def test_draws_of_the_training_step_are_not_judged(verdict):
    class Noisy(GroupNormed):
        def forward(self, signals):
            return super().forward(signals + torch.randn_like(signals))

    outcome = verdict(Noisy)
    assert (outcome.status, "random numbers" in outcome.message) == ("not_applicable", True)


def test_a_batch_that_cannot_be_cut_is_not_judged(verdict):
    class Named(GroupNormed):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return [*batch, "a name"]

        def training_step(self, batch, batch_idx):
            return super().training_step(batch[:2], batch_idx)

        def _evaluate(self, batch, name, metrics):
            self.log("val_accuracy", 0.5)

    outcome = verdict(Named)
    assert (outcome.status, "tensors alone" in outcome.message) == ("not_applicable", True)


def test_a_gradient_of_nothing_is_not_judged(verdict):
    class Flat(GroupNormed):
        def training_step(self, batch, batch_idx):
            return 0 * super().training_step(batch, batch_idx)

    assert verdict(Flat).status == "not_applicable"
