import json
import sys
import threading
from dataclasses import replace

import pytest

from mlrules_mcp.training import battery, devices
from mlrules_mcp.training.checks import TrainingCheck
from mlrules_mcp.training.checks.trains_on_every_device import TrainsOnEveryDevice
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def there(monkeypatch):
    """Says which devices are there."""

    def say(*names):
        monkeypatch.setattr(devices, "present", lambda: names)

    return say


def test_every_device_that_is_there_is_chosen_by_default(there):
    there("cpu", "cuda")
    assert battery.choose_devices("auto") == ("cpu", "cuda")
    assert battery.choose_devices("all") == ("cpu", "cuda", "simulated")
    assert battery.choose_devices("cuda") == ("cuda",)


def test_the_simulated_device_stands_in_where_there_is_no_accelerator(there):
    there("cpu")
    assert battery.choose_devices("auto") == ("cpu", "simulated")
    assert battery.choose_devices("cpu") == ("cpu",)
    assert battery.choose_devices("simulated") == ("simulated",)


def test_a_device_that_is_absent_is_an_error_that_names_the_present_ones(there):
    there("cpu", "xpu")
    with pytest.raises(TrainingError, match=r"no cuda device .* Present: cpu, xpu\.") as caught:
        battery.choose_devices("cuda")
    assert caught.value.reason == "device-absent"


def test_a_model_that_cannot_be_made_is_broken_once_and_no_crash(subject, tmp_path):
    made = []

    def fail():
        made.append(1)
        raise ValueError("no such layer\nof this name")

    result = battery.run_battery("cpu", seed=0, folder=tmp_path, subject=subject(fail))
    statuses = {outcome.check: outcome.status for outcome in result.checks}
    assert statuses.pop("trains-on-every-device") == "broken"
    assert set(statuses.values()) == {"not_applicable"}
    assert len(made) == 1
    assert result.parameters is None
    assert result.devices[0].losses == ()
    assert result.devices[0].name
    messages = [outcome.message for outcome in result.broken]
    assert messages == ["Training on cpu raised ValueError: no such layer of this name"]


def test_losses_that_are_not_finite_still_give_strict_json(subject, tmp_path):
    class NeverFinite(WaveformClassifier):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * float("nan")

    result = battery.run_battery("cpu", seed=0, folder=tmp_path, subject=subject(NeverFinite))
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert json.loads(text)["devices"][0]["losses"][0] is None


def test_long_curves_are_thinned_out_and_keep_their_ends(subject, tmp_path):
    longer = replace(subject(WaveformClassifier), epochs=8)
    device = battery.run_battery("cpu", seed=0, folder=tmp_path, subject=longer).devices[0]
    assert device.steps == 48
    assert len(device.losses) == battery.CURVE_POINTS
    assert device.losses[-1] < device.losses[0]


def test_slow_checks_are_left_to_full_runs_and_run_on_the_first_device_if_once_is_enough(
    subject, tmp_path, monkeypatch
):
    class Slow(TrainingCheck):
        name, rule, slow, once = "slow", "block.rule", True, True

        def run(self, trials):
            return self.outcome(trials, "met", "")

    monkeypatch.setattr(battery, "all_checks", lambda: (Slow(), TrainsOnEveryDevice()))
    monkeypatch.setattr(battery, "choose_devices", lambda requested: ("cpu", "simulated"))

    def ran(full):
        result = battery.run_battery("auto", seed=0, folder=tmp_path, full=full, subject=subject(WaveformClassifier))
        return [(outcome.device, outcome.check) for outcome in result.checks]

    quick = [("cpu", TrainsOnEveryDevice.name), ("simulated", TrainsOnEveryDevice.name)]
    assert ran(full=False) == quick
    assert ran(full=True) == [quick[0], ("cpu", "slow"), quick[1]]


def test_a_check_that_raises_ends_neither_the_others_nor_the_run(subject, tmp_path, monkeypatch):
    class Raises(TrainingCheck):
        name, rule = "raises", "block.rule"

        def run(self, trials):
            raise KeyError("epoch")

    monkeypatch.setattr(battery, "all_checks", lambda: (Raises(), TrainsOnEveryDevice()))
    result = battery.run_battery("cpu", seed=0, folder=tmp_path, subject=subject(WaveformClassifier))
    assert [outcome.status for outcome in result.checks] == ["met", "not_applicable"]
    assert result.checks[1].message == "This check can't look at this model: KeyError: 'epoch'."


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timers that interrupt")
def test_a_check_that_takes_too_long_is_given_up_and_the_others_have_their_say(subject, tmp_path, monkeypatch):
    class Endless(TrainingCheck):
        name, rule = "endless", "block.rule"

        def run(self, trials):
            threading.Event().wait()

    class Quick(Endless):
        name = "quick"

        def run(self, trials):
            return self.outcome(trials, "met", "")

    monkeypatch.setattr(battery, "all_checks", lambda: (Endless(), Quick()))
    result = battery.run_battery("cpu", seed=0, folder=tmp_path, subject=subject(WaveformClassifier), seconds=0.5)
    endless, quick = result.checks
    assert (endless.status, quick.status) == ("not_applicable", "met")
    assert "more than its share of the time limit. Raise --time-limit" in endless.message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timers that interrupt")
def test_a_training_that_takes_too_long_is_an_error(subject, tmp_path):
    class Slow(WaveformClassifier):
        def on_train_start(self):
            threading.Event().wait()

    with pytest.raises(TrainingError, match="takes too long for the time limit") as caught:
        battery.run_battery("cpu", seed=0, folder=tmp_path, subject=subject(Slow), seconds=0.5)
    assert caught.value.reason == "timed-out"
