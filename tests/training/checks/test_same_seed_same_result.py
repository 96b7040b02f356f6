import os

import pytest

from mlrules_mcp.training.checks.same_seed_same_result import TOLERANCE, SameSeedSameResult
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def noise():
    return int.from_bytes(os.urandom(4), "big") / 2**32


@pytest.fixture
def verdict(trials):
    def run(model, **data):
        return SameSeedSameResult().run(trials(model, **data))

    return run


def test_dropout_and_shuffling_follow_from_the_seed(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert outcome.figures == {
        "losses_apart": 0.0,
        "validation_apart": 0.0,
        "weights_apart": 0.0,
        "allowed": 0.0,
    }


def test_workers_that_load_the_data_follow_from_the_seed(verdict):
    assert verdict(WaveformClassifier, num_workers=1).status == "met"


def test_randomness_from_elsewhere_is_broken_at_its_first_step(verdict):
    class Unseeded(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss + noise() if self.global_step >= 2 else loss

    outcome = verdict(Unseeded)
    assert outcome.status == "broken"
    assert "the loss of step 3 is" in outcome.message
    assert outcome.figures["losses_apart"] > 0


def test_weights_that_part_behind_equal_losses_are_broken(verdict):
    class HiddenNoise(WaveformClassifier):
        def on_train_end(self):
            self.classifier.bias.data.add_(noise())

    outcome = verdict(HiddenNoise)
    assert outcome.status == "broken"
    assert "the weights of classifier.bias do not" in outcome.message


def test_validation_that_differs_behind_equal_weights_is_broken(verdict):
    class NoisyMetric(WaveformClassifier):
        def _evaluate(self, batch, name, metrics):
            self.log("val_accuracy", noise())

    outcome = verdict(NoisyMetric)
    assert outcome.status == "broken"
    assert "val_accuracy does not" in outcome.message


def test_a_different_number_of_steps_is_broken(verdict):
    lengths = iter([2, 1])

    class Stops(WaveformClassifier):
        def on_train_start(self):
            self.trainer.fit_loop.max_epochs = next(lengths)

    outcome = verdict(Stops)
    assert outcome.status == "broken"
    assert "one took 12 steps, the other 6" in outcome.message


def test_an_accelerator_is_allowed_the_stated_tolerance(trials):
    class Wavers(WaveformClassifier):
        def on_train_end(self):
            self.classifier.bias.data.mul_(1 + TOLERANCE / 2 * noise())

    on_cpu = trials(Wavers)
    assert SameSeedSameResult().run(on_cpu).status == "broken"
    on_cpu.device = "cuda"  # only the verdict asks for it: both trainings are done
    outcome = SameSeedSameResult().run(on_cpu)
    assert outcome.status == "met"
    assert "within 0.001 of the largest value" in outcome.message
