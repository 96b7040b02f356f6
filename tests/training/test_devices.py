from types import SimpleNamespace

import pytest

from mlrules_mcp.training import devices
from mlrules_mcp.training.sample import WaveformClassifier

# Lightning warns of its own use of PyTorch, and gives advice as warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_cpu_is_always_there_and_comes_first():
    assert devices.present()[0] == "cpu"


def test_the_cpu_has_a_name_and_cores():
    report = devices.describe("cpu")
    assert report.name
    assert " cores" in report.hardware


def test_the_first_of_several_accelerators_is_described(monkeypatch):
    backend = SimpleNamespace(
        get_device_properties=lambda index: SimpleNamespace(name="An accelerator", total_memory=80 * 2**30),
        device_count=lambda: 4,
    )
    monkeypatch.setattr(devices.torch, "get_device_module", lambda device: backend)
    report = devices.describe("xpu")
    assert (report.name, report.hardware) == ("An accelerator", "1 device, 80 GiB; the first of 4")


def test_memory_of_the_process_is_counted_in_bytes():
    assert devices.peak_memory("cpu") > 50 * 2**20


def test_a_device_that_lightning_has_no_accelerator_for_trains_all_the_same(trials, monkeypatch):
    monkeypatch.setattr(devices, "KNOWN_TO_LIGHTNING", ())
    trial = trials(WaveformClassifier).first
    assert isinstance(trial.trainer.accelerator, devices.PlainAccelerator)
    assert trial.recorder.losses.isfinite().all()
    assert len(trial.recorder.losses) == 12
