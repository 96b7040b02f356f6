from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import LOOPS

_CONSTRUCTORS = ("tensor", "as_tensor", "Tensor", "FloatTensor", "LongTensor", "DoubleTensor", "IntTensor")
_MAKES_ARRAY = frozenset(
    "array asarray zeros ones full arange linspace concatenate stack vstack hstack load pad transpose reshape resize "
    "expand_dims eye zeros_like ones_like squeeze".split()
)
_ARRAY_METHODS = frozenset({"numpy", "toarray", "astype", "to_numpy", "todense"})
_ENVIRONMENT = pattern(r"(^|_)envs?$")
_BATCHES = pattern(r"(?i:load|batch|sampl|iter|buffer|memory|pool|queue|_dl$)")

_ARRAYS = (
    "A list of arrays is converted number by number here, which takes about a hundred times as long as copying them. "
    "Join them first: `{constructor}({numpy}.array({items}))`."
)
_ONE_BY_ONE = (
    "This converts one sample at a time in every epoch, and each step trains on that sample alone. "
    "Convert the whole set once before the loops, and take batches from it with a DataLoader."
)


class SampleBySampleConversion(Check[ast.Call]):
    """Data that becomes a tensor one number or one sample at a time.

    ## What it does
    Finds `torch.tensor` and the like of a list of NumPy arrays, and training loops that run over a data set in memory
    and convert each sample when its turn comes.

    ## Why it matters
    From a list of arrays PyTorch takes every number on its own and warns that this is extremely slow: 64 arrays of 100
    by 100 took 0.23 s, and 0.002 s joined by `np.array` first. Samples that are converted one by one cost that in each
    epoch again, and leave a device that could run hundreds at once nearly idle.

    ## Do not flag
    Lists of numbers, of tensors, and of what this file does not show to be arrays; a list of one; batches of a loader;
    tests and benchmarks.

    ## Fix safety
    Safe: `np.array` gives the same numbers in the same type, and where the shapes differ both fail. Training in
    batches has no fix: the loop has to be written anew.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html
    - https://github.com/pytorch/pytorch/issues/13918
    """

    names = frozenset(_CONSTRUCTORS)
    examples = (
        Bad(
            """
            import numpy as np
            import torch

            images = «torch.tensor([np.load(path) for path in paths])»
            """,
            safe_fix="""
            import numpy as np
            import torch

            images = torch.tensor(np.array([np.load(path) for path in paths]))
            """,
        ),
        Bad(
            """
            import numpy
            import torch

            def rollout(env, model):
                states, rewards = [], []
                state, _ = env.reset()
                while True:
                    states.append(state)
                    state, reward, done, _, _ = env.step(act(model, state))
                    rewards.append(reward)
                    if done:
                        break
                return «torch.FloatTensor(states)», torch.tensor(rewards)
            """,
            safe_fix="""
            import numpy
            import torch

            def rollout(env, model):
                states, rewards = [], []
                state, _ = env.reset()
                while True:
                    states.append(state)
                    state, reward, done, _, _ = env.step(act(model, state))
                    rewards.append(reward)
                    if done:
                        break
                return torch.FloatTensor(numpy.array(states)), torch.tensor(rewards)
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch

            def collate(batch):
                features = [item["features"].numpy() for item in batch]
                left, right = np.zeros(3), np.ones(3)
                return «torch.as_tensor(features, dtype=torch.float32)», «torch.Tensor([left, right])»
            """,
            safe_fix="""
            import numpy as np
            import torch

            def collate(batch):
                features = [item["features"].numpy() for item in batch]
                left, right = np.zeros(3), np.ones(3)
                return torch.as_tensor(np.array(features), dtype=torch.float32), torch.Tensor(np.array([left, right]))
            """,
        ),
        Bad(
            """
            import torch

            for epoch in range(100):
                for context, target in ngrams:
                    inputs = «torch.tensor([index[word] for word in context])»
                    label = ‹torch.tensor([index[target]])›
                    optimizer.zero_grad()
                    loss = criterion(model(inputs), label)
                    loss.backward()
                    optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            for epoch in range(epochs):
                for i in range(len(x_train)):
                    loss = criterion(model(«torch.FloatTensor(x_train[i])»), y[i])
                    loss.backward()
                    optimizer.step()
            """
        ),
        Good(
            """
            import numpy as np
            import torch

            labels = torch.tensor([label for _, label in samples])
            images = torch.tensor(np.array([np.load(path) for path in paths]))
            lengths = torch.tensor([len(np.load(path)) for path in paths])
            means = torch.tensor([np.mean(row) for row in rows])
            one = torch.tensor([np.zeros(3)])
            stacked = torch.stack([torch.from_numpy(np.load(path)) for path in paths])
            unknown = torch.tensor([load(path) for path in paths])
            """
        ),
        Good(
            """
            import torch

            for epoch in range(epochs):
                for inputs, targets in train_loader:
                    loss = criterion(model(torch.tensor(inputs)), torch.tensor(targets))
                    loss.backward()
                    optimizer.step()
                for words, labels in get_batches(text, 512):
                    loss = criterion(model(torch.LongTensor(words)), torch.LongTensor(labels))
                    loss.backward()
                    optimizer.step()
                for start in range(0, len(x), 32):
                    loss = criterion(model(torch.tensor(x[start : start + 32])), torch.tensor(y[start : start + 32]))
                    loss.backward()
                    optimizer.step()
            """,
            why="batches",
        ),
        Good(
            """
            import torch

            for action, reward in zip(actions, rewards):
                loss = -policy(torch.tensor(action)) * torch.tensor(reward)
                loss.backward()
            optimizer.step()
            """,
            why="once, not in every epoch",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not node.args or not (module.qualified_name(node.func) or "").startswith("torch."):
            return
        items = node.args[0]
        if _holds_arrays(module, items):
            if not is_test_or_benchmark(module):
                numpy = _numpy_name(module)
                text = module.text(items) if isinstance(items, ast.Name) else "items"
                message = _ARRAYS.format(constructor=module.text(node.func), numpy=numpy or "np", items=text)
                yield self.finding(module, node, message, fix=_joined(module, items, numpy))
        elif _is_one_sample(module, node, items) and not is_test_or_benchmark(module):
            yield self.finding(module, node, _ONE_BY_ONE)


def _holds_arrays(module: Module, items: ast.expr) -> bool:
    """Whether a value is a list whose items are seen to be arrays."""
    if not isinstance(items, ast.Name | ast.List | ast.ListComp):
        return False
    origins = module.origins(items)
    return bool(origins) and all(_is_list_of_arrays(module, origin, items) for origin in origins)


def _is_list_of_arrays(module: Module, origin: ast.expr, items: ast.expr) -> bool:
    match origin:
        case ast.ListComp(elt=item):
            return _is_array(module, item)
        case ast.List(elts=[_, _, *_] as parts):
            return all(_is_array(module, part) for part in parts)
        case ast.List(elts=[]) if isinstance(items, ast.Name):
            appended = list(_appended(module, items))
            return bool(appended) and all(_is_array(module, item) for item in appended)
    return False


def _appended(module: Module, items: ast.Name) -> Iterator[ast.expr]:
    """What the function of a list appends to it."""
    function = module.enclosing_function(items)
    for call in module.calls("append", "extend", "insert"):
        match call.func:
            case ast.Attribute(value=ast.Name(id=name)) if name == items.id:
                if module.enclosing_function(call) is function:
                    yield call.args[0] if call.args and call.func.attr == "append" else call


def _is_array(module: Module, item: ast.expr) -> bool:
    origins = module.origins(item)
    return bool(origins) and all(_makes_array(module, origin) for origin in origins)


def _makes_array(module: Module, origin: ast.expr) -> bool:
    match origin:
        case ast.Call(func=ast.Attribute(attr=method)) if method in _ARRAY_METHODS:
            return True
        case ast.Call(func=func):
            package, _, name = (module.qualified_name(func) or "").partition(".")
            return (package == "numpy" and name in _MAKES_ARRAY) or _observes(func)
        case ast.Name():
            bindings = [binding for binding in module.reaching(origin) if binding.kind != "assignment"]
            return bool(bindings) and all(
                binding.kind == "unpacking"
                and binding.index == 0
                and isinstance(binding.value, ast.Call)
                and _observes(binding.value.func)
                for binding in bindings
            )
    return False


def _observes(func: ast.expr) -> bool:
    """Whether a function gives an observation of an environment: `env.step`, `env.reset`."""
    match func:
        case ast.Attribute(value=environment, attr="step" | "reset"):
            return bool(_ENVIRONMENT.search(last_name(environment) or ""))
    return False


def _is_one_sample(module: Module, call: ast.Call, items: ast.expr) -> bool:
    """Whether a call converts the sample that a training loop over data in memory has come to."""
    loop = module.step_region(call)
    if not isinstance(loop, ast.For) or not any(isinstance(each, LOOPS) for each in module.enclosing_loops(loop)):
        return False
    if not isinstance(loop.iter, ast.Name | ast.Call) or _BATCHES.search(ast.unparse(loop.iter)):
        return False
    match loop.iter:
        case ast.Name():
            pass
        case ast.Call(func=ast.Name(id="zip" | "enumerate"), args=args) if all(isinstance(a, ast.Name) for a in args):
            pass
        case ast.Call(func=ast.Name(id="range"), args=[ast.Call(func=ast.Name(id="len"))]):
            return isinstance(items, ast.Subscript) and _names(items.slice) <= _names(loop.target) != set()
        case _:
            return False
    return bool(_names(loop.target) & _names(items))


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _numpy_name(module: Module) -> str | None:
    """What the module calls numpy: `np`, or `numpy`."""
    for statement in module.nodes(ast.Import):
        for alias in statement.names:
            if alias.name == "numpy":
                return alias.asname or "numpy"
    return None


def _joined(module: Module, items: ast.expr, numpy: str | None) -> Fix | None:
    if numpy is None:
        return None
    return safe("Join the arrays first", Replace(Span.of(items), f"{numpy}.array({module.text(items)})"))
