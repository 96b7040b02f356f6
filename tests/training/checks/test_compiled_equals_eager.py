from pathlib import Path

import pytest
import torch

from mlrules_mcp.training.checks.compiled_equals_eager import CompiledEqualsEager
from mlrules_mcp.training.errors import NotSimulatedError
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return CompiledEqualsEager().run(trials(model, source=__file__))

    return run


def line_of(outcome):
    assert outcome.path == __file__
    return Path(__file__).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


def test_a_model_that_is_captured_whole_is_met(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert outcome.figures["graphs"] == 1
    assert "in one graph" in outcome.message


def test_a_break_in_the_graph_is_counted(verdict):
    class Breaks(WaveformClassifier):
        def forward(self, signals):
            features = self.features(signals)
            torch._dynamo.graph_break()
            return self.classifier(features)

    outcome = verdict(Breaks)
    assert outcome.status == "met"
    assert outcome.figures["graphs"] == 2


def test_something_else_while_compiled_is_broken_at_forward(verdict):
    class Differs(WaveformClassifier):
        def forward(self, signals):
            logits = super().forward(signals)
            return logits * 2 if torch.compiler.is_compiling() else logits

    outcome = verdict(Differs)
    assert outcome.status == "broken"
    assert outcome.figures["outputs_apart"] == pytest.approx(1, abs=0.01)
    assert "def forward" in line_of(outcome)


def test_what_raises_while_compiled_is_broken_at_its_line(verdict):
    class Raises(WaveformClassifier):
        def forward(self, signals):
            if torch.compiler.is_compiling():
                signals = signals @ signals  # the line to name
            return super().forward(signals)

    outcome = verdict(Raises)
    assert outcome.status == "broken"
    assert outcome.message.startswith("Compiled with torch.compile, forward raises ")
    assert "the line to name" in line_of(outcome)


def test_noise_from_the_seed_is_the_same_in_both(verdict):
    class Noisy(WaveformClassifier):
        def forward(self, signals):
            return super().forward(signals + torch.randn_like(signals))

    assert verdict(Noisy).status == "met"


def test_outputs_that_never_agree_are_not_judged(verdict):
    class Counts(WaveformClassifier):
        calls = 0

        def forward(self, signals):
            self.calls += 1
            return super().forward(signals) + self.calls

    outcome = verdict(Counts)
    assert (outcome.status, outcome.message) == ("not_applicable", "forward gives other outputs at each call.")


def test_the_example_input_stands_in_where_the_step_does_not_call_forward(verdict):
    class Direct(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            signals, classes = batch
            return torch.nn.functional.cross_entropy(self.classifier(self.features(signals)), classes)

    outcome = verdict(Direct)
    assert (outcome.status, "example_input_array" in outcome.message) == ("not_applicable", True)

    class WithExample(Direct):
        def __init__(self):
            super().__init__()
            self.example_input_array = torch.zeros(2, 1, 64)

    assert verdict(WithExample).status == "met"


def test_nothing_is_compiled_on_the_simulated_device(subject, tmp_path):
    trials = Trials(subject(WaveformClassifier), "simulated", seed=0, folder=tmp_path)
    with pytest.raises(NotSimulatedError, match=r"not simulated: torch\.compile"):
        CompiledEqualsEager().run(trials)
