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
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.autocast torch.amp.autocast torch.cuda.amp.autocast torch.cpu.amp.autocast torch.amp.GradScaler "
    "torch.cuda.amp.GradScaler torch.amp.autocast_mode.autocast apex.amp.* keras.mixed_precision.* "
    "tensorflow.keras.mixed_precision.* jmp.*"
)
_KEYWORDS = ("precision", "mixed_precision", "fp16", "bf16")
_HALF = r"16|half|bf16|fp16"


class MixedPrecision(Collector):
    """Training computes in 16 bits where that is safe.

    ## Met
    Autocast, a gradient scaler, the Trainer's `precision=` with 16 bits, `fp16`, `bf16` or `mixed_precision` of other
    trainers, in code or configuration.

    ## Broken
    A static check finds autocast around backward, a scaler that is not updated or left out, losses in half precision.

    ## Not applicable
    No neural network is trained here.

    ## Never counts
    What is switched off (`enabled=False`), or only commented.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html
    """

    asks = Asked.of(calls=_CALLS, keywords=" ".join(_KEYWORDS))
    would_count = "autocast, a gradient scaler, or a trainer's option for 16 bits"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example(
            {
                "train.py": TRAINED.replace(
                    "    nn.functional.mse_loss(model(x), y).backward()",
                    '    with torch.autocast("cuda", dtype=torch.bfloat16):\n'
                    "        loss = nn.functional.mse_loss(model(x), y)\n    loss.backward()",
                )
            },
            "met",
            ["train.py:8"],
        ),
        Example(
            {"train.py": LIGHTNING_TRAINED, "configs/trainer.yaml": "trainer:\n  precision: bf16-mixed\n"},
            "met",
            ["configs/trainer.yaml:2"],
        ),
        Example({"train.py": LIGHTNING_TRAINED, "configs/trainer.yaml": "trainer:\n  precision: 32\n"}, "no_evidence"),
        Example({"train.py": TRAINED}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Autocast and scalers, then options."""
        yield from (
            of(fact) for fact in foremost(project, project.calls(*_CALLS.split())) if fact.keyword("enabled") != "False"
        )
        for name in _KEYWORDS:
            yield from (of(fact) for fact in project.keywords(name) if _is_half(fact, name))
        for setting in project.set_to(r"(^|\.)(mixed_)?precision$", _HALF):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        for setting in project.set_to(r"(^|\.)(fp16|bf16|use_amp|amp)(\.enabled)?$", r"^true$"):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")

    def next_step(self, project: Facts) -> NextStep:
        """The option, or the lines."""
        path, line = place_to_change(project)
        if project.landmarks(LIGHTNING_MODULE):
            content = 'trainer = L.Trainer(precision="bf16-mixed")\n'
        else:
            content = (
                "with torch.autocast(device_type=device.type, dtype=torch.bfloat16):\n"
                "    loss = criterion(model(inputs), targets)\nloss.backward()  # outside of autocast\n"
            )
        return NextStep("Train in mixed precision", "small", path, content, line)


def _is_half(fact: Fact, name: str) -> bool:
    value = (fact.keyword(name) or "").strip("\"'")
    if name in ("fp16", "bf16"):
        return not is_zero(value)
    return ("16" in value and "Trainer" in fact.called + fact.text) or (name == "mixed_precision" and "16" in value)
