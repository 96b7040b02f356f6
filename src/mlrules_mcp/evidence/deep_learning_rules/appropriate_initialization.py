from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import NETWORK, PRETRAINED
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, is_zero, no_network

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts

_CALLS = (
    "torch.nn.init.* keras.initializers.* tensorflow.keras.initializers.* jax.nn.initializers.* "
    "flax.linen.initializers.*"
)
# For biases and norms: they say nothing about weights.
_CONSTANT = ("zeros_", "ones_", "constant_", "Zeros", "Ones", "Constant")
# How a project hands out what it has trained itself.
_OWN_WEIGHTS = ("torch.hub.load_state_dict_from_url", "torch.hub.download_url_to_file")
_DEFINITIONS = "init_weight weights_init weight_init initialize_weights reset_parameters initialize_param"


class AppropriateInitialization(Collector):
    """The weights of a network start from values that let it learn.

    ## Met
    Calls of `torch.nn.init` or of another framework's initializers; a function that sets the weights; pretrained
    weights.

    ## Broken
    A static check finds constant weights, parameters that nothing fills, and the like.

    ## Not applicable
    No neural network is defined or trained here.

    ## Never counts
    The defaults of layers: they are right for many networks and show no choice. Constants for biases and norms.

    ## References
    - https://docs.pytorch.org/docs/stable/nn.init.html
    """

    asks = Asked.of(calls=_CALLS, definitions=_DEFINITIONS, keywords="kernel_initializer")
    would_count = "calls of `torch.nn.init`, an initializer given to layers, or pretrained weights"
    examples = (
        Example(
            {"train.py": TRAINED.replace("optimizer =", "nn.init.kaiming_uniform_(model[0].weight)\noptimizer =", 1)},
            "met",
            ["train.py:5"],
        ),
        Example(
            {
                "train.py": TRAINED.replace(
                    "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))", "resnet18(pretrained=False)"
                ).replace("from torch import nn", "from torch import nn\nfrom torchvision.models import resnet18")
            },
            "no_evidence",
        ),
        Example({"train.py": TRAINED}, "no_evidence"),
        Example(
            {
                "net.py": """\
                from torch import nn


                class Net(nn.Module):
                    def __init__(self):
                        super().__init__()
                        self.first = nn.Linear(10, 64)
                        self.second = nn.Linear(64, 1)
                        nn.init.ones_(self.first.weight)
                        nn.init.constant_(self.second.weight, 0.5)
                """
            },
            "broken",
            ["net.py:9"],
        ),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no network."""
        return no_network(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Initializers, functions that set weights, pretrained weights."""
        drawn = [fact for fact in project.calls(*_CALLS.split()) if not fact.name.endswith(_CONSTANT)]
        yield from (of(fact) for fact in drawn)
        yield from (of(fact) for fact in project.keywords("kernel_initializer"))
        yield from (of(fact) for fact in project.definitions(*_DEFINITIONS.split()))
        loaded = [fact for fact in project.landmarks(PRETRAINED) if _is_trained(fact)]
        yield from (of(fact, f"starts from trained weights: `{fact.text}`") for fact in loaded)

    def next_step(self, project: Facts) -> NextStep:
        """A function for the layers of the network that is here."""
        network = next(iter(project.landmarks(NETWORK)), None)
        name = network.called if network and network.called.isidentifier() else "model"
        content = (
            "from torch import nn\n\n\ndef init_weights(module: nn.Module) -> None:\n"
            '    """Weights scaled for ReLU; biases at zero."""\n'
            "    if isinstance(module, (nn.Linear, nn.Conv2d)):\n"
            '        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")\n'
            "        if module.bias is not None:\n            nn.init.zeros_(module.bias)\n\n\n"
            f"# after {name} is made: model.apply(init_weights)\n"
        )
        path, line = (network.path, network.line) if network else ("model.py", None)
        return NextStep("Choose how the weights start", "small", path, content, line)


def _is_trained(fact: Fact) -> bool:
    """Whether a model comes with weights: those of torchvision and timm are asked for them."""
    if fact.called in _OWN_WEIGHTS:
        return False
    if fact.called.startswith(("torchvision.models.", "timm.")):
        options = [fact.keyword(name) for name in ("pretrained", "weights") if fact.keyword(name) is not None]
        return any(not is_zero(option) for option in options) or "True" in fact.arguments
    return True
