from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.peak_memory import PeakMemory
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(subject, tmp_path):
    def run(model, device="cpu"):
        with devices.made_present(device):
            trials = Trials(subject(model, source=__file__, examples=64), device, seed=0, folder=tmp_path)
            return PeakMemory().run(trials)

    return run


class Blocks(WaveformClassifier):
    """Four blocks, each of which keeps the values between its layers for the way back."""

    def __init__(self):
        super().__init__()
        block = [nn.Linear(64, 64, bias=False), nn.Tanh(), nn.Linear(64, 64, bias=False), nn.Tanh()]
        self.blocks = nn.ModuleList(nn.Sequential(*block) for _ in range(4))
        self.head = nn.Linear(64, 4)

    def forward(self, signals):
        values = signals.flatten(1)
        for block in self.blocks:
            values = block(values)
        return self.head(values)


def test_what_a_step_keeps_is_counted_to_the_byte(verdict):
    outcome = verdict(Blocks)
    assert outcome.status == "met"
    # Each tanh keeps its output of 32 examples and 64 features, the loss its scores of 4 classes and one number. A
    # checkpointed block keeps its input; that of the first one is the batch, and the head keeps the last output.
    activation, scores = 32 * 64 * 4, 32 * 4 * 4
    assert outcome.figures["saved_float32_kib"] == pytest.approx((8 * activation + scores + 4) / 1024)
    assert outcome.figures["saved_checkpointed_kib"] == pytest.approx((4 * activation + scores + 4) / 1024)
    assert outcome.figures["saved_bfloat16_kib"] > 0
    assert outcome.figures["tensors_kept_per_step"] == 0


def test_the_count_is_the_same_on_the_simulated_device(verdict):
    on_cpu, simulated = (verdict(partial(WaveformClassifier, dropout=0.0), device) for device in ("cpu", "simulated"))
    names = ("parameters_and_buffers_kib", "saved_float32_kib", "saved_checkpointed_kib")
    assert [simulated.figures[name] for name in names] == [on_cpu.figures[name] for name in names]


@pytest.mark.parametrize("device", ["cpu", "simulated"])
def test_outputs_collected_with_their_graph_are_broken_at_the_line_that_made_them(verdict, device):
    class Collects(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.losses = []

        def training_step(self, batch, batch_idx):
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])  # the line to name
            self.losses.append(loss)
            return loss

    outcome = verdict(Collects, device)
    assert (outcome.status, outcome.figures["tensors_kept_per_step"]) == ("broken", 1)
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert "the line to name" in lines[outcome.line - 1]


def test_outputs_collected_without_their_graph_are_met(verdict):
    class Collects(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.losses = []

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.losses.append(loss.detach())
            return loss

    assert verdict(Collects).status == "met"


def test_the_last_loss_alone_is_no_growth(verdict):
    class Remembers(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            self.last = super().training_step(batch, batch_idx)
            return self.last

    assert verdict(Remembers).status == "met"


def test_a_model_that_autocast_refuses_is_counted_in_float32_alone(verdict):
    class Refuses(WaveformClassifier):
        def forward(self, signals):
            return super().forward(signals).index_add(0, torch.tensor([0]), torch.zeros(1, 4))

    outcome = verdict(Refuses)
    assert outcome.status == "met"
    assert "saved_bfloat16_kib" not in outcome.figures
