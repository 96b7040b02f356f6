import json
import subprocess
import sys

import pytest

from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.spread import Spread

TORCHRUN = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RUN_ID": "7",
    "HOME": "/home/me",
}


def test_the_variables_of_torchrun_tell_the_place_among_all():
    spread = Spread.of_environment(2, "ddp", TORCHRUN)
    assert spread == Spread(nodes=2, strategy="ddp", rank=1, processes=4)
    assert spread.description == "4 processes on 2 machines, ddp"
    assert spread.trainer_arguments("cpu") == {"accelerator": "cpu", "devices": 2, "num_nodes": 2, "strategy": "ddp"}
    assert spread.variables(TORCHRUN) == {name: value for name, value in TORCHRUN.items() if name != "HOME"}


@pytest.mark.parametrize(
    ("nodes", "strategy", "environment", "text"),
    [
        (2, "ddp", {}, r"RANK is not set\. On each machine, run: torchrun --nnodes 2 .* train-check --nodes 2"),
        (1, "ddp", TORCHRUN, "4 processes, 2 of them here, which is not 1 machines"),
        (0, "ddp", TORCHRUN, "at least one machine, not 0"),
        (2, "deepspeed", TORCHRUN, "Unknown strategy 'deepspeed'. Choose one of: ddp, fsdp"),
    ],
)
def test_what_can_not_be_is_said_with_what_to_do(nodes, strategy, environment, text):
    with pytest.raises(TrainingError, match=text) as caught:
        Spread.of_environment(nodes, strategy, environment)
    assert caught.value.reason == "bad-argument"


def test_sharding_needs_gpus():
    spread = Spread.of_environment(2, "fsdp", TORCHRUN)
    assert spread.trainer_arguments("cuda")["strategy"] == "fsdp"
    with pytest.raises(TrainingError, match=r"Lightning has it for no other device\. Use ddp"):
        spread.trainer_arguments("cpu")


def test_two_processes_that_torchrun_starts_train_together_and_one_of_them_reports(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "mlrules_mcp", "train-check", "--nodes", "1", "--device", "cpu", "--format", "json"]
    done = subprocess.run([*torchrun, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)  # one answer, of one of them
    checks = {outcome["check"]: outcome["status"] for outcome in answer["checks"]}
    names = ("gradients-reach-parameters", "same-seed-same-result", "trains-on-every-device")
    assert checks == dict.fromkeys(names, "met")
    (device,) = answer["devices"]
    assert device["hardware"].endswith("2 processes on 1 machine, ddp")
    assert device["steps"] == 48  # of 92: each takes half of the data
