from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import CodeCollector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import NETWORK, PLAIN
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_ASKS_FOR_DEVICE = (
    "torch.cuda.is_available torch.accelerator.* torch.backends.mps.is_available accelerate.Accelerator "
    "ray.train.torch.get_device torch.get_default_device lightning.fabric.Fabric transformers.Trainer"
)


class DeviceAgnosticCode(CodeCollector):
    """The device is asked for once and everything follows it.

    ## Met
    Calls that ask which device there is (`torch.cuda.is_available`, `torch.accelerator`), a library or a configured
    `accelerator` that does it, `map_location`, tensors made with `device=`; and no check finds anything.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    Nothing here chooses a device or loads a checkpoint of PyTorch.

    ## Never counts
    A device that is named as a constant.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#device-agnostic-code
    """

    asks = Asked.of(calls=_ASKS_FOR_DEVICE, keywords="map_location accelerator device")
    needs = ("pytorch",)
    nothing_there = "Nothing here chooses a device, moves tensors or loads a checkpoint of PyTorch."
    examples = (
        Example(
            {
                "train.py": 'import torch\n\ndevice = "cuda" if torch.cuda.is_available() else "cpu"\n',
                "net.py": NETWORK,
            },
            "met",
            ["train.py:3"],
        ),
        Example(
            {"configs/trainer.yaml": "trainer:\n  accelerator: auto\n", "net.py": NETWORK},
            "met",
            ["configs/trainer.yaml:2"],
        ),
        Example({"train.py": f"{NETWORK}model.cuda()\n"}, "broken", ["train.py:10"]),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Where the device is asked for, then where it is passed on."""
        yield from (of(fact) for fact in project.calls(*_ASKS_FOR_DEVICE.split()))
        if project.landmarks(LIGHTNING_MODULE) or project.calls("accelerate.Accelerator") or project.settings:
            for setting in project.set_to(r"(^|\.)(accelerator|device)$"):
                if setting.value.lower() not in ("", "none", "null"):
                    yield Evidence(setting.path, setting.line, f"the configuration says it: `{setting.key}`")
        yield from (of(fact) for fact in project.keywords("accelerator"))
        yield from (of(fact) for fact in project.keywords("map_location"))
        yield from (of(fact) for fact in project.keywords("device") if "cuda" not in (fact.keyword("device") or ""))
