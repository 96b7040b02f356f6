"""compiled-equals-eager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlrules_mcp.training import compare, places
from mlrules_mcp.training.checks import BatchCheck
from mlrules_mcp.training.errors import NotApplicableError, NotSimulatedError, TrainingFailedError
from mlrules_mcp.training.result import CheckOutcome, Figure

if TYPE_CHECKING:
    from mlrules_mcp.training.bench import Bench
    from mlrules_mcp.training.trials import Trials

TOLERANCE = 1e-5


class CompiledEqualsEager(BatchCheck):
    """The model's `forward` gives the same outputs when torch.compile has captured it.

    On the input that the training step gives it, without dropout and with the same random draws. The captured graph
    is run as it is: no code is generated, so that nothing but the capture is judged. The outputs may be 1e-5 of the
    largest one apart. How many graphs there are is told: each one beyond the first is a break, where Python code
    that can't be captured, such as `.item()` or a print, runs between them. It breaks where the code does something
    else while it is compiled, or leaves the graph in a way that raises.
    """

    name = "compiled-equals-eager"
    rule = "optimization_rules.model_compilation"

    def run(self, trials: Trials) -> CheckOutcome:
        """Compile, unless the device is simulated: there the simulation itself would be compiled."""
        from mlrules_mcp.training.devices import SIMULATED  # noqa: PLC0415

        if trials.device == SIMULATED:
            raise NotSimulatedError("not simulated: torch.compile")
        return super().run(trials)

    def look(self, trials: Trials, bench: Bench) -> CheckOutcome:
        """Compare the outputs of `forward` with and without compilation."""
        import torch  # noqa: PLC0415

        from mlrules_mcp.training.bench import tensors_of, without_dropout  # noqa: PLC0415

        graphs = 0

        def count(graph: torch.fx.GraphModule, inputs: Any) -> Any:
            nonlocal graphs
            graphs += 1
            return graph.forward

        torch.compiler.reset()  # what is left of other models of this class would count towards a limit
        with without_dropout(bench.model):
            args, kwargs = bench.forward_input()
            outputs = []
            for run in (bench.model.forward, bench.model.forward, torch.compile(bench.model.forward, backend=count)):
                torch.manual_seed(bench.seed)
                outputs.append(tensors_of("output", run(*args, **kwargs)))
        expected, again, actual = outputs
        if compare.largest_difference(expected, again)[0] > TOLERANCE:
            raise NotApplicableError("forward gives other outputs at each call.")
        apart, _ = compare.largest_difference(expected, actual)
        figures: dict[str, Figure] = {"graphs": graphs, "outputs_apart": apart, "allowed": TOLERANCE}
        if apart <= TOLERANCE:
            extent = "one graph" if graphs == 1 else f"{graphs} graphs"
            message = f"Captured by torch.compile in {extent}, forward gives equal outputs."
            return self.outcome(trials, "met", message, figures=figures)
        message = f"Captured by torch.compile, forward gives outputs that are {apart:.2g} of the largest one off."
        place = places.of_function(bench.model.forward)
        return self.outcome(trials, "broken", message, place=place, figures=figures)

    def failed(self, trials: Trials, error: TrainingFailedError) -> CheckOutcome:
        """The model trains as it is: it is the compilation that it does not go through."""
        return self.outcome(trials, "broken", f"Compiled with torch.compile, forward raises {error}", place=error.place)
