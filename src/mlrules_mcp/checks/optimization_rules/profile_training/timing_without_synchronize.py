from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from mlrules_mcp.checks._devices import torch_name
from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules._training import uses_cuda
from mlrules_mcp.findings import Edit, Finding, Fix, InsertBefore, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.gradients import last_name

_CLOCKS = frozenset(
    f"time.{name}" for name in "time time_ns perf_counter perf_counter_ns monotonic monotonic_ns".split()
) | {"timeit.default_timer", "datetime.datetime.now"}
_CLOCK_NAMES = tuple({name.rpartition(".")[2] for name in _CLOCKS})
# What is called between two looks at the clock without waiting for the device.
_QUEUED_METHODS = frozenset(
    "to cuda eval train detach backward step zero_grad squeeze unsqueeze view reshape permute transpose contiguous "
    "size dim mean sum float half long clone append argmax softmax sigmoid forward parameters".split()
)
_WAITING = frozenset("nonzero unique masked_select save load argwhere bincount equal allclose tensor".split())
_PLAIN_BUILTINS = frozenset(f"builtins.{name}" for name in "range len enumerate zip tuple list dict isinstance".split())
_LOSS = pattern(r"(?i:criterion|loss)")


class _Timing(NamedTuple):
    """Two looks at the clock in one block, and the model that runs between them."""

    begin: ast.stmt
    end: ast.Call
    run: ast.Call


