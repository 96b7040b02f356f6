"""What the table says of PyTorch holds for the PyTorch that is installed."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._deprecated import (
    ARGUMENTS,
    CALLS,
    METHODS,
    MISSING,
    MODULES,
    Deprecated,
)
from mlrules_mcp.source import SourceFile

torch = pytest.importorskip("torch", reason="the table is about the installed PyTorch")
INSTALLED = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Deprecated things warn: that is why they are in the table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_gone(fact: Deprecated) -> bool:
    return fact.removed is not None and tuple(map(int, fact.removed.split("."))) <= INSTALLED


def resolved(name: str) -> Any:
    """What a dotted name stands for; raises AttributeError or ImportError."""
    first, *rest = name.split(".")
    value, path = importlib.import_module(first), first
    for part in rest:
        path = f"{path}.{part}"
        value = getattr(value, part) if hasattr(value, part) else importlib.import_module(path)
    return value


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_function_is_there_exactly_if_the_table_does_not_call_it_removed(name: str) -> None:
    if not is_gone(CALLS[name]):
        assert callable(resolved(name))
        return
    with pytest.raises((ImportError, AttributeError, TypeError, RuntimeError)):
        resolved(name)(torch.eye(2), torch.eye(2))


@pytest.mark.parametrize("name", sorted(name for name, fact in CALLS.items() if fact.renamed))
def test_what_a_function_was_renamed_to_is_there(name: str) -> None:
    assert callable(resolved(str(CALLS[name].renamed)))


@pytest.mark.parametrize("name", sorted(MISSING))
def test_a_function_that_lacks_an_argument_is_there(name: str) -> None:
    assert callable(resolved(name))


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name in sorted(ARGUMENTS) for argument in ARGUMENTS[name]]
)
def test_an_argument_is_taken_exactly_if_the_table_does_not_call_it_removed(name: str, argument: str) -> None:
    fact = ARGUMENTS[name][argument]
    if not fact.ignored:
        assert (argument in inspect.signature(resolved(name)).parameters) != is_gone(fact)


def test_methods_are_there_exactly_if_the_table_does_not_call_them_removed() -> None:
    scheduler = torch.optim.lr_scheduler.LRScheduler
    owners = {"print_lr": scheduler, "register_backward_hook": torch.nn.Module, "symeig": torch.Tensor}
    assert owners.keys() == METHODS.keys()
    for name, fact in METHODS.items():
        if name == "symeig":
            with pytest.raises(RuntimeError, match="removed"):
                torch.eye(2).symeig()
        else:
            assert hasattr(owners[name], name) != is_gone(fact)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_removed_module_can_not_be_imported(name: str) -> None:
    if is_gone(MODULES[name]):
        with pytest.raises(ImportError):
            importlib.import_module(name)
    else:
        importlib.import_module(name)


@pytest.mark.parametrize(
    "expression",
    [
        "torch.qr(A)",
        "torch.cholesky(S)",
        "torch.chain_matmul(A, S, A)",
        "torch.ger(A[0], A[1])",
        "torch.range(0, 3)",
        "torch.range(1, 4)",
        "torch.meshgrid(A[0], A[1])",
        "F.upsample(image, scale_factor=2)",
        "F.upsample_nearest(image, (6, 6))",
        "F.upsample_bilinear(image, scale_factor=2)",
        "torch.nn.MSELoss(size_average=False)(A, S)",
        "torch.nn.MSELoss(reduce=False)(A, S)",
        "F.l1_loss(A, S, size_average=True, reduce=True)",
        "torch.nn.UpsamplingNearest2d(scale_factor=2)(image)",
        "torch.nn.utils.clip_grad_norm([parameter], 1.0)",
        "functorch.vmap(torch.sum)(A)",
        "functorch.grad(torch.sum)(A)",
    ],
)
def test_a_safe_fix_gives_what_the_deprecated_call_gave(expression: str) -> None:
    header = "import functorch\nimport torch\nimport torch.nn.functional as F\n"
    source = SourceFile.from_text(f"{header}result = {expression}\n", "train.py")
    catalogue = Catalogue().narrowed(select=["removed-or-deprecated-call"])
    fixed = fix(source, catalogue, ["safe"])
    assert fixed.applied
    assert not fixed.analysis.findings
    before, after = (flat(run(code)) for code in (source.text, fixed.source.text))
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other)


def run(code: str) -> Any:
    matrix = torch.arange(9.0).square().reshape(3, 3).sin()
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.grad = torch.full((3,), 5.0)
    names = {"A": matrix, "S": matrix @ matrix.T + torch.eye(3), "image": matrix[None, None], "parameter": parameter}
    exec(code, names)
    return names["result"]


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]
