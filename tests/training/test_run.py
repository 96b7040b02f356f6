import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mlrules_mcp.training.checks import all_checks
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.run import Progress, check_training, run_worker

QUICK = [check for check in all_checks() if not check.slow]


def names(first: bool) -> set[str]:
    """The quick checks that run on the first device, or on another one."""
    return {check.name for check in QUICK if first or not check.once}


def work(script, time_limit=30.0, progress=None):
    """Runs a worker made of a few lines of Python, with `send` at hand."""
    prelude = "import json, os, signal, sys\ndef send(**line): print(json.dumps(line), flush=True)\n"
    command = [sys.executable, "-S", "-c", prelude + script]
    return asyncio.run(run_worker(command, time_limit, progress))


def failure(script, **options):
    with pytest.raises(TrainingError) as caught:
        work(script, **options)
    return caught.value


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    """One run of the real worker on all devices of this machine: its result, its progress, what it left behind."""
    folder, reported = tmp_path_factory.mktemp("real"), []

    async def note(step):
        reported.append(step)

    (folder / "t").mkdir()  # a short name: what workers talk through has a path of at most 107 characters
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder / "t"))
        patch.setenv("PL_TRAINER_MAX_EPOCHS", "1")
        patch.setenv("LOCAL_RANK", "3")
        patch.setenv("PYTHONWARNINGS", "error")
        result = asyncio.run(check_training("all", seed=7, progress=note))
    return result, reported, [path.relative_to(folder) for path in folder.rglob("*")]


def test_the_sample_meets_every_rule_that_applies_on_every_device_that_is_there(real_run):
    result, _, _ = real_run
    there = {report.device for report in result.devices}
    assert "cpu" in there
    verdicts = {(outcome.check, outcome.device): outcome.status for outcome in result.checks}
    expected = {(name, device): "met" for device in there for name in names(device == "cpu")}
    expected |= {("sync-count", "cpu"): "not_applicable"}
    # The sample has batch norms, whose statistics are those of a whole batch.
    expected |= {("accumulation-equals-large-batch", device): "not_applicable" for device in there}
    not_simulated = ("compiled-equals-eager", "loader-throughput", "time-split")
    expected |= {(name, "simulated"): "not_simulated" for name in not_simulated}
    assert {pair: verdicts.get(pair) for pair in verdicts if pair[1] in there} == expected
    assert result.broken == []


def test_training_is_seen_to_work_in_the_figures(real_run):
    result, _, _ = real_run
    assert result.seed == 7
    assert result.parameters > 1000
    for report in result.devices:
        assert report.name
        assert report.losses[-1] < report.losses[0] / 2
        assert report.metric == "val_accuracy"
        assert report.validation[-1] > report.validation[0] + 0.4
        assert report.steps_per_second > 0
        assert report.device == "simulated" or report.peak_memory_bytes > 0


def test_variables_of_another_job_do_not_reach_the_worker(real_run):
    result, _, _ = real_run
    assert len(result.devices[0].validation) == 5  # before training and after each of four epochs


def test_progress_rises_by_one_to_the_last_check(real_run):
    result, reported, _ = real_run
    expected = {f"{report.device}: {name}" for report in result.devices for name in names(report.device == "cpu")}
    total = 1 + len(expected)
    assert reported[0] == Progress(0, None, "importing torch and lightning")
    assert [(step.done, step.total) for step in reported[1:]] == [(done, total) for done in range(1, total)]
    assert {step.message for step in reported[1:]} == expected


def test_nothing_is_left_on_the_disk(real_run):
    _, _, left = real_run
    assert left == [Path("t")]


def test_the_answer_is_small_for_each_device(real_run):
    result, _, _ = real_run
    assert len(json.dumps(result.to_dict())) < 8000 * len(result.devices)