class TimingWithoutSynchronize(Check[ast.Module]):
    """Work on a GPU that is timed without waiting for it.

    ## What it does
    Finds two looks at the clock with a model's forward or backward pass between them, on CUDA, and nothing that waits
    for the device.

    ## Why it matters
    CUDA calls return as soon as the work is queued. The clock then measures how fast Python queues it, often a tenth
    of the real time, and the rest is counted wherever the program waits next. Decisions that rest on such numbers
    speed up the wrong thing.

    ## Do not flag
    Whatever waits in between: `synchronize`, `.item()`, `.cpu()`, `.numpy()`, `print`, a function that this file does
    not show to be free of them; epochs over a loader, where the queue's rest does not count; code without CUDA.

    ## Fix safety
    Suggested: synchronizing makes the loop itself a little slower, so it belongs into measurements alone.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#asynchronous-execution
    - https://docs.pytorch.org/tutorials/recipes/recipes/benchmark.html
    """

    words = ("cuda",)
    examples = (
        Bad(
            """
            import time

            import torch

            model = Net().cuda()
            start = time.time()
            output = model(images)
            print("forward:", «time.time()» - start)
            """,
            suggested_fix="""
            import time

            import torch

            model = Net().cuda()
            torch.cuda.synchronize()
            start = time.time()
            output = model(images)
            torch.cuda.synchronize()
            print("forward:", time.time() - start)
            """,
        ),
        Bad(
            """
            from time import perf_counter

            import torch

            device = "cuda" if torch.cuda.is_available() else "cpu"

            def measure(model, batch):
                model.to(device).eval()
                with torch.no_grad():
                    begin = perf_counter()
                    for _ in range(100):
                        model(batch)
                    end = «perf_counter()»
                return (end - begin) / 100
            """,
            suggested_fix="""
            from time import perf_counter

            import torch

            device = "cuda" if torch.cuda.is_available() else "cpu"

            def measure(model, batch):
                model.to(device).eval()
                with torch.no_grad():
                    if torch.cuda.is_available():
                        torch.cuda.synchronize()
                    begin = perf_counter()
                    for _ in range(100):
                        model(batch)
                    if torch.cuda.is_available():
                        torch.cuda.synchronize()
                    end = perf_counter()
                return (end - begin) / 100
            """,
        ),
        Bad(
            """
            import time

            import torch

            for inputs, targets in loader:
                inputs = inputs.cuda()
                t0 = time.perf_counter()
                loss = criterion(model(inputs), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                step_times.append(«time.perf_counter()» - t0)
            """,
            suggested_fix="""
            import time

            import torch

            for inputs, targets in loader:
                inputs = inputs.cuda()
                torch.cuda.synchronize()
                t0 = time.perf_counter()
                loss = criterion(model(inputs), targets)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                torch.cuda.synchronize()
                step_times.append(time.perf_counter() - t0)
            """,
        ),
        Good(
            """
            import time

            import torch

            model = Net().cuda()
            torch.cuda.synchronize()
            start = time.time()
            output = model(images)
            torch.cuda.synchronize()
            print(time.time() - start)

            start = time.time()
            loss = criterion(model(images), labels).item()
            print(time.time() - start)

            start = time.time()
            predictions = model(images).argmax(1).cpu()
            elapsed = time.time() - start

            start = time.time()
            boxes = postprocess(model(images))
            elapsed = time.time() - start

            start = time.time()
            loss = criterion(model(images), labels)
            if loss > best:
                best = loss
            elapsed = time.time() - start
            """
        ),
        Good(
            """
            import time

            import torch

            model = Net().cuda()
            for epoch in range(epochs):
                start = time.time()
                for inputs, targets in loader:
                    loss = criterion(model(inputs.cuda()), targets.cuda())
                    loss.backward()
                    optimizer.step()
                print(f"epoch {epoch}: {time.time() - start:.0f} s")
            """,
            why="an epoch: what is left in the queue does not count",
        ),
        Good(
            """
            import time

            import torch

            model = Net()
            start = time.time()
            output = model(images)
            print(time.time() - start)
            """,
            why="nothing here runs on CUDA",
        ),
        Good(
            """
            import time

            import torch

            def now():
                torch.cuda.synchronize()
                return time.time()

            start = now()
            output = model(images.cuda())
            print(now() - start)

            start = time.time()
            images = images.cuda()
            print(time.time() - start)
            """,
            why="a clock of its own that waits; no model in between",
        ),
        Good(
            """
            import time

            import torch

            model.cuda()
            start = time.time()
            scaler.scale(criterion(model(images), labels)).backward()
            scaler.step(optimizer)
            print(time.time() - start)

            start = time.time()
            output = model(images).to("cpu")
            print(time.time() - start)

            start = time.time()
            tokens = model.generate(**inputs)
            print(time.time() - start)

            start = time.time()
            output = cpu_model(images)
            print(time.time() - start)

            start = time.time()
            engine = builder.build_serialized_network(network, config)
            print(time.time() - start)
            """,
            why="a GradScaler's step, a move to the CPU and generation wait for the device; others do not run on it",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if "time" not in code or not uses_cuda(module):
            return
        for end in module.calls(*_CLOCK_NAMES):
            timing = _timing(module, end)
            if timing is not None:
                yield self.finding(
                    module,
                    end,
                    "The device is still at work when this looks at the clock, so what is measured is only how fast "
                    "the work was queued. Call `torch.cuda.synchronize()` before both looks at the clock.",
                    fix=_synchronized(module, timing),
                    related=[(timing.run, "this only queues the work")],
                )


def _is_clock(module: Module, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and module.qualified_name(node.func) in _CLOCKS


def _timing(module: Module, end: ast.Call) -> _Timing | None:
    """What is timed by a second look at the clock; None where it is none, or the device may have been waited for."""
    begin = _begin(module, end)
    if begin is None:
        return None
    last = module.statement(end)
    block = module.block(begin)
    if last not in block[block.index(begin) + 1 :]:
        return None
    between = block[block.index(begin) + 1 : block.index(last)]
    work = [each for statement in between for each in module.walk(statement)]
    runs = [each for each in work if isinstance(each, ast.Call) and runs_model(module, each) and not _is_for_cpu(each)]
    if not runs or any(map(_loops_over_data, work)) or _waits(module, between, work):
        return None
    return _Timing(begin, end, runs[0])


def _is_for_cpu(run: ast.Call) -> bool:
    return "cpu" in ast.unparse(run).lower()


def _begin(module: Module, end: ast.Call) -> ast.stmt | None:
    """The assignment of the first look at the clock, which is taken from the second."""
    if not _is_clock(module, end):
        return None
    for difference in _differences(module, end):
        if isinstance(difference.right, ast.Name):
            looks = [each for each in module.values_of(difference.right) if _is_clock(module, each)]
            before = [each for each in looks if start(each) < start(end)]
            if before and module.enclosing_function(before[-1]) is module.enclosing_function(end):
                statement = module.statement(before[-1])
                return statement if isinstance(statement, ast.Assign) and statement.value is before[-1] else None
    return None


def _differences(module: Module, end: ast.Call) -> Iterator[ast.BinOp]:
    """The subtractions from a look at the clock: in place, or of the variable that it is assigned to."""
    match module.parent(end):
        case ast.BinOp(left=left, op=ast.Sub()) as difference if left is end:
            yield difference
        case ast.Assign(targets=[ast.Name(id=name)]) as statement if statement.value is end:
            for each in module.nodes(ast.BinOp):
                match each:
                    case ast.BinOp(left=ast.Name() as left, op=ast.Sub()) if left.id == name:
                        if end in module.values_of(left):
                            yield each


def _loops_over_data(node: ast.AST) -> bool:
    """Whether a node is a loop over anything but a plain count."""
    match node:
        case ast.For(iter=ast.Call(func=ast.Name(id="range" | "trange"))):
            return False
        case ast.For() | ast.AsyncFor() | ast.While() | ast.ListComp() | ast.DictComp() | ast.GeneratorExp():
            return True
    return False


def _waits(module: Module, between: list[ast.stmt], work: list[ast.AST]) -> bool:
    """Whether anything between two looks at the clock may wait for the device."""
    computed = {each.id for each in work if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for each in work:
        match each:
            case ast.Call() if not _is_queued(module, each):
                return True
            case ast.If(test=test) | ast.IfExp(test=test) | ast.Assert(test=test):
                if any(isinstance(part, ast.Name) and part.id in computed for part in ast.walk(test)):
                    return True
            case ast.Return() | ast.Yield() | ast.Await() | ast.Break() | ast.JoinedStr():
                return True
    return False


def _is_queued(module: Module, call: ast.Call) -> bool:
    """Whether a call is known to return without waiting for the device."""
    if runs_model(module, call) or _is_clock(module, call):
        return True
    name = module.qualified_name(call.func)
    if name is not None:
        is_torch = name.startswith("torch.") and not name.startswith(
            ("torch.cuda.", "torch.distributed.", "torch.prof")
        )
        return (is_torch and name.rpartition(".")[2] not in _WAITING) or name in _PLAIN_BUILTINS
    match call.func:
        case ast.Attribute(value=value, attr="step"):
            if "sched" in (last_name(value) or ""):
                return True
            return module.is_optimizer(value) and not module.is_grad_scaler(value)
        case ast.Attribute(attr="to"):
            return not any(isinstance(arg, ast.Constant) and arg.value == "cpu" for arg in call.args)
        case ast.Attribute(attr=method):
            return method in _QUEUED_METHODS
        case ast.Name():
            return module.local_function(call) is None and bool(_LOSS.search(last_name(call.func) or ""))
    return False


def _synchronized(module: Module, timing: _Timing) -> Fix | None:
    torch = torch_name(module)
    if torch is None:
        return None
    code = f"{torch}.cuda.synchronize()"
    if "cuda.is_available()" in module.source.code:
        code = f"if {torch}.cuda.is_available():\n    {code}"
    edits: list[Edit] = [InsertBefore(Span.of(each), code) for each in (timing.begin, module.statement(timing.end))]
    return suggested("Wait for the device before looking at the clock", *edits)
