from pathlib import Path

import pytest
import torch

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.export_round_trip import ExportRoundTrip
from mlrules_mcp.training.errors import NotSimulatedError
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.simulated.device import NotSimulated
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(trials):
    def run(model):
        return ExportRoundTrip().run(trials(model, source=__file__))

    return run


def line_of(outcome):
    assert outcome.path == __file__
    return Path(__file__).read_text(encoding="utf-8").splitlines()[outcome.line - 1]


def test_a_model_of_tensors_comes_back_and_is_exported(verdict):
    outcome = verdict(WaveformClassifier)
    assert outcome.status == "met"
    assert (outcome.figures["outputs_apart"], outcome.figures["exported_apart"] < 1e-5) == (0.0, True)
    assert outcome.figures["exported_bytes"] > outcome.figures["state_bytes"] > 1000


def test_the_simulated_device_saves_and_exports_too(subject, tmp_path):
    trials = Trials(subject(WaveformClassifier), "simulated", seed=0, folder=tmp_path)
    with devices.made_present("simulated"):
        assert ExportRoundTrip().run(trials).status == "met"


def test_what_cannot_be_simulated_is_not_the_models_fault(subject, tmp_path):
    class Refused(WaveformClassifier):
        def forward(self, signals):
            if torch.compiler.is_compiling():
                raise NotSimulated("this")
            return super().forward(signals)

    trials = Trials(subject(Refused), "simulated", seed=0, folder=tmp_path)
    with devices.made_present("simulated"), pytest.raises(NotSimulatedError, match="not simulated: this"):
        ExportRoundTrip().run(trials)


def test_the_trained_model_is_left_in_its_mode(trials):
    looked_at = trials(WaveformClassifier)
    before = looked_at.first.model.training
    ExportRoundTrip().run(looked_at)
    assert looked_at.first.model.training == before


class Settings:
    """Nothing that weights_only lets through."""


def test_an_object_in_the_state_is_broken_with_what_to_do(verdict):
    class Keeps(WaveformClassifier):
        def get_extra_state(self):
            return Settings()

        def set_extra_state(self, state):
            pass

    outcome = verdict(Keeps)
    assert outcome.status == "broken"
    assert "does not load with weights_only=True" in outcome.message
    assert "Keep tensors and plain values alone" in outcome.message
    assert "class Keeps" in line_of(outcome)


def test_a_layer_that_training_adds_does_not_fit_into_a_fresh_model(verdict):
    class Grows(WaveformClassifier):
        def on_train_end(self):
            self.extra = torch.nn.Linear(2, 2)

    outcome = verdict(Grows)
    assert outcome.status == "broken"
    assert "does not fit into a fresh model" in outcome.message
    assert "extra.weight" in outcome.message


def test_state_outside_of_the_state_dict_is_broken(verdict):
    class Remembers(WaveformClassifier):
        scale = 1.0

        def on_train_end(self):
            self.scale = 2.0

        def forward(self, signals):
            return super().forward(signals) * self.scale

    outcome = verdict(Remembers)
    assert outcome.status == "broken"
    assert "some state is not in it" in outcome.message
    assert outcome.figures["outputs_apart"] > 0.1


def test_a_branch_on_values_is_not_exported_and_named_at_its_line(verdict):
    class Branches(WaveformClassifier):
        def forward(self, signals):
            if signals.mean() > 5:  # the line to name
                signals = signals - 5
            return super().forward(signals)

    outcome = verdict(Branches)
    assert outcome.status == "broken"
    assert outcome.message.startswith("torch.export does not capture forward: ")
    assert "the line to name" in line_of(outcome)


def test_a_value_that_export_freezes_is_broken(verdict):
    class Differs(WaveformClassifier):
        def forward(self, signals):
            logits = super().forward(signals)
            return logits * 2 if torch.compiler.is_compiling() else logits

    outcome = verdict(Differs)
    assert outcome.status == "broken"
    assert "gives other outputs" in outcome.message
    assert "def forward" in line_of(outcome)


def test_weights_alone_are_judged_where_no_input_is_known(verdict):
    class Direct(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            signals, classes = batch
            return torch.nn.functional.cross_entropy(self.classifier(self.features(signals)), classes)

    outcome = verdict(Direct)
    assert (outcome.status, "forward is not known to run" in outcome.message) == ("met", True)
    assert "exported_bytes" not in outcome.figures
