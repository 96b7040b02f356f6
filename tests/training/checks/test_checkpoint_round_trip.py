from pathlib import Path

import pytest

from mlrules_mcp.training.checks.checkpoint_round_trip import CheckpointRoundTrip
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(make):
        return CheckpointRoundTrip().run(trials(make))

    return run


def test_a_model_that_saves_its_arguments_comes_back(verdict):
    outcome = verdict(lambda: WaveformClassifier(channels=8))
    assert (outcome.status, outcome.figures["outputs_apart"]) == ("met", 0.0)
    assert outcome.figures["checkpoint_bytes"] > 1000
    assert "equal weights and predictions" in outcome.message


def test_arguments_that_were_not_saved_are_broken_with_what_to_do(verdict):
    class Forgets(WaveformClassifier):
        def __init__(self, width):
            super().__init__(channels=width)
            self.hparams.clear()

    outcome = verdict(lambda: Forgets(8))
    assert outcome.status == "broken"
    assert "TypeError" in outcome.message
    assert "self.save_hyperparameters()" in outcome.message
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert lines[outcome.line - 1].strip() == "class Forgets(WaveformClassifier):"


def test_arguments_that_fall_back_to_other_values_are_broken(verdict):
    class FallsBack(WaveformClassifier):
        def __init__(self, width=16):
            super().__init__(channels=width)
            self.hparams.clear()

    outcome = verdict(lambda: FallsBack(8))
    assert outcome.status == "broken"
    assert "size mismatch" in outcome.message
    assert "save_hyperparameters" in outcome.message


def test_state_outside_of_the_checkpoint_is_broken(verdict):
    class Remembers(WaveformClassifier):
        scale = 1.0

        def on_train_batch_end(self, outputs, batch, batch_idx):
            self.scale += 0.1

        def forward(self, signals):
            return super().forward(signals) * self.scale

    outcome = verdict(Remembers)
    assert outcome.status == "broken"
    assert "equal weights and predicts something else" in outcome.message
    assert outcome.figures["weights_apart"] == 0.0
    assert outcome.figures["outputs_apart"] > 0


def test_weights_changed_while_loading_are_broken(verdict):
    class Resets(WaveformClassifier):
        def on_load_checkpoint(self, checkpoint):
            checkpoint["state_dict"]["classifier.bias"].zero_()

    outcome = verdict(Resets)
    assert outcome.status == "broken"
    assert "classifier.bias of the loaded checkpoint" in outcome.message


def test_a_model_that_does_not_predict_is_judged_by_its_weights(verdict):
    class NoPredictions(WaveformClassifier):
        def predict_step(self, batch, batch_idx):
            raise NotImplementedError

    outcome = verdict(NoPredictions)
    assert outcome.status == "met"
    assert "weights; predict_step raised NotImplementedError" in outcome.message
