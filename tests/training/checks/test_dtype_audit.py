from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mlrules_mcp.training.checks.dtype_audit import DtypeAudit
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return DtypeAudit().run(trials(model, source=__file__))

    return run


def line_of(outcome):
    assert outcome.path == __file__
    return Path(__file__).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


def test_a_model_in_float32_is_met(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert (outcome.figures["parameters"], outcome.figures["loss"]) == ("float32", "float32")
    assert outcome.figures["calls"] > 9


def test_a_layer_in_double_precision_is_named_where_it_is_assigned(verdict):
    class Doubled(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.exact = nn.Linear(4, 4).double()  # the line to name

        def forward(self, signals):
            return self.exact(super().forward(signals).double()).float()

    outcome = verdict(Doubled)
    assert outcome.status == "broken"
    assert outcome.message.startswith("Parameter exact.weight is float64; parameter exact.bias is float64")
    assert "the line to name" in line_of(outcome)


def test_a_buffer_out_of_numpy_is_named(verdict):
    class Scaled(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.from_numpy(np.ones(64)))

        def forward(self, signals):
            return super().forward((signals * self.scale).float())

    outcome = verdict(Scaled)
    assert (outcome.status, outcome.message) == ("broken", "Buffer scale is float64.")
    assert outcome.figures["faults"] == 1


def test_double_precision_on_the_way_is_named_at_its_line_and_only_there(verdict):
    class Window(WaveformClassifier):
        def forward(self, signals):
            window = torch.hann_window(64, dtype=torch.float64, device=signals.device)  # the line to name
            return super().forward((signals * window).float())

    outcome = verdict(Window)
    assert outcome.status == "broken"
    assert "A float64 tensor of shape (64,) is made in line" in outcome.message
    assert outcome.figures["faults"] == 1
    assert "the line to name" in line_of(outcome)


def test_an_array_of_numpy_is_named_where_it_meets_a_tensor(verdict):
    window = np.hanning(64)

    class Window(WaveformClassifier):
        def forward(self, signals):
            values = torch.from_numpy(window)
            return super().forward((signals * values).float())

    outcome = verdict(Window)
    assert outcome.status == "broken"
    assert "signals * values" in line_of(outcome)


def test_a_batch_in_double_precision_is_named(verdict):
    class Widens(WaveformClassifier):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return [batch[0].double(), batch[1]] if self.trainer.training else batch

        def forward(self, signals):
            return super().forward(signals.float())

    outcome = verdict(Widens)
    assert (outcome.status, outcome.message) == ("broken", "Batch[0] is float64.")


def test_a_loss_in_double_precision_is_broken(verdict):
    class Exact(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx).double()

    outcome = verdict(Exact)
    assert (outcome.status, outcome.message) == ("broken", "The loss is float64.")
    assert "def training_step" in line_of(outcome)


def test_half_precision_without_autocast_is_broken(verdict):
    class Rounds(WaveformClassifier):
        def forward(self, signals):
            return super().forward(signals).bfloat16()  # the line to name

    outcome = verdict(Rounds)
    assert outcome.status == "broken"
    assert "bfloat16 tensor of shape (32, 4)" in outcome.message
    assert "the line to name" in line_of(outcome)


def test_autocast_and_a_model_in_half_precision_throughout_are_meant_so(verdict):
    class Autocast(WaveformClassifier):
        def forward(self, signals):
            with torch.autocast(signals.device.type, torch.bfloat16):
                logits = super().forward(signals)
            return logits.float()

    assert verdict(Autocast).status == "met"

    class Half(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.bfloat16()

        def forward(self, signals):
            return super().forward(signals.bfloat16()).float()

    outcome = verdict(Half)
    assert (outcome.status, outcome.figures["parameters"]) == ("met", "bfloat16")


def test_one_layer_in_half_precision_is_broken(verdict):
    class Mixed(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.classifier.bfloat16()

        def forward(self, signals):
            return self.classifier(self.features(signals).to(self.classifier.weight.dtype)).float()

    outcome = verdict(Mixed)
    assert outcome.status == "broken"
    assert "Parameter classifier.weight is bfloat16" in outcome.message
