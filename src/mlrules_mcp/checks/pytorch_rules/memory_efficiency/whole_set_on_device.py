from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import LOOPS, Loop

_DEVICE = pattern(r"dev|gpu|cuda|mps|xpu", re.IGNORECASE)
_SAMPLES = pattern(r"loader|sampler|choice|permutation", re.IGNORECASE)
_SYNTHETIC = frozenset(
    f"torch.{name}" for name in "arange empty eye full linspace normal ones rand randint randn randperm zeros".split()
)


class WholeSetOnDevice(Check[ast.Module]):
    """A whole data set that is moved to the device before training takes batches out of it.

    ## What it does
    Finds tensors that are moved to a device outside of any loop and then put into a `TensorDataset`, or cut
    into batches in a training loop. Always advice.

    ## Why it matters
    The set stays on the device beside the model and its activations, so a set that grows no longer fits, and a loader
    with workers can't share tensors that lie on a GPU. For a set that is small and stays small, it is the fastest way.

    ## Do not flag
    Training on the full set in one step, such as on one graph; buffers that are filled on the device; made-up data;
    batches that are moved in the loop.

    ## Fix safety
    There is none: the batches have to be moved where they are used.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#memory-pinning
    """

    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader, TensorDataset

            features = «torch.from_numpy(features).to(device)»
            labels = ‹torch.tensor(labels, device="cuda")›
            loader = DataLoader(TensorDataset(features, labels), batch_size=32)
            """,
            advice=True,
        ),
        Bad(
            """
            from torch.utils import data

            dataset = data.TensorDataset(«x_train.cuda()», ‹y_train.cuda()›)
            train_loader = data.DataLoader(dataset, batch_size=64, shuffle=True)
            """,
            advice=True,
        ),
        Bad(
            """
            def train(model, X, y):
                X, y = «X.to(device)», ‹y.to(device)›
                for epoch in range(epochs):
                    order = torch.randperm(len(X))
                    for start in range(0, len(X), batch_size):
                        chosen = order[start : start + batch_size]
                        loss = criterion(model(X[chosen]), y[chosen])
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            x_train = «torch.tensor(frame.values, dtype=torch.float32).to("cuda")»
            for epoch in range(epochs):
                for i in range(0, len(x_train), 64):
                    batch = x_train[i : i + 64]
                    loss = criterion(model(batch), batch)
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()
            """,
            advice=True,
        ),
        Good(
            """
            dataset = TensorDataset(torch.from_numpy(x), torch.from_numpy(y).to(torch.float32))
            for inputs, targets in DataLoader(dataset, pin_memory=True):
                inputs, targets = inputs.to(device), targets.to(device)
                loss = criterion(model(inputs[:, :10]), targets)
                loss.backward()
                optimizer.step()
            """
        ),
        Good(
            """
            features, labels = features.to(device), labels.to(device)
            for epoch in range(epochs):
                output = model(features, adjacency)
                loss = F.nll_loss(output[idx_train], labels[idx_train])
                loss.backward()
                optimizer.step()
            """,
            why="one graph: every step needs the full set",
        ),
        Good(
            """
            observations = torch.zeros((steps, environments)).to(device)
            for start in range(0, batch_size, minibatch_size):
                loss = criterion(agent(observations[start : start + minibatch_size]))
                loss.backward()
                optimizer.step()
            """,
            why="a buffer that is filled on the device",
        ),
        Good(
            """
            alphas = scheduler.alphas.to(device)
            support = support.to(device)
            for batch in loader:
                timesteps = torch.randint(0, 1000, (len(batch),))
                for task in range(len(support)):
                    loss = criterion(model(batch * alphas[timesteps]), support[task])
                    loss.backward()
                optimizer.step()
            """,
            why="a table, and one task after the other",
        ),
        Good(
            """
            loader = DataLoader(TensorDataset(x.to("cpu"), torch.tensor(y, device="cpu")))
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        for place in dict.fromkeys(_moved_sets(module)):
            yield self.finding(
                module,
                place,
                "The whole data set takes up memory of the device for as long as training runs. Keep it on the host "
                "and move each batch in the loop, with `batch.to(device, non_blocking=True)` from pinned memory.",
                advice=True,
            )


def _moved_sets(module: Module) -> Iterator[ast.Call]:
    for call in module.calls("TensorDataset") if module.calls("DataLoader") else ():
        if module.is_call_to(call, "torch.utils.data.TensorDataset", "torch.utils.data.dataset.TensorDataset"):
            for tensor in call.args:
                yield from _moves(module, tensor)
    if module.step_regions:
        for subscript in module.nodes(ast.Subscript):
            if not isinstance(subscript.value, ast.Name):
                continue
            loop = module.step_region(subscript)
            if isinstance(loop, LOOPS) and _cuts_a_batch(module, subscript, loop):
                yield from _moves(module, subscript.value)


def _cuts_a_batch(module: Module, subscript: ast.Subscript, loop: Loop) -> bool:
    """Whether a subscript takes other rows in each turn of a loop: `i : i + size`, or indices chosen in the loop."""
    match subscript.slice:
        case ast.Slice(lower=ast.expr() as lower, upper=ast.expr()):
            return any(isinstance(node, ast.Name) for node in ast.walk(lower))
        case ast.Name() as index:
            bindings = module.reaching(index)
            return bool(bindings) and all(
                module.is_inside(binding.node, loop) and _chooses_rows(module, binding.value, subscript.value)
                for binding in bindings
            )
    return False


def _chooses_rows(module: Module, indices: ast.expr | None, tensor: ast.expr) -> bool:
    """Whether a value is a batch of row numbers: `order[i : i + size]`, `torch.randint(len(x), …)`, from a loader."""
    match indices:
        case ast.Subscript(slice=ast.Slice()):
            return True
        case ast.Call(func=ast.Name(id="range" | "enumerate" | "zip")):
            return False
        case ast.Name() | ast.Call():
            names = [node for node in ast.walk(indices) if isinstance(node, ast.Name)]
            makers = [call.func for name in names for call in module.origins(name) if isinstance(call, ast.Call)]
            sampled = _SAMPLES.search(ast.unparse(indices)) or any(_SAMPLES.search(ast.unparse(f)) for f in makers)
            return bool(sampled) or any(name.id == ast.unparse(tensor) for name in names)
    return False


def _moves(module: Module, tensor: ast.expr) -> Iterator[ast.Call]:
    """The calls outside of any loop that put a set on a device."""
    origins = module.origins(tensor)
    moves = [origin for origin in origins if isinstance(origin, ast.Call) and _moves_to_device(module, origin)]
    if len(moves) == len(origins):
        yield from (move for move in moves if not module.enclosing_loops(move))


def _moves_to_device(module: Module, call: ast.Call) -> bool:
    device = argument(call, "device")
    match call.func:
        case ast.Attribute(value=moved, attr="cuda"):
            return not _is_synthetic(module, moved)
        case ast.Attribute(value=moved, attr="to"):
            device = device or (call.args[0] if call.args else None)
            return device is not None and _is_device(device) and not _is_synthetic(module, moved)
    made = module.is_call_to(call, "torch.tensor", "torch.as_tensor")
    return made and device is not None and _is_device(device)


def _is_device(expression: ast.expr) -> bool:
    return bool(_DEVICE.search(ast.unparse(expression)))


def _is_synthetic(module: Module, tensor: ast.expr) -> bool:
    for origin in module.origins(tensor):
        root = origin
        while isinstance(root, ast.Call) and isinstance(root.func, ast.Attribute):
            if module.is_call_to(root, *_SYNTHETIC):
                return True
            root = root.func.value
    return False
