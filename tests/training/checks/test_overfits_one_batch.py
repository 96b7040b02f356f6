from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training.checks.overfits_one_batch import OverfitsOneBatch
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return OverfitsOneBatch().run(trials(model, source=__file__))

    return run


def test_a_model_that_learns_is_met_as_soon_as_the_loss_is_half(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert outcome.figures["loss_after"] <= outcome.figures["loss_before"] / 2
    assert 0 < outcome.figures["steps"] < 60


def test_a_softmax_before_the_cross_entropy_is_broken_at_the_training_step(verdict):
    class Twice(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            signals, classes = batch
            return nn.functional.cross_entropy(self(signals).softmax(dim=1), classes)

    outcome = verdict(Twice)
    assert outcome.status == "broken"
    assert outcome.figures["loss_after"] > 0.5 * outcome.figures["loss_before"]
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert "def training_step" in lines[outcome.line - 1]


def test_a_model_that_does_not_look_at_its_input_is_broken(verdict):
    class Blind(WaveformClassifier):
        def forward(self, signals):
            return super().forward(torch.zeros_like(signals))

    assert verdict(Blind).status == "broken"


def test_noise_in_the_training_step_is_learnt_with_the_batch(verdict):
    class Noisy(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            signals, _ = batch
            noise = torch.randn_like(signals)
            return nn.functional.mse_loss(self(signals + noise), torch.randn(len(signals), 4))

    assert verdict(Noisy).status == "met"


def test_a_loss_below_zero_has_to_fall_further(verdict):
    class Negative(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx).clamp(min=1.0) - 3.0

    assert verdict(Negative).status == "broken"

    class Falls(Negative):
        def training_step(self, batch, batch_idx):
            return WaveformClassifier.training_step(self, batch, batch_idx) - 2.0

    assert verdict(Falls).status == "met"


def test_a_model_that_steps_its_optimizers_itself_is_not_judged(verdict):
    class Manual(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

    outcome = verdict(Manual)
    assert (outcome.status, outcome.message) == ("not_applicable", "The training step runs its optimizers itself.")


def test_a_model_without_a_loss_is_not_judged(verdict):
    class Silent(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return None

    assert verdict(Silent).status == "not_applicable"


def test_sparse_gradients_are_followed(verdict):
    class Looks(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(10, 4, sparse=True)

        def forward(self, signals):
            return super().forward(signals) + self.table(signals.new_zeros(len(signals)).long())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    assert verdict(Looks).status == "met"


def test_a_loss_whose_parts_work_against_each_other_is_not_judged(verdict):
    class Adversarial(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.generator, self.critic = (
                nn.Linear(8, 64),
                nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 1)),
            )

        def training_step(self, batch, batch_idx):
            real = batch[0].flatten(1)
            fake = self.generator(torch.randn(len(real), 8))
            softplus = nn.functional.softplus
            critic = softplus(-self.critic(real)).mean() + softplus(self.critic(fake.detach())).mean()
            return critic + softplus(-self.critic(fake)).mean() + self.classifier.weight.sum() * 0 + 2.0

    outcome = verdict(Adversarial)
    assert outcome.status == "not_applicable", outcome.figures
    assert "work against each other" in outcome.message


def test_a_model_with_too_few_parameters_is_not_judged(verdict):
    class Tiny(WaveformClassifier):
        def __init__(self):
            super().__init__()
            for value in self.parameters():
                value.requires_grad = False
            self.guess = nn.Parameter(torch.zeros(1))

        def training_step(self, batch, batch_idx):
            wanted = torch.tensor([2.0, 4.0, 2.0, 4.0])[batch[1]]
            return nn.functional.mse_loss(self.guess.expand(len(wanted)), wanted)

    outcome = verdict(Tiny)
    assert (outcome.status, "1 parameters are too few to learn 32 values" in outcome.message) == (
        "not_applicable",
        True,
    )
