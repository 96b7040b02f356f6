from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.precision_agreement import PrecisionAgreement
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return PrecisionAgreement().run(trials(model, source=__file__))

    return run


def test_a_model_of_sound_scales_is_met_in_spite_of_dropout(verdict):
    outcome = verdict(lambda: WaveformClassifier(dropout=0.5))
    assert outcome.status == "met"
    assert 0 < outcome.figures["loss_apart"] < 0.05
    assert 0.9 < outcome.figures["gradient_cosine"] < 1


def test_large_numbers_that_cancel_out_are_broken(verdict):
    class Cancels(WaveformClassifier):
        def forward(self, signals):
            features = self.features(signals)
            return self.classifier(features + 300.0) - self.classifier(torch.full_like(features, 300.0))

    outcome = verdict(Cancels)
    assert outcome.status == "broken"
    assert "look for large numbers that cancel out" in outcome.message
    lines = Path(outcome.path).read_text(encoding="utf-8").splitlines()
    assert "def training_step" in lines[outcome.line - 1]


def test_what_does_not_run_under_autocast_is_broken_at_its_line(verdict):
    class Refuses(WaveformClassifier):
        def forward(self, signals):
            logits = super().forward(signals)
            return logits.index_add(0, torch.tensor([0]), torch.zeros(1, 4))  # the line to name

    outcome = verdict(Refuses)
    assert outcome.status == "broken"
    assert outcome.message.startswith("Under autocast to bfloat16 the step raises ")
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert outcome.path == __file__
    assert "the line to name" in lines[outcome.line - 1]


def test_what_autocast_refuses_on_accelerators_is_found_without_one(subject, tmp_path):
    class Probabilities(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            signals, classes = batch
            wanted = nn.functional.one_hot(classes, 4).float()
            return nn.functional.binary_cross_entropy(self(signals).sigmoid(), wanted)

    trials = Trials(subject(Probabilities, source=__file__), "simulated", seed=0, folder=tmp_path)
    with devices.made_present("simulated"):
        outcome = PrecisionAgreement().run(trials)
    assert outcome.status == "broken"
    assert "unsafe to autocast" in outcome.message


def test_noise_that_is_the_same_in_both_precisions_is_judged(verdict):
    class Noisy(WaveformClassifier):
        def forward(self, signals):
            return super().forward(signals + torch.randn_like(signals))

    assert verdict(Noisy).status == "met"


def test_draws_that_differ_between_the_precisions_are_not_judged(verdict):
    class Draws(WaveformClassifier):
        def forward(self, signals):
            logits = super().forward(signals)
            torch.rand(3 if logits.dtype == torch.bfloat16 else 4)
            return logits * torch.randn_like(logits, dtype=torch.float32)

    outcome = verdict(Draws)
    assert (outcome.status, "random numbers" in outcome.message) == ("not_applicable", True)


def test_parameters_in_another_precision_are_not_judged(verdict):
    class Half(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.bfloat16()

        def forward(self, signals):
            return super().forward(signals.bfloat16()).float()

    assert verdict(Half).status == "not_applicable"


def on_simulated(subject, folder, model):
    trials = Trials(subject(model, source=__file__), "simulated", seed=0, folder=folder)
    with devices.made_present("simulated"):
        return PrecisionAgreement().run(trials)


def test_float16_is_told_on_accelerators_with_the_scale_that_fits(subject, tmp_path):
    class Steep(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * 16

    outcome = on_simulated(subject, tmp_path, Steep)
    assert outcome.status == "met"
    assert outcome.figures["gradient_cosine_float16"] > 0.99
    assert 1 <= outcome.figures["loss_scale_float16"] < 2**16
    assert "In float16, scaled by" in outcome.message


def test_what_overflows_in_float16_alone_is_told_and_not_broken(subject, tmp_path):
    class Large(WaveformClassifier):
        def forward(self, signals):
            return self.classifier(self.features(signals) * 1e5) / 1e5

    outcome = on_simulated(subject, tmp_path, Large)
    assert outcome.status == "met"
    assert "In float16 the loss is not finite" in outcome.message
