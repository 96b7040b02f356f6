from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._models import is_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._dtypes import (
    DOUBLE,
    converts_to,
    is_numpy_float64,
    names_dtype,
)
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._torch_name import torch_name
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._uses import feeds_training, stays_wide
from mlrules_mcp.findings import Edit, Finding, Fix, RemoveStatement, Replace, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments
from mlrules_mcp.source.values import MODULE

_FACTORIES = frozenset("arange empty eye full linspace normal ones rand randn tensor zeros".split())
_FROM_NUMPY = frozenset({"from_numpy", "tensor", "as_tensor"})
_DEFAULTS = frozenset({"set_default_dtype", "set_default_tensor_type"})
_CONVERSIONS = frozenset({"double", "to", "type"})
_DOUBLE_WORD = pattern(r"float64|double|dtype|precision", re.IGNORECASE)
# Code that checks gradients, solves equations or models with kernels needs the digits.
_NUMERICS = frozenset("botorch gpytorch linear_operator torchcde torchdiffeq torchdyn torchode torchsde scipy".split())
_NUMERIC_CALLS = ("gradcheck", "gradgradcheck", "eigh", "eigvalsh", "cholesky", "solve", "svd", "slogdet", "inv")

_WHY = "float64 takes twice the memory, runs many times slower on GPUs, and does not exist on Apple's (MPS)."


