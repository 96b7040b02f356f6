from pathlib import Path

import pytest
import torch

from mlrules_mcp.training.checks.gradients_reach_parameters import GradientsReachParameters
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return GradientsReachParameters().run(trials(model))

    return run


def test_a_model_that_is_trained_throughout_is_met(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert outcome.figures["parameters"] == 8
    assert 0 < outcome.figures["smallest_norm"] < outcome.figures["largest_norm"]


def test_a_parameter_outside_of_the_graph_is_broken_where_it_is_made(verdict):
    class Unused(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.forgotten = torch.nn.Linear(3, 4)  # the line to name

    outcome = verdict(Unused)
    assert outcome.status == "broken"
    assert "forgotten.weight, forgotten.bias never got a gradient" in outcome.message
    assert outcome.figures["without_gradient"] == 2
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert outcome.path == __file__
    assert "the line to name" in lines[outcome.line - 1]


def test_a_detached_branch_is_broken_and_a_long_list_is_cut(verdict):
    class Detached(WaveformClassifier):
        def forward(self, signals):
            return self.classifier(self.features(signals).detach())

    outcome = verdict(Detached)
    assert outcome.status == "broken"
    assert outcome.figures["without_gradient"] == 6
    assert "features.0.weight" in outcome.message
    assert "and 1 more never got a gradient" in outcome.message


def test_a_parameter_frozen_on_purpose_does_not_count(verdict):
    class Frozen(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.features.requires_grad_(False)

    outcome = verdict(Frozen)
    assert (outcome.status, outcome.figures["parameters"]) == ("met", 2)


def test_a_gradient_that_is_always_zero_is_broken(verdict):
    class Dead(WaveformClassifier):
        def forward(self, signals):
            return super().forward(signals) + 0 * self.classifier.weight.sum() + self.tail(signals)

        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Linear(1, 4)

        def tail(self, signals):
            return 0 * self.scale(signals.mean(dim=2))

    outcome = verdict(Dead)
    assert outcome.status == "broken"
    assert "scale.weight, scale.bias got a gradient of zero at every step" in outcome.message
    assert (outcome.figures["always_zero"], outcome.figures["without_gradient"]) == (2, 0)


def test_a_gradient_that_is_not_finite_is_broken_though_the_loss_is(verdict):
    class RootOfZero(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss + (0 * self.classifier.bias).sqrt().sum() if self.global_step == 3 else loss

    outcome = verdict(RootOfZero)
    assert outcome.status == "broken"
    assert "steps: classifier.bias got a gradient that is not finite in step 4" in outcome.message
    assert outcome.figures["not_finite"] == 1


def test_a_parameter_that_is_used_now_and_then_is_fine(verdict):
    class Alternates(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.other = torch.nn.Linear(32, 4)

        def forward(self, signals):
            head = self.other if self.global_step % 2 else self.classifier
            return head(self.features(signals))

    outcome = verdict(Alternates)
    assert (outcome.status, outcome.figures["parameters"]) == ("met", 10)
    assert outcome.figures["smallest_norm"] > 0


def test_sparse_gradients_are_measured(verdict):
    class Looks(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(10, 4, sparse=True)

        def forward(self, signals):
            return super().forward(signals) + self.table(signals.new_zeros(len(signals)).long())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    outcome = verdict(Looks)
    assert (outcome.status, outcome.figures["parameters"]) == ("met", 9)


def test_a_model_without_parameters_to_train_is_not_judged(verdict):
    class AllFrozen(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.requires_grad_(False)

        def training_step(self, batch, batch_idx):
            return None

    assert verdict(AllFrozen).status == "not_applicable"


def test_an_optimizer_that_never_steps_is_broken(verdict):
    class NeverSteps(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

    outcome = verdict(NeverSteps)
    assert (outcome.status, outcome.message) == ("broken", "The optimizer never took a step.")
