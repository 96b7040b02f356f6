from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from mlrules_mcp.training import devices
from mlrules_mcp.training.checks.sync_count import SyncCount
from mlrules_mcp.training.sample import WaveformClassifier
from mlrules_mcp.training.trials import Trials

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def verdict(subject, tmp_path):
    def run(model, device="simulated"):
        with devices.made_present(device):
            return SyncCount().run(Trials(subject(model, source=__file__, examples=96), device, 0, tmp_path))

    return run


class Step(WaveformClassifier):
    """Does something with the loss in each step."""

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.look_at(loss, batch_idx)
        return loss


def lines_of(outcome):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return lines[outcome.line - 1]


def test_a_step_that_leaves_values_on_the_device_is_met(verdict):
    class Kept(Step):
        def look_at(self, loss, batch_idx):
            self.log("loss", loss.detach())

    outcome = verdict(Kept)
    assert outcome.status == "met"
    assert set(outcome.figures.values()) == {0}


def test_every_way_of_reading_a_value_in_each_step_is_broken(verdict):
    class Read(Step):
        def look_at(self, loss, batch_idx):
            loss.item()  # the first line
            float(loss)
            print(loss)
            f"{loss:.3f}"
            loss.detach().cpu().numpy()
            loss.tolist()
            loss.to("cpu")
            torch.zeros(()).copy_(loss.detach())

    outcome = verdict(Read)
    assert (outcome.status, outcome.figures["float_reads_per_step"]) == ("broken", 8)
    assert "the first line" in lines_of(outcome)


def test_each_line_is_named_with_what_it_does(verdict):
    class Reads(Step):
        def look_at(self, loss, batch_idx):
            self.log("item", loss.item())  # the first line
            self.log_dict({"a": loss.cpu(), "b": loss.cpu()})

    outcome = verdict(Reads)
    assert "Every step waits for the device 3 times" in outcome.message
    assert f"is read as a number in line {outcome.line}" in outcome.message
    assert f"is copied to the CPU in line {outcome.line + 1}" in outcome.message


def test_a_value_read_now_and_then_is_met(verdict):
    class Seldom(Step):
        def look_at(self, loss, batch_idx):
            if batch_idx % 2 == 0:
                print(loss.item())

    assert verdict(Seldom).status == "met"


def test_what_does_not_wait_for_the_copy_is_met(verdict):
    class Ahead(Step):
        def look_at(self, loss, batch_idx):
            self.copied = loss.detach().to("cpu", non_blocking=True)

    outcome = verdict(Ahead)
    assert (outcome.status, outcome.figures["other_syncs_per_step"]) == ("met", 0)


def test_conditions_integers_and_shapes_are_counted_and_not_broken(verdict):
    class Chooses(Step):
        def look_at(self, loss, batch_idx):
            if loss > 1e9:
                raise ValueError
            values = torch.ones(4, device=self.device)
            _ = values[values > 0], values.nonzero(), int(values.argmax())

    outcome = verdict(Chooses)
    assert (outcome.status, outcome.figures["other_syncs_per_step"]) == ("met", 4)
    assert "waits 4 times for integers, conditions or shapes" in outcome.message


def test_what_a_library_reads_is_not_the_models_fault(verdict):
    # A file that is none of the model's source reads the value.
    code = compile("def read(loss):\n    return loss.item()", "library.py", "exec")
    library = {}
    exec(code, library)

    class Calls(Step):
        def look_at(self, loss, batch_idx):
            library["read"](loss)

    outcome = verdict(Calls)
    assert (outcome.status, outcome.figures["library_syncs_per_step"]) == ("met", 1)


def test_the_cpu_is_not_waited_for(verdict):
    assert verdict(WaveformClassifier, device="cpu").status == "not_applicable"


def test_an_error_in_the_third_step_leaves_nothing_behind(verdict):
    class Fails(Step):
        trained = 0

        def look_at(self, loss, batch_idx):
            Fails.trained += 1
            if Fails.trained > 8:  # the first training takes six steps
                raise ValueError("later")

    assert verdict(Fails).status == "not_applicable"
    assert _get_current_dispatch_mode_stack() == []
