from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.time_split import TimeSplit
from mlrules_mcp.training.errors import NotSimulatedError
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")

PARTS = ("data_percent", "forward_percent", "backward_percent", "optimizer_percent")


@pytest.fixture
def verdict(trials):
    def run(model, **data):
        return TimeSplit().run(trials(model, source=__file__, **{"examples": 64} | data))

    return run


class Slow(WaveformClassifier):
    """Multiplies large matrices in one line of the forward pass, without a gradient."""

    def forward(self, signals):
        with torch.no_grad():
            wide = torch.ones(600, 600)
            wide = wide @ wide @ wide @ wide  # the line to name
        return super().forward(signals) + 0 * wide.sum()


def test_the_slowest_line_operator_and_part_are_named(verdict):
    outcome = verdict(Slow)
    assert outcome.status == "met"
    assert outcome.figures["step_ms"] > 0
    assert sum(outcome.figures[part] for part in PARTS) == pytest.approx(100, abs=2)
    assert max(PARTS, key=outcome.figures.__getitem__) == "forward_percent"
    assert outcome.figures["operator_1"].startswith("mm ")
    lines = Path(outcome.path).read_text(encoding="utf-8").splitlines()
    assert "the line to name" in lines[outcome.line - 1]


def test_steps_that_run_their_optimizer_themselves_are_split_too(verdict):
    class Manual(WaveformClassifier):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.optimizers().zero_grad()
            self.manual_backward(loss)
            self.optimizers().step()

    outcome = verdict(Manual)
    assert (outcome.status, "runs its optimizers itself" in outcome.message) == ("met", True)
    assert outcome.figures["backward_percent"] > 0


def test_one_step_alone_is_not_timed(verdict):
    outcome = verdict(WaveformClassifier, examples=20)
    assert outcome.status == "not_applicable"


def test_the_time_of_a_simulated_device_is_not_told(subject, tmp_path):
    with devices.made_present("simulated"), pytest.raises(NotSimulatedError):
        TimeSplit().run(Trials(subject(WaveformClassifier), "simulated", 0, tmp_path))