class Float64InTraining(Check[ast.Call]):
    """Training in float64.

    ## What it does
    Finds, in modules that train: models that are turned into float64, a default dtype of float64, tensors of float64
    that a model or a loss is called with or that a `forward` makes, and NumPy arrays of float64 that become tensors
    as they are.

    ## Why it matters
    float64 takes twice the memory of float32 and runs up to 64 times slower on consumer GPUs; on Apple's GPUs it
    raises a TypeError. A float64 tensor from NumPy that meets float32 parameters raises a RuntimeError.

    ## Do not flag
    Gradient checks, linear algebra and differential equations, which need the digits; sums and averages kept in
    float64; schedules and weights made once; a precision the user chose; modules that train nothing.

    ## Fix safety
    Suggested: results change in the eighth digit, and other tensors may have to follow.

    ## References
    - https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch.dtype
    - https://docs.pytorch.org/docs/stable/notes/mps.html
    """

    names = _FACTORIES | _FROM_NUMPY | _DEFAULTS | _CONVERSIONS
    examples = (
        Bad(
            """
            import torch

            model = «Net().double()»
            for inputs, targets in loader:
                loss = criterion(model(«inputs.double()»), ‹targets.to(torch.float64)›)
                loss.backward()
                optimizer.step()
            """,
            suggested_fix="""
            import torch

            model = Net()
            for inputs, targets in loader:
                loss = criterion(model(inputs.float()), targets.to(torch.float32))
                loss.backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Forecaster(nn.Module):
                def forward(self, series):
                    state = «torch.zeros(series.size(0), 51, dtype=torch.double)»
                    return self.cell(series, state)

            forecaster = Forecaster()
            «forecaster.double()»
            for series in loader:
                criterion(forecaster(series), series).backward()
                optimizer.step()
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Forecaster(nn.Module):
                def forward(self, series):
                    state = torch.zeros(series.size(0), 51, dtype=torch.float32)
                    return self.cell(series, state)

            forecaster = Forecaster()
            for series in loader:
                criterion(forecaster(series), series).backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            import torch

            dtype = torch.float64
            «torch.set_default_dtype(dtype)»

            def train(model, loader):
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """,
            suggested_fix="""
            import torch

            dtype = torch.float64
            torch.set_default_dtype(torch.float32)

            def train(model, loader):
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch
            from torch.utils.data import DataLoader, TensorDataset

            x = np.linspace(-1, 1, 200).reshape(-1, 1)
            y = np.sin(x) + 0.1 * np.random.randn(200, 1)
            dataset = TensorDataset(«torch.from_numpy(x)», ‹torch.tensor(y)›)
            for inputs, targets in DataLoader(dataset, batch_size=10):
                criterion(model(inputs), targets).backward()
                optimizer.step()
            """,
            suggested_fix="""
            import numpy as np
            import torch
            from torch.utils.data import DataLoader, TensorDataset

            x = np.linspace(-1, 1, 200).reshape(-1, 1)
            y = np.sin(x) + 0.1 * np.random.randn(200, 1)
            dataset = TensorDataset(torch.from_numpy(x).float(), torch.tensor(y, dtype=torch.float32))
            for inputs, targets in DataLoader(dataset, batch_size=10):
                criterion(model(inputs), targets).backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch

            points = «torch.from_numpy(np.array([[0.5, 1], [2, 3]]))».to(device)
            for step in range(1000):
                criterion(model(points[:1]), 0).backward()
                optimizer.step()
            """,
            suggested_fix="""
            import numpy as np
            import torch

            points = torch.from_numpy(np.array([[0.5, 1], [2, 3]])).float().to(device)
            for step in range(1000):
                criterion(model(points[:1]), 0).backward()
                optimizer.step()
            """,
        ),
        Bad(
            """
            import numpy as np
            import torch

            model = «build(config).double()».to(device)
            x = «torch.from_numpy(np.random.rand(100, 3))»
            for step in range(1000):
                model(x).mean().backward()
                optimizer.step()
            """,
            suggested_fix="""
            import numpy as np
            import torch

            model = build(config).to(device)
            x = torch.from_numpy(np.random.rand(100, 3)).float()
            for step in range(1000):
                model(x).mean().backward()
                optimizer.step()
            """,
        ),
        Good(
            """
            import numpy as np
            import torch

            x = torch.from_numpy(np.random.rand(100, 3)).float()
            y = torch.tensor(np.random.rand(100), dtype=torch.float32)
            z = torch.from_numpy(np.zeros((100, 3), np.float32))
            w = torch.from_numpy(np.random.rand(100, 3).astype(np.float32)).to(device)
            v = torch.from_numpy(np.random.rand(100, 3)).to(device, torch.float32)
            u = torch.from_numpy(np.random.rand(100, 3))
            for step in range(1000):
                loss = criterion(model(x, z, w, v, u.float()), y)
                loss.backward()
                optimizer.step()
            """,
            "converted to float32",
        ),
        Good(
            """
            import torch
            from torch.utils.data import WeightedRandomSampler

            sampler = WeightedRandomSampler(torch.from_numpy(np.ones(100)), 100)
            betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
            total = torch.zeros(1, dtype=torch.float64)
            for inputs, targets in loader:
                output = model(inputs)
                loss = criterion(output, targets)
                loss.backward()
                optimizer.step()
                total += loss.detach().double()
                accuracy = (output.argmax(1) == targets).double().mean()
            """,
            "weights for sampling, a schedule made once, sums and averages",
        ),
        Good(
            """
            import torch
            from torch.autograd import gradcheck

            model = Net().double()
            assert gradcheck(model, torch.rand(4, dtype=torch.double, requires_grad=True))
            for inputs in loader:
                model(inputs.double()).mean().backward()
                optimizer.step()
            """,
            "a gradient check needs the digits",
        ),
        Good(
            """
            import torch

            if args.precision == "float64":
                model.double()
            elif args.double:
                torch.set_default_dtype(torch.float64)
            for inputs in loader:
                model(inputs).mean().backward()
                optimizer.step()
            """,
            "a precision that the user chose",
        ),
        Good(
            """
            import torch

            def evaluate(model, inputs):
                model = model.double()
                return model(inputs.double())
            """,
            "no training",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not module.step_regions:
            return
        found = _find(module, node)
        if found is not None and not _needs_digits(module) and not _is_chosen(module, node):
            what, fix = found
            yield self.finding(module, node, f"{what} {_WHY}", fix=fix)


def _find(module: Module, call: ast.Call) -> tuple[str, Fix] | None:
    """What is wrong about a call, as a sentence, and its fix."""
    name = module.called_name(call) or ""
    if name in _CONVERSIONS:
        return _conversion(module, call) if converts_to(module, call, "double", DOUBLE) else None
    if module.qualified_name(call.func) != f"torch.{name}":
        return None
    torch, imports = torch_name(module, call.func)
    if name in _DEFAULTS:
        if call.args and names_dtype(module, call.args[0], DOUBLE):
            code = f"{torch}.set_default_dtype({torch}.float32)"
            fix = suggested("Train in float32", Replace(Span.of(call), code), *imports)
            return "Everything is made in float64 from here on; leave the default dtype as it is.", fix
        return None
    if names_dtype(module, argument(call, "dtype"), DOUBLE):
        if feeds_training(module, call) or _is_in_forward(module, call):
            fix = suggested("Make it float32", SetArgument(Span.of(call), "dtype", f"{torch}.float32"), *imports)
            return "This tensor drags what it meets to float64; make it `torch.float32`.", fix
        return None
    return _from_numpy(module, call, torch) if name in _FROM_NUMPY else None


def _conversion(module: Module, call: ast.Call) -> tuple[str, Fix] | None:
    assert isinstance(call.func, ast.Attribute)
    is_trained = is_model(module, call.func.value) or _becomes_model(module, call)
    if not is_trained and not feeds_training(module, call):
        return None
    edit: Edit = _narrowed(module, call)
    if is_trained:
        statement = module.parent(call)
        if isinstance(statement, ast.Expr) and call.func.attr == "double":
            edit = RemoveStatement(Span.of(statement))
        elif call.func.attr == "double":
            edit = Replace(Span.of(call), module.text(call.func).removesuffix("double").rstrip().removesuffix("."))
        return "The model is trained in float64; leave it in float32.", suggested("Leave it in float32", edit)
    return "The model or the loss computes in float64 with this; convert it to float32.", suggested("Use float32", edit)


def _narrowed(module: Module, call: ast.Call) -> Edit:
    """The edit that makes a conversion one to float32: `x.float()`, or the other dtype in `x.to(…)`."""
    assert isinstance(call.func, ast.Attribute)
    for given in (*call.args, *(keyword.value for keyword in call.keywords)):
        if names_dtype(module, given, DOUBLE):
            torch, _ = torch_name(module, given)
            return Replace(Span.of(given), f"{torch}.float32")
    return Replace(Span.of(call.func), module.text(call.func).removesuffix("double") + "float")


def _becomes_model(module: Module, call: ast.Call) -> bool:
    """Whether what a call gives is kept under a model's name: `model = build(…).double().to(device)`."""
    for ancestor in module.ancestors(call):
        match ancestor:
            case ast.Attribute():
                continue
            case ast.Call(func=ast.Attribute(attr="to" | "cuda" | "train")):
                continue
            case ast.Assign(targets=[target]):
                return is_model(module, target)
        return False
    return False


def _from_numpy(module: Module, call: ast.Call, torch: str) -> tuple[str, Fix] | None:
    if not call.args or argument(call, "dtype") is not None or passes_unseen_arguments(call):
        return None
    if not is_numpy_float64(module, call.args[0]):
        return None
    if not stays_wide(module, call) or not feeds_training(module, call):
        return None
    if module.called_name(call) == "from_numpy":
        edit: Replace | SetArgument = Replace(Span.of(call), f"{module.text(call)}.float()")
    else:
        edit = SetArgument(Span.of(call), "dtype", f"{torch}.float32")
    what = "NumPy makes float64, and this tensor keeps it; convert it to float32, which the parameters are."
    return what, suggested("Convert it to float32", edit)


def _is_in_forward(module: Module, call: ast.Call) -> bool:
    function, cls = module.enclosing_function(call), module.enclosing_class(call)
    return function is not None and function.name == "forward" and cls is not None and module.is_subclass(cls, MODULE)


def _needs_digits(module: Module) -> bool:
    """Whether a module checks gradients or does numerics that ask for float64."""
    return bool(module.imported_packages & _NUMERICS) or bool(module.calls(*_NUMERIC_CALLS))


def _is_chosen(module: Module, node: ast.AST) -> bool:
    """Whether float64 is one precision of several that the caller can choose."""
    return any(_DOUBLE_WORD.search(ast.unparse(guard.test)) for guard in module.guards(node))
