from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import (
    LIGHTNING_TRAINED,
    NO_NETWORK,
    TRAINED,
    foremost,
    is_zero,
    no_network_trained,
    place_to_change,
)
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.profiler.profile torch.profiler.record_function torch.autograd.profiler.profile "
    "torch.autograd.profiler.emit_nvtx torch.cuda.nvtx.range_push torch.cuda.nvtx.range torch.cuda.profiler.profile "
    "torch.utils.bottleneck.* torch.utils.flop_counter.FlopCounterMode cProfile.run cProfile.Profile "
    "lightning.pytorch.profilers.* tensorflow.profiler.* tensorflow.summary.trace_on jax.profiler.* "
    "torch_geometric.profile.* viztracer.* pyinstrument.* line_profiler.* memory_profiler.*"
)


class ProfileTraining(Collector):
    """Somebody has measured where the time of training goes.

    ## Met
    A profiler around training, in code, in the Trainer's arguments or in a configuration; profilers started by scripts.

    ## Broken
    A static check finds timing that does not wait for the device.

    ## Not applicable
    No neural network is trained here.

    ## Never counts
    A clock around an epoch; progress bars.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/profiler_recipe.html
    - https://lightning.ai/docs/pytorch/stable/tuning/profiler.html
    """

    asks = Asked.of(calls=_CALLS, keywords="profiler")
    would_count = "`torch.profiler`, the Trainer's `profiler=`, or a profiler started by a script"
    looked_in = "the code, notebooks, configurations and scripts"
    examples = (
        Example(
            {
                "train.py": TRAINED.replace(
                    "    optimizer.step", "    with torch.profiler.profile():\n        optimizer.step"
                )
            },
            "met",
            ["train.py:9"],
        ),
        Example(
            {"train.py": LIGHTNING_TRAINED, "configs/debug.yaml": "trainer:\n  profiler: simple\n"},
            "met",
            ["configs/debug.yaml:2"],
        ),
        Example({"train.py": TRAINED}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Profilers in code, configurations and scripts."""
        yield from (of(fact) for fact in foremost(project, project.calls(*_CALLS.split())))
        given = project.keywords("profiler")
        yield from (of(fact) for fact in given if not is_zero(fact.keyword("profiler")) and "Trainer" in fact.called)
        for setting in project.set_to(r"(^|\.)profiler(\._target_)?$", r"\w"):
            if not is_zero(setting.value):
                yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for path, line, text in project.lines("*", r"\b(nsys profile|ncu |py-spy (record|top)|scalene )"):
            yield Evidence(path, line, f"`{text[:120]}`")

    def next_step(self, project: Facts) -> NextStep:
        """A profile of some steps."""
        path, line = place_to_change(project)
        if project.landmarks(LIGHTNING_MODULE):
            content = 'trainer = L.Trainer(profiler="simple", max_steps=50)  # a table of what the time went to\n'
        else:
            content = (
                "from torch.profiler import ProfilerActivity, profile, schedule\n\n"
                "with profile(\n    activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA],\n"
                "    schedule=schedule(wait=5, warmup=5, active=10),\n) as profiler:\n"
                "    for batch in loader:\n        training_step(batch)\n        profiler.step()\n"
                'print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))\n'
            )
        return NextStep("Profile twenty steps of training", "small", path, content, line)
