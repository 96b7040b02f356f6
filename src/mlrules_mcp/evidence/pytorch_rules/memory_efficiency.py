from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING
from mlrules_mcp.evidence.programs import NETWORK, PLAIN
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.autocast torch.amp.autocast torch.cuda.amp.autocast torch.amp.GradScaler torch.cuda.amp.GradScaler "
    "torch.utils.checkpoint.checkpoint torch.utils.checkpoint.checkpoint_sequential .gradient_checkpointing_enable "
    "deepspeed.initialize torch.distributed.fsdp.FullyShardedDataParallel torch.distributed.fsdp.fully_shard"
)
_ARGUMENTS = (
    "precision accumulate_grad_batches gradient_accumulation_steps mixed_precision fp16 bf16 gradient_checkpointing"
)
# Half precisions, switches, numbers of batches, and names that are set elsewhere.
_SAVES = pattern(r"(?i)^['\"]?(.*(16|half|mixed|fp8|nf4).*|true|yes|[2-9]|[1-9]\d+|[a-z_][\w.]*(\[.*\])?)['\"]?$")
_OFF = pattern(r"(?i)^['\"]?(no|none|null|false|full|32.*|64.*|double|float32)['\"]?$")


class MemoryEfficiency(Collector):
    """Memory that large models save: mixed precision, gradient accumulation, activation checkpointing.

    ## Met
    Calls of autocast or of checkpointing, arguments or settings that ask for half precision or accumulation.

    ## Broken
    An error or warning of a static check, such as outputs kept with their graphs.

    ## Not applicable
    No network is trained here.

    ## Never counts
    A setting of full precision or of one accumulated batch.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html
    - https://docs.pytorch.org/docs/stable/checkpoint.html
    """

    asks = Asked.of(calls=_CALLS, keywords=_ARGUMENTS)
    needs = ("pytorch",)
    would_count = "`torch.autocast`, `precision=`, gradient accumulation or activation checkpointing"
    looked_in = "the code, notebooks and configurations"
    shown_by_examples = True
    examples = (
        Example(
            {"train.py": NETWORK, "configs/trainer.yaml": "trainer:\n  precision: bf16-mixed\n"},
            "met",
            ["configs/trainer.yaml:2"],
        ),
        Example({"train.py": NETWORK, "trainer.yaml": "precision: 32\naccumulate_grad_batches: 1\n"}, "no_evidence"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network of PyTorch learns, nothing needs the memory."""
        if reason := super().not_applicable(project):
            return reason
        trains = project.landmarks(DEEP_TRAINING, LIGHTNING_MODULE)
        return None if trains else "No network of PyTorch is trained here."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Calls, arguments and settings that save memory."""
        yield from (of(fact) for fact in project.calls(*_CALLS.split()))
        for name in _ARGUMENTS.split():
            for fact in project.keywords(name):
                value = fact.keyword(name) or ""
                # `precision` is also a metric, and a number of digits.
                is_meant = name != "precision" or fact.called.endswith(("Trainer", "Fabric", "CLI")) or "16" in value
                if is_meant and _saves(value):
                    yield of(fact)
        for setting in project.set_to(rf"(^|\.)({'|'.join(_ARGUMENTS.split())})$"):
            is_score = setting.key.endswith("precision") and re.match(r"[01]?\.\d", setting.value)
            if _saves(setting.value) and not is_score:
                yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")

    def next_step(self, project: Facts) -> NextStep | None:
        """Autocast around the forward pass of the first training step."""
        steps = project.landmarks(DEEP_TRAINING, LIGHTNING_MODULE)
        if not steps:
            return None
        first = steps[0]
        configured = [each for each in project.set_to(r"(^|\.)accelerator$") if each.value]
        configured.sort(key=lambda each: ("debug" in each.path, "trainer" not in each.path))
        for setting in configured[:1]:
            content = "precision: bf16-mixed\naccumulate_grad_batches: 4\n"
            return NextStep("Train in mixed precision", "small", setting.path, content, setting.line)
        content = (
            'with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):\n'
            "    loss = loss_function(model(inputs), targets)\n"
            "loss.backward()  # outside\n"
        )
        if "class " in first.text or "trainer" in first.receiver.lower():
            content = 'trainer = Trainer(precision="bf16-mixed", accumulate_grad_batches=4)\n'
        return NextStep("Train in mixed precision", "small", first.path, content, first.line, first.cell)


def _saves(value: str) -> bool:
    return bool(_SAVES.match(value.strip())) and not _OFF.match(value.strip())
