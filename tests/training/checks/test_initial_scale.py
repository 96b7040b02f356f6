import math
from pathlib import Path

import pytest
import torch
from torch import nn

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.initial_scale import InitialScale
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(subject, tmp_path):
    def run(model, device="cpu"):
        with devices.made_present(device):
            trials = Trials(subject(model, source=__file__, examples=64), device, seed=0, folder=tmp_path)
            return InitialScale().run(trials)

    return run


class Deep(WaveformClassifier):
    """A stack of linear layers; what `begin` does to them decides."""

    activation: type[nn.Module] = nn.ReLU

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(10))  # the layers
        self.head = nn.Linear(64, 4)
        self.act = self.activation()
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.begin()

    def begin(self):
        pass

    def forward(self, signals):
        values = signals.flatten(1)
        for layer in self.layers:
            values = self.act(layer(values))
        return self.head(values)


def line_of(outcome):
    return Path(outcome.path).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


@pytest.mark.parametrize("device", ["cpu", "simulated"])
def test_layers_that_keep_the_scale_are_met_and_the_loss_stands_beside_chance(verdict, device):
    outcome = verdict(WaveformClassifier, device)
    assert outcome.status == "met"
    assert 1 < outcome.figures["activation_factor"] < 100
    assert outcome.figures["loss_of_chance"] == pytest.approx(math.log(4))
    assert outcome.figures["loss"] == pytest.approx(math.log(4), rel=0.3)


def test_a_deep_stack_that_keeps_the_scale_is_met(verdict):
    assert verdict(Deep).status == "met"


@pytest.mark.parametrize("scale", [0.01, 3.0])
def test_values_that_vanish_or_explode_with_depth_are_broken(verdict, scale):
    class Scaled(Deep):
        def begin(self):
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=scale)
                nn.init.zeros_(layer.bias)

    outcome = verdict(Scaled)
    assert outcome.status == "broken"
    assert outcome.figures["activation_factor"] > 1e4
    assert "the layers" in line_of(outcome) or "self.head" in line_of(outcome)


def test_gradients_that_vanish_in_saturated_units_are_broken(verdict):
    class Saturated(Deep):
        activation = nn.Sigmoid

        def begin(self):
            for layer in self.layers:
                nn.init.normal_(layer.weight, std=0.02)

    outcome = verdict(Saturated)
    assert outcome.status == "broken"
    assert outcome.figures["gradient_factor"] > 1e6
    assert "gradient to weight is" in outcome.message


def test_a_relu_that_lets_nothing_through_is_broken(verdict):
    class Dead(Deep):
        def begin(self):
            nn.init.constant_(self.layers[3].bias, -1e3)

    outcome = verdict(Dead)
    assert outcome.status == "broken"
    assert "act returns zeros alone" in outcome.message


def test_units_that_are_all_the_same_are_broken(verdict):
    class Same(Deep):
        def begin(self):
            for layer in self.layers:
                nn.init.constant_(layer.weight, 0.02)
                nn.init.zeros_(layer.bias)

    outcome = verdict(Same)
    assert outcome.status == "broken"
    assert "All units of layers.0.weight have the same weights and gradients" in outcome.message
    assert "the layers" in line_of(outcome)


def test_equal_units_that_the_next_layer_tells_apart_are_met(verdict):
    class Apart(Deep):
        def begin(self):
            nn.init.constant_(self.layers[0].weight, 0.02)

    assert verdict(Apart).status == "met"


def test_a_layer_that_overflows_is_named(verdict):
    class Overflows(WaveformClassifier):
        def __init__(self):
            super().__init__()
            nn.init.constant_(self.classifier.weight, math.inf)

    outcome = verdict(Overflows)
    assert outcome.status == "broken"
    assert "classifier returns values that are not finite" in outcome.message
    assert "self.classifier =" in line_of(outcome)


def test_a_last_layer_that_begins_at_zero_on_purpose_is_met(verdict):
    class ZeroHead(Deep):
        def begin(self):
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    outcome = verdict(ZeroHead)
    assert outcome.status == "met"
    assert outcome.figures["loss"] == pytest.approx(math.log(4))


def test_branches_that_are_scaled_down_on_purpose_are_met(verdict):
    class LayerScale(Deep):
        def begin(self):
            self.scale = nn.Parameter(torch.full((64,), 1e-6))

        def forward(self, signals):
            values = signals.flatten(1)
            for layer in self.layers:
                values = values + self.scale * self.act(layer(values * 1e-4))
            return self.head(values)

    outcome = verdict(LayerScale)
    assert outcome.status == "met"
    assert outcome.figures["gradient_factor"] > 1e6
