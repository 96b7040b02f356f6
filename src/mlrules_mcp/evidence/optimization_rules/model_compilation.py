from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import (
    NO_NETWORK,
    TRAINED,
    foremost,
    is_zero,
    no_network_trained,
    place_to_change,
)

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_CALLS = "torch.compile tensorflow.function jax.jit torch_geometric.compile torch_tensorrt.compile"
_KEYWORDS = ("jit_compile", "torch_compile")


class ModelCompilation(Collector):
    """The network is compiled where the framework can do it.

    ## Met
    `torch.compile` as a call or a decorator, its options in trainers, `tf.function`, `jax.jit`.

    ## Broken
    A static check finds a compiled model that nobody uses, that is compiled in a loop, or saved with its prefix.

    ## Not applicable
    No neural network is trained here.

    ## Never counts
    `compile` of Keras, which sets losses and optimizers.

    ## References
    - https://docs.pytorch.org/docs/stable/torch.compiler.html
    """

    asks = Asked.of(calls=_CALLS, keywords=" ".join(_KEYWORDS))
    would_count = "`torch.compile`, or the option of a trainer that calls it"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example(
            {"train.py": TRAINED.replace("optimizer =", "model = torch.compile(model)\noptimizer =", 1)},
            "met",
            ["train.py:5"],
        ),
        Example({"train.py": TRAINED}, "no_evidence"),
        Example(
            {
                "train.py": """\
                import tensorflow as tf

                model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
                model.compile(optimizer="adam", loss="mse")
                model.fit(x, y)
                """
            },
            "no_evidence",
            why="this compile is another",
        ),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """`torch.compile` as a decorator."""
        for function in module.functions:
            for decorator in function.decorator_list:
                name = module.qualified_name(decorator)
                if name in ("torch.compile", "tensorflow.function", "jax.jit"):
                    yield fact_at(module, role, decorator, "decorator")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Calls, decorators and options."""
        yield from (of(fact) for fact in foremost(project, project.calls(*_CALLS.split())))
        yield from (of(fact) for fact in project.notes(self.rule))
        for name in _KEYWORDS:
            yield from (of(fact) for fact in project.keywords(name) if not is_zero(fact.keyword(name)))
        for setting in project.set_to(r"(^|\.)torch_compile$", r"^true$"):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")

    def next_step(self, project: Facts) -> NextStep:
        """One line, and what to look at afterwards."""
        path, line = place_to_change(project)
        content = (
            "model = torch.compile(model)  # after it is on its device; save model._orig_mod.state_dict()\n"
            "# compare the time of some hundred steps, and the loss, with and without it\n"
        )
        return NextStep("Compile the network and measure the gain", "small", path, content, line)
