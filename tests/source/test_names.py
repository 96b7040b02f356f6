"""What names and dotted expressions stand for."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from mlrules_mcp.source import Module, SourceFile
from mlrules_mcp.source.names import argument, canonical, passes_unseen_arguments
from tests.source.support import call, module_of, read


def meaning(code: str, text: str = "target") -> str | None:
    """The qualified name of the last expression with a text."""
    module = module_of(code)
    return module.qualified_name(read(module, text))


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("import torch\ntorch.load", "torch.load", "torch.load"),
        ("import torch as t\nt.load", "t.load", "torch.load"),
        ("import torch.nn\ntorch.nn.Linear", "torch.nn.Linear", "torch.nn.Linear"),
        ("import torch.nn\ntorch.load", "torch.load", "torch.load"),
        ("import torch.nn as N\nN.Linear", "N.Linear", "torch.nn.Linear"),
        ("import torch, torch.nn\ntorch.nn.Linear", "torch.nn.Linear", "torch.nn.Linear"),
        ("from torch import nn\nnn.Linear", "nn.Linear", "torch.nn.Linear"),
        ("from torch import nn as N\nN.functional.relu", "N.functional.relu", "torch.nn.functional.relu"),
        ("from torch import load\nload", "load", "torch.load"),
        ("from torch import load as read_it\nread_it", "read_it", "torch.load"),
        ("import lightning as L\nL.Trainer", "L.Trainer", "lightning.pytorch.Trainer"),
        ("import lightning.pytorch as pl\npl.Trainer", "pl.Trainer", "lightning.pytorch.Trainer"),
        ("import pytorch_lightning as pl\npl.Trainer", "pl.Trainer", "lightning.pytorch.Trainer"),
        ("from pytorch_lightning import Trainer\nTrainer", "Trainer", "lightning.pytorch.Trainer"),
        ("from . import nn\nnn.Linear", "nn.Linear", ".nn.Linear"),
        ("from .layers import Linear\nLinear", "Linear", ".layers.Linear"),
        ("from ..a.b import c\nc.d", "c.d", "..a.b.c.d"),
        ("print", "print", "builtins.print"),
    ],
)
def test_imports_are_resolved(code: str, text: str, expected: str) -> None:
    assert meaning(code, text) == expected


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import torch\ntorch().load", "torch().load"),
        ("import torch\ntorch[0].load", "torch[0].load"),
        ("def load(): pass\nload", "load"),
        ("class Linear: pass\nLinear", "Linear"),
        ("x = 1\nx", "x"),
        ("for x in y:\n  x.load", "x.load"),
        ("unknown", "unknown"),
        ("unknown.load", "unknown.load"),
        ("def f(torch):\n  torch.load", "torch.load"),
        ("import torch\ntorch = fake()\ntorch.load", "torch.load"),
        ("import torch\nlambda torch: torch.load", "torch.load"),
        ("import torch\n[torch.load for torch in torches]", "torch.load"),
        ("import torch\nclass A:\n  torch = 1\n  torch.load", "torch.load"),
        ("import torch\ndef f():\n  torch.load\n  torch = 1", "torch.load"),
        ("import torch\ntry: pass\nexcept E as torch:\n  torch.load", "torch.load"),
        ("import torch\nmatch y:\n  case torch:\n    torch.load", "torch.load"),
    ],
)
def test_what_has_no_name_of_its_own_has_none(code: str, text: str) -> None:
    assert meaning(code, text) is None


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("import torch\ndef f(torch): pass\ntorch.load", "torch.load", "torch.load"),
        ("import torch\nclass A:\n  torch = 1\n  def f(self):\n    torch.load", "torch.load", "torch.load"),
        ("import torch\n[torch.load for x in torch.xs]", "torch.xs", "torch.xs"),
        ("import torch\n[1 for torch in torch.xs]", "torch.xs", "torch.xs"),
        ("import torch\ndef f(x=torch.a): pass\n", "torch.a", "torch.a"),
        ("import torch\ndef f(torch=torch.a): pass\n", "torch.a", "torch.a"),
        ("def f():\n  import torch as t\n  t.load", "t.load", "torch.load"),
        ("def f():\n  from torch import load as t\n  def g():\n    t", "t", "torch.load"),
    ],
)
def test_a_name_is_looked_up_in_its_own_scope(code: str, text: str, expected: str) -> None:
    assert meaning(code, text) == expected


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("from torch import nn\nDense = nn.Linear\nDense", "Dense", "torch.nn.Linear"),
        ("from torch import nn\nmy: type = nn\nmy.Linear", "my.Linear", "torch.nn.Linear"),
        ("from torch import nn\na = nn\nb = a\nc = b.functional\nc.relu", "c.relu", "torch.nn.functional.relu"),
        ("import torch\na, b = torch.load, torch.save\nb", "b", "torch.save"),
        ("import torch\nif (a := torch.load):\n  a", "a", "torch.load"),
        ("import torch\nload = torch.save\nload = torch.load\nload", "load", "torch.load"),
        ("import torch\nload = None\nif x:\n  load = torch.load\nload", "load", "torch.load"),
        ("import torch\nclass A:\n  load = torch.load\n  load", "load", "torch.load"),
    ],
)
def test_aliases_are_followed(code: str, text: str, expected: str) -> None:
    assert meaning(code, text) == expected


@pytest.mark.parametrize(
    "code",
    [
        "import torch\nif x:\n  target = torch.load\nelse:\n  target = torch.save\ntarget",
        "import torch\ntarget = torch.load\nif x:\n  target = 1\ntarget",
        "if x:\n  from torch import load as target\nelse:\n  from pickle import load as target\ntarget",
        "target = None\ntarget",
    ],
)
def test_a_name_that_may_stand_for_several_things_stands_for_none(code: str) -> None:
    assert meaning(code) is None


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("try:\n  import torch as t\nexcept ImportError:\n  t = None\nt.load", "t.load", "torch.load"),
        ("try:\n  import torch as t\nexcept ImportError:\n  t = Fake()\nt.load", "t.load", "torch.load"),
        (
            "try:\n  from torch import nn\n  Base = nn.Module\nexcept ImportError:\n  Base = object\nBase",
            "Base",
            "torch.nn.Module",
        ),
        (
            "try:\n  from torch.utils.tensorboard import SummaryWriter\n"
            "except ImportError:\n  class SummaryWriter: pass\nSummaryWriter",
            "SummaryWriter",
            "torch.utils.tensorboard.SummaryWriter",
        ),
        (
            "try:\n  import lightning.pytorch as pl\nexcept ImportError:\n  import pytorch_lightning as pl\npl.Trainer",
            "pl.Trainer",
            "lightning.pytorch.Trainer",
        ),
        ("if has_torch():\n  import torch as t\nt.load", "t.load", "torch.load"),
        ("if TYPE_CHECKING:\n  from torch import Tensor\ndef f(x: Tensor): pass", "Tensor", "torch.Tensor"),
        ("if x:\n  import torch.nn as nn\nelse:\n  nn = None\nnn.Linear", "nn.Linear", "torch.nn.Linear"),
    ],
)
def test_a_fallback_for_a_missing_library_does_not_hide_the_library(code: str, text: str, expected: str) -> None:
    assert meaning(code, text) == expected


def test_two_different_imports_in_a_try_leave_a_name_open() -> None:
    code = "try:\n  import cupy as xp\nexcept ImportError:\n  import numpy as xp\nxp.array"
    assert meaning(code, "xp.array") is None


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (
            "from sklearn.preprocessing import *\nStandardScaler",
            "StandardScaler",
            "sklearn.preprocessing.StandardScaler",
        ),
        ("from sklearn.preprocessing import *\nscale", "scale", "sklearn.preprocessing.scale"),
        ("from sklearn.preprocessing import *\nmax(x)", "max", "builtins.max"),
        ("from torch import *\nmax(x)", "max", "torch.max"),
        ("from torch import *\nlen(x)", "len", "builtins.len"),
        ("from torch.nn import *\nLinear", "Linear", "torch.nn.Linear"),
        ("from torch.nn import *\nprint", "print", "builtins.print"),
        ("from torch.nn import *\nmy_helper", "my_helper", None),
        ("from torch.nn import *\nfunctional.relu", "functional.relu", "torch.nn.functional.relu"),
        ("from torch.utils.data import *\nrandom_split", "random_split", "torch.utils.data.random_split"),
        ("from torch import *\nfrom torch.nn import *\nload", "load", "torch.load"),
        ("from torch import *\nfrom torch.nn import *\nLinear", "Linear", "torch.nn.Linear"),
        ("from torch.nn.functional import *\nfrom torch import *\nTensor", "Tensor", "torch.Tensor"),
        ("from torch import *\nfrom torch.nn.functional import *\nrelu", "relu", "torch.nn.functional.relu"),
        ("from torch.nn import *\nfrom utils import *\nLinear", "Linear", "torch.nn.Linear"),
        ("from torch.nn import *\nfrom .utils import *\nhelper", "helper", ".utils.helper"),
        ("from torch.nn import *\nclass Linear: pass\nLinear", "Linear", None),
        ("from torch.nn import *\ndef f(Linear):\n  pass\nLinear", "Linear", "torch.nn.Linear"),
    ],
)
def test_star_imports_bring_what_their_module_may_define(code: str, text: str, expected: str | None) -> None:
    assert meaning(code, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch.load", "torch.load"),
        ("nn.Linear", "torch.nn.Linear"),
        ("F.relu", "torch.nn.functional.relu"),
        ("optim.Adam", "torch.optim.Adam"),
        ("np.mean", "numpy.mean"),
        ("pd.DataFrame", "pandas.DataFrame"),
        ("L.Trainer", "lightning.pytorch.Trainer"),
        ("pl.LightningModule", "lightning.pytorch.LightningModule"),
    ],
)
def test_a_snippet_without_imports_speaks_by_convention(text: str, expected: str) -> None:
    assert meaning(text, text) == expected


def test_a_convention_yields_to_a_binding() -> None:
    assert meaning("import polars as pl\npl.read_csv", "pl.read_csv") == "polars.read_csv"
    assert meaning("def f(F):\n  F.relu", "F.relu") is None


@pytest.mark.parametrize(
    "code",
    [
        "target = target\ntarget",
        "a = target\ntarget = a\ntarget",
        "while x:\n  target, other = other, target\ntarget",
        "def f():\n  target = a\n  def g():\n    a = target\n    return a\n",
    ],
)
def test_names_that_stand_for_each_other_end_in_nothing(code: str) -> None:
    assert meaning(code) is None


def test_swapped_names_cost_no_exponential_time() -> None:
    names = [f"n{number}" for number in range(12)]
    turns = "".join(f"  {', '.join(names)} = {', '.join(names[k:] + names[:k])}\n" for k in range(1, 12))
    assert meaning(f"while x:\n{turns}  target = n0\ntarget") is None


def test_an_alias_of_an_alias_is_followed_only_so_far() -> None:
    chain = "import torch\nn0 = torch.load\n" + "".join(f"n{i} = n{i - 1}\n" for i in range(1, 2_000))
    assert meaning(chain + "n10", "n10") == "torch.load"
    assert meaning(chain + "n1999", "n1999") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch.nn.modules.linear.Linear", "torch.nn.Linear"),
        ("torch.nn.modules.Linear", "torch.nn.Linear"),
        ("torch.nn.parameter.Parameter", "torch.nn.Parameter"),
        ("torch.optim.adam.Adam", "torch.optim.Adam"),
        ("torch.optim.lr_scheduler.StepLR", "torch.optim.lr_scheduler.StepLR"),
        ("torch.utils.data.dataloader.DataLoader", "torch.utils.data.DataLoader"),
        ("torch.utils.data.distributed.DistributedSampler", "torch.utils.data.DistributedSampler"),
        ("torch.autograd.no_grad", "torch.no_grad"),
        ("torch.autograd.grad_mode.inference_mode", "torch.inference_mode"),
        ("torch.autograd.grad", "torch.autograd.grad"),
        ("torch.functional.einsum", "torch.einsum"),
        ("sklearn.linear_model._logistic.LogisticRegression", "sklearn.linear_model.LogisticRegression"),
        ("pytorch_lightning.callbacks.EarlyStopping", "lightning.pytorch.callbacks.EarlyStopping"),
        ("lightning.LightningModule", "lightning.pytorch.LightningModule"),
        ("lightning.pytorch.core.module.LightningModule", "lightning.pytorch.LightningModule"),
        ("lightning.pytorch.core.LightningModule", "lightning.pytorch.LightningModule"),
        ("lightning.pytorch.trainer.trainer.Trainer", "lightning.pytorch.Trainer"),
        ("pytorch_lightning_extra.Trainer", "pytorch_lightning_extra.Trainer"),
        ("my.torch.nn.modules.linear.Linear", "my.torch.nn.modules.linear.Linear"),
    ],
)
def test_what_a_library_exports_twice_has_one_name(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import a.b, c\nfrom d.e import f\n", {"a", "c", "d"}),
        ("from . import a\nfrom .b import c\n", set()),
        ("def f():\n  import torch\n", {"torch"}),
        ("import pytorch_lightning as pl\n", {"pytorch_lightning", "lightning"}),
    ],
)
def test_the_imported_packages_are_the_top_ones_of_absolute_imports(code: str, packages: set[str]) -> None:
    assert module_of(code).imported_packages == packages


def test_a_module_is_held_to_use_what_it_imports_and_a_snippet_to_use_anything() -> None:
    assert module_of("import torch.nn").uses(frozenset({"torch", "x"}))
    assert not module_of("import os").uses(frozenset({"torch"}))
    assert module_of("x = 1").uses(frozenset({"torch"}))


def test_calls_are_found_by_the_last_part_of_what_they_call() -> None:
    module = module_of(
        """
        import torch
        from torch import load as read
        fetch = torch.load
        read(a)
        torch.load(b)
        anything.load(c)
        fetch(d)
        load(e)
        loader.read(f)
        calls[0](g)
        """
    )
    assert [module.text(node.args[0]) for node in module.calls("load")] == ["a", "b", "c", "d", "e"]
    assert [module.text(node.args[0]) for node in module.calls("read", "load")] == ["a", "b", "c", "d", "e", "f"]
    assert module.calls("save") == []
    assert module.called_name(call(module, "fetch")) == "load"
    assert module.called_name(call(module, "calls[0]")) is None


def test_a_call_to_a_library_is_told_from_others() -> None:
    module = module_of("from torch import load as read\nread(x)\nload(y)\n")
    assert module.is_call_to(call(module, "read"), "torch.save", "torch.load")
    assert not module.is_call_to(call(module, "load"), "torch.load")
    assert not module.is_call_to(call(module, "read").func, "torch.load")
    assert not module.is_call_to(None, "torch.load")


def test_an_argument_is_found_by_keyword_or_place() -> None:
    module = module_of("f(1, 2, c=3)\ng(*a, 2, b=1)\nh(1, *a, **b)\n")
    f, g, h = (call(module, function) for function in "fgh")

    def value(of: ast.Call, name: str, position: int | None = None) -> str | None:
        found = argument(of, name, position)
        return module.text(found) if found else None

    assert value(f, "a", 0) == "1"
    assert value(f, "b", 1) == "2"
    assert value(f, "c", 5) == "3"
    assert value(f, "b") is None
    assert value(f, "d", 2) is None
    assert value(g, "a", 1) is None
    assert value(g, "b", 1) == "1"
    assert value(h, "a", 0) == "1"
    assert [passes_unseen_arguments(of) for of in (f, g, h)] == [False, True, True]


def test_names_in_the_part_that_parses_are_resolved() -> None:
    module = Module(SourceFile.from_text(dedent("import torch as t\nx = = 1\nt.load(y)\n")))
    assert module.is_call_to(call(module, "t.load"), "torch.load")
