"""A training over several processes, on one machine or more, as torchrun starts them. Knows no torch.

torchrun starts the command `train-check --nodes N` once for each process on each machine. Each of them trains in a
worker of its own, which Lightning's strategy joins to the others by the variables that torchrun set; the first one
reports. The battery is the same, less the checks that look at one process's model by itself: all processes have to
take every step together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from mlrules_mcp.training.errors import TrainingError

Strategy: TypeAlias = Literal["ddp", "fsdp"]
STRATEGIES: tuple[str, ...] = get_args(Strategy)

VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# What torchrun sets, and Lightning and PyTorch read.
JOINING = (*VARIABLES, "GROUP_RANK")
PREFIX = "TORCHELASTIC_"
COMMAND = (
    "torchrun --nnodes {nodes} --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint HOST:29500 "
    "--no-python mlrules-mcp train-check --nodes {nodes}"
)


@dataclass(frozen=True, slots=True)
class Spread:
    """This process's place among all that train together.

    Attributes:
        nodes: how many machines.
        strategy: the name of Lightning's strategy.
        rank: this process's number among all; the first one, 0, reports.
        processes: how many there are in all.
    """

    nodes: int
    strategy: str
    rank: int
    processes: int

    @classmethod
    def of_environment(cls, nodes: int, strategy: str, environment: Mapping[str, str] = os.environ) -> Spread:
        """Read torchrun's variables.

        Raises:
            TrainingError: they are not there, or tell of another number of machines.
        """
        if strategy not in STRATEGIES:
            message = f"Unknown strategy {strategy!r}. Choose one of: {', '.join(STRATEGIES)}."
            raise TrainingError("bad-argument", message)
        if nodes < 1:
            raise TrainingError("bad-argument", f"There must be at least one machine, not {nodes}.")
        if missing := [name for name in VARIABLES if name not in environment]:
            message = (
                f"--nodes trains in the processes that torchrun starts, and {missing[0]} is not set. On each machine, "
                f"run: {COMMAND.format(nodes=nodes)}"
            )
            raise TrainingError("bad-argument", message)
        processes, local = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
        if processes != nodes * local:
            message = (
                f"torchrun has started {processes} processes, {local} of them here, which is not {nodes} machines: "
                "pass the same number as --nodes to train-check and as --nnodes to torchrun."
            )
            raise TrainingError("bad-argument", message)
        return cls(nodes, strategy, int(environment["RANK"]), processes)

    def variables(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The variables that a worker needs to join the others."""
        return {name: value for name, value in environment.items() if name in JOINING or name.startswith(PREFIX)}

    def trainer_arguments(self, device: str) -> dict[str, Any]:
        """What makes a Trainer train with the others."""
        if self.strategy == "fsdp" and device != "cuda":
            message = "The strategy fsdp shards a model over CUDA GPUs; Lightning has it for no other device. Use ddp."
            raise TrainingError("bad-argument", message)
        local = self.processes // self.nodes
        return {"accelerator": device, "devices": local, "num_nodes": self.nodes, "strategy": self.strategy}

    @property
    def description(self) -> str:
        """For people."""
        machines = "1 machine" if self.nodes == 1 else f"{self.nodes} machines"
        return f"{self.processes} processes on {machines}, {self.strategy}"
