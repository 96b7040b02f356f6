from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._losses import backpropagated, sources
from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, RemoveArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument


class RetainGraph(Check[ast.Call]):
    """A graph that every training step keeps although nothing uses it again.

    ## What it does
    Finds `backward(retain_graph=True)` in a training step where no further backward pass follows. Always advice.

    ## Why it matters
    The graph and its activations stay in memory until the loss is let go, and where `retain_graph` only silences the
    error "Trying to backward through the graph a second time", each step goes back through all the steps before
    it: training gets slower with every step and its gradients are not those that were meant.

    ## Do not flag
    Two backward passes on one graph; a graph made outside the loop; `create_graph=True`.

    ## Fix safety
    Suggested: state that is carried over from step to step, such as the hidden state of an RNN, has to be detached too.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
    """

    names = frozenset({"backward", "manual_backward"})
    examples = (
        Bad(
            """
            for inputs, targets in loader:
                optimizer.zero_grad()
                output, hidden = model(inputs, hidden)
                loss = criterion(output, targets)
                «loss.backward(retain_graph=True)»
                optimizer.step()
            """,
            suggested_fix="""
            for inputs, targets in loader:
                optimizer.zero_grad()
                output, hidden = model(inputs, hidden)
                loss = criterion(output, targets)
                loss.backward()
                optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            def train_step(self, batch):
                loss = F.mse_loss(self.critic(batch.states), batch.returns)
                self.optimizer.zero_grad()
                «self.scaler.scale(loss).backward(retain_graph=True)»
                self.scaler.step(self.optimizer)
            """,
            suggested_fix="""
            def train_step(self, batch):
                loss = F.mse_loss(self.critic(batch.states), batch.returns)
                self.optimizer.zero_grad()
                self.scaler.scale(loss).backward()
                self.scaler.step(self.optimizer)
            """,
            advice=True,
        ),
        Good(
            """
            for real in loader:
                fake = generator(noise)
                loss_d = criterion(discriminator(fake), zeros)
                loss_d.backward(retain_graph=True)
                loss_g = criterion(discriminator(fake), ones)
                loss_g.backward()
            """,
            why="two backward passes through the generator's graph",
        ),
        Good(
            """
            def saliency(model, image):
                scores = model(image)
                for index in range(scores.shape[1]):
                    image.grad = None
                    score = scores[0, index]
                    score.backward(retain_graph=True)
                    maps.append(image.grad.clone())
            """,
            why="the graph is made once, outside the loop",
        ),
        Good(
            """
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward(retain_graph=True, create_graph=True)
                other = criterion(model(inputs), targets)
                other.backward(retain_graph=keep)
            """,
            why="gradients of gradients need the graph",
        ),
        Good(
            """
            def backward_all(losses):
                for loss in losses:
                    loss.backward(retain_graph=True)
            """,
            why="losses that may share a graph",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        match argument(node, "retain_graph"):
            case ast.Constant(value=True) if node in module.backward_calls and not _is_used_again(module, node):
                yield self.finding(
                    module,
                    node,
                    "No further backward pass uses this graph, so each step keeps its activations for nothing. Leave "
                    "`retain_graph=True` out; if that raises an error, detach what the step before hands over.",
                    fix=suggested("Let the graph go", RemoveArgument(Span.of(node), "retain_graph")),
                    advice=True,
                )


def _is_used_again(module: Module, call: ast.Call) -> bool:
    """Whether another backward pass may go through a call's graph, as far as the code doesn't rule it out."""
    if argument(call, "create_graph") is not None:
        return True
    function = module.enclosing_function(call)
    later = [*module.backward_calls, *module.calls("grad")]
    if any(other.lineno > call.lineno and module.enclosing_function(other) is function for other in later):
        return True
    repeated = module.enclosing_loop(call) or function
    if repeated is None:
        return True
    runs = [node for node in sources(module, backpropagated(module, call)) if runs_model(module, node)]
    before = [run for run in runs if module.enclosing_function(run) is function and not module.is_inside(run, repeated)]
    return not runs or bool(before)
