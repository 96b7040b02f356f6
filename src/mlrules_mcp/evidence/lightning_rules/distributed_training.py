from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import CodeCollector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import LIGHTNING_TRAINED, NO_NETWORK, TRAINED, is_zero, no_network_trained

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.nn.parallel.DistributedDataParallel torch.nn.parallel.distributed.DistributedDataParallel "
    "torch.distributed.init_process_group torch.distributed.fsdp.FullyShardedDataParallel "
    "torch.distributed.fsdp.fully_shard torch.distributed.device_mesh.init_device_mesh deepspeed.initialize "
    "accelerate.Accelerator torch.utils.data.DistributedSampler horovod.torch.init ray.train.torch.prepare_model "
    "ray.train.ScalingConfig ray.air.config.ScalingConfig ray.air.ScalingConfig tensorflow.distribute.MirroredStrategy "
    "apex.parallel.DistributedDataParallel lightning.pytorch.strategies.* lightning.fabric.Fabric"
)
_TRAINER = "lightning.pytorch.Trainer"
_SEVERAL = r"^(ddp|fsdp|deepspeed|horovod)"


class DistributedTraining(CodeCollector):
    """Code that trains on several devices does it in a way that gives the result of one.

    ## Met
    Distributed data parallel, FSDP, DeepSpeed, Accelerate, Fabric, Ray Train or a strategy of the Trainer, in code,
    configuration or launch scripts.

    ## Broken
    A static check finds `DataParallel`, samplers that repeat themselves, unsynchronised metrics, files that every
    process writes, or arguments that the Trainer dropped.

    ## Not applicable
    Training uses one device: nothing has to be designed for more.

    ## Never counts
    A count of devices that is only printed.

    ## References
    - https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html
    - https://lightning.ai/docs/pytorch/stable/accelerators/gpu_intermediate.html
    """

    asks = Asked.of(calls=f"{_CALLS} {_TRAINER}", keywords="sync_dist")
    would_count = "DistributedDataParallel, a strategy of the Trainer, Accelerate or a launch with torchrun"
    looked_in = "the code, notebooks, configurations and scripts"
    nothing_there = "Networks are trained on one device here: no code, configuration or script uses several."
    examples = (
        Example(
            {
                "train.py": TRAINED.replace(
                    "optimizer =", "model = nn.parallel.DistributedDataParallel(model)\noptimizer =", 1
                )
            },
            "met",
            ["train.py:5"],
        ),
        Example(
            {"train.py": LIGHTNING_TRAINED, "configs/trainer.yaml": "trainer:\n  strategy: ddp\n  devices: 4\n"},
            "met",
            ["configs/trainer.yaml:2"],
        ),
        Example(
            {"train.py": TRAINED.replace("optimizer =", "model = nn.DataParallel(model)\noptimizer =", 1)},
            "broken",
            ["train.py:5"],
        ),
        Example({"train.py": LIGHTNING_TRAINED}, "not_applicable", why="one device is enough"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Calls, strategies of the Trainer, configurations, launches."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))
        yield from (of(fact) for fact in project.calls(_TRAINER) if _on_several(fact))
        for setting in project.set_to(r"(^|\.)strategy$", _SEVERAL):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for setting in project.set_to(r"(^|\.)distributed_type$", r"^(MULTI_GPU|FSDP|DEEPSPEED)"):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for path, line, text in project.lines(
            "*", r"\b(torchrun|accelerate launch|torch\.distributed\.(run|launch))\b"
        ):
            yield Evidence(path, line, f"`{text[:120]}`")
        yield from (of(fact) for fact in project.keywords("sync_dist") if not is_zero(fact.keyword("sync_dist")))

    def next_step(self, project: Facts) -> NextStep | None:
        """None: what is found is mended at its place."""
        return None


def _on_several(fact: Fact) -> bool:
    strategy = (fact.keyword("strategy") or "").strip("\"'")
    devices = (fact.keyword("devices") or "").strip("\"'")
    return strategy.startswith(("ddp", "fsdp", "deepspeed")) or (devices.isdigit() and int(devices) > 1)