def test_starting_the_check_loads_nothing_heavy():
    script = """
import sys
import mlrules_mcp.training.run
from mlrules_mcp.training.checks import all_checks
all_checks()
print(sorted({"torch", "lightning", "numpy", "pydantic", "mcp", "libcst"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "reason", "text"),
    [
        ({"device": "gpu"}, "bad-argument", "Unknown device 'gpu'. Choose one of: auto, all, cpu, cuda, mps"),
        ({"seed": -1}, "bad-argument", "from 0 to 4294967295, not -1"),
        ({"time_limit": 0}, "bad-argument", "above 0, not 0"),
        ({"time_limit": float("nan")}, "bad-argument", "above 0, not nan"),
    ],
)
def test_what_cannot_be_asked_for_is_said_at_once(arguments, reason, text):
    with pytest.raises(TrainingError, match=text) as caught:
        asyncio.run(check_training(**arguments))
    assert caught.value.reason == reason


@pytest.mark.parametrize("missing", [("torch",), ("lightning",), ("torch", "lightning")])
def test_missing_packages_are_named_with_what_to_install(missing, monkeypatch):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TrainingError) as caught:
        asyncio.run(check_training())
    assert caught.value.reason == "not-installed"
    assert str(caught.value) == (
        f'The training check needs {" and ".join(missing)}; install with: pip install "mlrules-mcp[train]"'
    )


def test_torch_that_is_there_but_does_not_import_is_not_a_crash(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so: no such file')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TrainingError, match=r"cannot be imported \(libtorch\.so: no such file") as caught:
        asyncio.run(check_training())
    assert caught.value.reason == "not-installed"


def test_the_result_is_what_the_worker_sent():
    assert work("send(result={'checks': []})") == {"checks": []}


def test_a_worker_that_goes_on_after_its_result_is_not_waited_for():
    assert work("send(result={'seed': 1}); signal.pause()") == {"seed": 1}


def test_an_error_of_the_worker_arrives_with_its_reason():
    error = failure("send(error={'reason': 'device-absent', 'message': 'There is no cuda. Present: cpu.'})")
    assert error.reason == "device-absent"
    assert str(error) == "There is no cuda. Present: cpu."


def test_lines_that_are_not_ours_are_passed_over():
    script = "print('hello'); print('[1, 2'); print('{}'); os.write(1, b'\\xff\\n'); send(result={'seed': 2})"
    assert work(script) == {"seed": 2}


def test_the_time_limit_ends_the_worker_and_says_so():
    start = time.monotonic()
    error = failure("signal.pause()", time_limit=0.3)
    assert time.monotonic() - start < 10
    assert error.reason == "timed-out"
    assert "time limit of 0.3 s" in str(error)


def test_a_worker_that_dies_is_explained_with_the_end_of_its_log():
    error = failure("print('line\\n' * 100 + 'it broke here', file=sys.stderr); sys.exit(3)")
    assert error.reason == "worker-died"
    assert "exit code 3" in str(error)
    assert str(error).endswith("it broke here")
    assert error.log.count("\n") < 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to be ended by")
@pytest.mark.parametrize(("name", "hint"), [("SIGSEGV", "."), ("SIGKILL", "memory ran out")])
def test_a_worker_that_a_signal_ends_is_explained(name, hint):
    error = failure(f"os.kill(os.getpid(), signal.{name})")
    assert error.reason == "worker-died"
    assert f"ended by {name}" in str(error)
    assert hint in str(error)


def test_nothing_that_the_worker_prints_reaches_our_output(capfd):
    script = """
from mlrules_mcp.training.worker import Channel
channel = Channel()
import subprocess
print("from print")
os.write(1, b"from the descriptor\\n")
sys.stdout.flush()
subprocess.run([sys.executable, "-S", "-c", "print('from a child')"])
sys.exit(1)
"""
    command = [sys.executable, "-c", "import os, sys\n" + script]
    with pytest.raises(TrainingError) as caught:
        asyncio.run(run_worker(command, 30, None))
    assert capfd.readouterr() == ("", "")
    assert set(caught.value.log.splitlines()) == {"from print", "from the descriptor", "from a child"}


def test_temporary_files_of_the_worker_are_removed(tmp_path):
    async def look(step):
        assert [path.name for path in tmp_path.iterdir()] == [Path(step.message).name]

    script = """
import tempfile
import time
handle, path = tempfile.mkstemp()
os.close(handle)
open("in the working directory", "w").close()
assert os.path.samefile(os.path.dirname(path), os.getcwd())
send(progress={"done": 0, "total": None, "message": os.getcwd()})
send(result={})
"""
    assert work(script, progress=look) == {}
    assert list(tmp_path.iterdir()) == []


def test_cancellation_removes_the_temporary_files(tmp_path):
    async def cancel(step):
        asyncio.current_task().cancel()

    script = "send(progress={'done': 0, 'total': None, 'message': ''}); signal.pause()"
    with pytest.raises(asyncio.CancelledError):
        work(script, progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_progress_callback_is_not_swallowed():
    async def fail(step):
        raise BrokenPipeError("the client is gone")

    script = "send(progress={'done': 0, 'total': None, 'message': ''}); signal.pause()"
    with pytest.raises(BrokenPipeError, match="the client is gone"):
        work(script, progress=fail)


def test_the_hash_seed_of_the_worker_is_fixed(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    results = [work("send(result={'hash': hash('x')})") for _ in range(2)]
    assert results[0] == results[1]
    assert os.environ["PYTHONHASHSEED"] == "random"
