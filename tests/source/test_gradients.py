"""Training loops, and where gradients are made, cleared, applied or switched off."""

from __future__ import annotations

import ast

import pytest

from mlrules_mcp.source import Module
from tests.source.support import call, module_of, read, texts


def regions(code: str) -> list[str]:
    """The step regions of a module: functions by name, loops by line."""
    found = module_of(code).step_regions
    return sorted(getattr(region, "name", f"line {getattr(region, 'lineno', 0)}") for region in found)


def switched_off(code: str) -> bool:
    module = module_of("import torch\n" + code)
    return module.under_no_grad(call(module, "here"))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("loss.backward()", ["loss.backward()"]),
        ("scaler.scale(loss).backward()", ["scaler.scale(loss).backward()"]),
        ("fabric.backward(loss)", ["fabric.backward(loss)"]),
        ("accelerator.backward(loss)", ["accelerator.backward(loss)"]),
        ("torch.autograd.backward(loss)", ["torch.autograd.backward(loss)"]),
        ("class A:\n  def training_step(self):\n    self.manual_backward(loss)", ["self.manual_backward(loss)"]),
        ("backward(loss)", []),
        ("class A:\n  def backward(self, loss):\n    loss.backward()", []),
        ("class A:\n  def f(self, loss):\n    super().backward(loss)", []),
    ],
)
def test_calls_that_compute_gradients_are_known(code: str, expected: list[str]) -> None:
    module = module_of(code)
    assert texts(module, list(module.backward_calls)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "optimizer",
        "self.optimizer",
        "optimizer_g",
        "optimizerG",
        "optim",
        "opt",
        "opt_g",
        "optG",
        "g_opt",
        "opts[0]",
        "optimizers['g']",
        "trainer.optimizers[0]",
        "adam",
        "self.optimizers()",
        "OPT_G",
    ],
)
def test_an_optimizer_is_known_by_its_name(text: str) -> None:
    module = module_of(text)
    assert module.is_optimizer(read(module, text))


@pytest.mark.parametrize(
    "text",
    [
        "scheduler",
        "lr_scheduler_optimizer",
        "options",
        "opt_level_option",
        "optical_flow",
        "optional",
        "optimal_path",
        "optimized_model",
        "env",
        "option",
        "adopt",
        "model.step()",
        "1",
    ],
)
def test_what_only_sounds_like_an_optimizer_is_none(text: str) -> None:
    module = module_of(text)
    assert not module.is_optimizer(read(module, text))


def test_an_optimizer_is_known_by_what_made_it() -> None:
    module = module_of(
        """
        import torch
        class Mine(torch.optim.SGD): pass
        first = torch.optim.Adam(p)
        second = Mine(p)
        third = Other(p)
        first, second, third
        """
    )
    assert [module.is_optimizer(read(module, each)) for each in ("first", "second", "third")] == [True, True, False]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("scaler", True),
        ("self.scaler", True),
        ("grad_scaler", True),
        ("from torch.cuda.amp import GradScaler\nx = GradScaler()\nx", True),
        ("import torch\nx = torch.amp.GradScaler('cuda')\nx", True),
        ("from sklearn.preprocessing import StandardScaler\nscaler = StandardScaler()\nscaler", False),
        ("x", False),
    ],
)
def test_a_gradient_scaler_is_told_from_one_of_data(code: str, expected: bool) -> None:
    module = module_of(code)
    assert module.is_grad_scaler(read(module, code.rpartition("\n")[2])) is expected


def test_calls_that_apply_gradients_are_known() -> None:
    module = module_of(
        """
        import torch_xla.core.xla_model as xm
        optimizer.step()
        self.optimizers().step()
        scaler.step(optimizer)
        xm.optimizer_step(optimizer)
        opt.step(closure)
        scheduler.step()
        env.step(action)
        step()
        """
    )
    assert texts(module, list(module.optimizer_steps)) == [
        "optimizer.step()",
        "self.optimizers().step()",
        "scaler.step(optimizer)",
        "xm.optimizer_step(optimizer)",
        "opt.step(closure)",
    ]


def test_what_clears_gradients_is_known() -> None:
    module = module_of(
        """
        optimizer.zero_grad()
        model.zero_grad(set_to_none=True)
        for p in model.parameters():
            p.grad = None
            del p.grad
            p.grad.zero_()
            p.grad.data.zero_()
            x.zero_()
            y = p.grad
            q.gradient.zero_()
        """
    )
    assert [module.text(node) for node in module.gradient_clears if isinstance(node, ast.expr)] == [
        "optimizer.zero_grad()",
        "model.zero_grad(set_to_none=True)",
        "p.grad",
        "p.grad",
        "p.grad.zero_()",
        "p.grad.data.zero_()",
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # the innermost loop
        ("for batch in data:\n  loss.backward()", ["line 1"]),
        ("for epoch in epochs:\n  for batch in data:\n    loss.backward()\n  save()", ["line 2"]),
        ("while True:\n  loss.backward()", ["line 1"]),
        ("for batch in data:\n  predict()", []),
        ("loss.backward()", []),
        ("def f():\n  loss.backward()", []),
        # two networks, the one more often
        (
            "for batch in data:\n  for _ in range(5):\n    loss_d.backward()\n  loss_g.backward()",
            ["line 1", "line 2"],
        ),
        # gradients applied where none are seen to be computed
        ("for batch in data:\n  engine(batch)\n  optimizer.step()", ["line 1"]),
        ("for epoch in epochs:\n  for batch in data:\n    loss.backward()\n  scheduler.step()", ["line 2"]),
        # timm's scaler does both
        ("for batch in data:\n  loss_scaler(loss, optimizer)", ["line 1"]),
        (
            "for batch in data:\n  if x:\n    loss_scaler(loss, optimizer)\nfor b in c:\n  d.backward()",
            ["line 1", "line 4"],
        ),
        ("for batch in data:\n  scaler(loss, mean)", []),
    ],
)
def test_a_training_loop_is_the_innermost_that_computes_gradients(code: str, expected: list[str]) -> None:
    assert regions(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def step():\n  loss.backward()\nfor batch in data:\n  step()", ["line 3", "step"]),
        ("def step():\n  loss.backward()\nstep()", []),
        ("def train():\n  for batch in data:\n    loss.backward()\nfor epoch in epochs:\n  train()", ["line 2"]),
        (
            "def inner():\n  loss.backward()\ndef step():\n  inner()\nfor batch in data:\n  step()",
            ["inner", "line 5", "step"],
        ),
        (
            "class T:\n  def step(self):\n    loss.backward()\n  def fit(self):\n    for x in data:\n      self.step()",
            ["line 5", "step"],
        ),
        (
            "class T:\n  def optimize(self):\n    self.backward_d()\n  def backward_d(self):\n    loss.backward()\n"
            "for batch in data:\n  model.optimize()",
            ["backward_d", "line 6", "optimize"],
        ),
        ("class A:\n  def learn(self):\n    loss.backward()\na = A()\nfor x in y:\n  a.learn()", ["learn", "line 5"]),
        ("class A:\n  def train(self):\n    loss.backward()\na = A()\nfor x in y:\n  a.train()", ["line 5", "train"]),
        ("class A:\n  def train(self):\n    loss.backward()\nfor x in y:\n  model.train()", []),
        (
            "class A:\n  def learn(self):\n    loss.backward()\nclass B:\n  def learn(self): pass\nb = B()\n"
            "for x in y:\n  b.learn()",
            [],
        ),
        (
            "for batch in data:\n  def closure():\n    loss.backward()\n  optimizer.step(closure)",
            ["closure", "line 1"],
        ),
        ("def step(x):\n  loss.backward()\nfor batch in data:\n  run(function=step)", ["line 3", "step"]),
        ("def a():\n  b()\ndef b():\n  a()\n  loss.backward()", []),
        ("def step():\n  loss.backward()\ndef other(step):\n  for batch in data:\n    step()", []),
    ],
)
def test_the_functions_that_a_training_loop_calls_belong_to_it(code: str, expected: list[str]) -> None:
    assert regions(code) == expected


def test_the_training_step_of_a_lightning_module_runs_for_each_batch() -> None:
    code = """
    import lightning as L
    class Base(L.LightningModule):
        def validation_step(self, batch): pass
    class Model(Base):
        def training_step(self, batch): return loss
    class Other:
        def training_step(self, batch): return loss
    """
    assert regions(code) == ["training_step"]


LOOPS = """
for epoch in epochs:
    before()
    for batch in data:
        loss.backward()
        each()
        for part in parts:
            each_part()
        def later():
            delayed()
        step()
    else:
        behind()
    after()

def step():
    loss.backward()
    in_step()

for x in y:
    elsewhere()
"""


@pytest.fixture(scope="module")
def loops() -> Module:
    return module_of(LOOPS)


def test_the_region_of_a_node_is_the_loop_or_function_that_runs_it_for_each_batch(loops: Module) -> None:
    lines = {
        function: getattr(loops.step_region(call(loops, function)), "lineno", None)
        for function in ("before", "each", "each_part", "delayed", "behind", "after", "in_step", "elsewhere")
    }
    assert lines == {
        "before": None,
        "each": 3,
        "each_part": 3,
        "delayed": None,
        "behind": None,
        "after": None,
        "in_step": 15,
        "elsewhere": None,
    }


def test_loops_around_a_training_loop_train_as_well(loops: Module) -> None:
    assert [loop.lineno for loop in loops.training_loops] == [1, 3]


@pytest.mark.parametrize(
    "code",
    [
        "with torch.no_grad():\n  here()",
        "with torch.inference_mode():\n  here()",
        "with torch.set_grad_enabled(False):\n  here()",
        "with torch.set_grad_enabled(training):\n  here()",
        "with torch.set_grad_enabled(mode=False):\n  here()",
        "with torch.autograd.no_grad():\n  here()",
        "with open(x) as y, torch.no_grad():\n  here()",
        "with torch.no_grad():\n  with amp():\n    here()",
        "with torch.no_grad():\n  for x in y:\n    if a:\n      z = [here() for x in y]",
        "async def f():\n  async with torch.no_grad():\n    here()",
        "from torch import no_grad as quiet\nwith quiet():\n  here()",
        "context = torch.no_grad()\nwith context:\n  here()",
        "with torch.no_grad() if a else nullcontext():\n  here()",
        "context = nullcontext() if a else torch.no_grad()\nwith context:\n  here()",
        "with self.no_grad():\n  here()",
        "@torch.no_grad()\ndef f():\n  here()",
        "@torch.no_grad\ndef f():\n  here()",
        "@torch.inference_mode()\n@other\ndef f():\n  here()",
        "@torch.no_grad()\ndef f():\n  def g():\n    here()",
        "class A:\n  @torch.no_grad()\n  async def f(self):\n    here()",
        "torch.set_grad_enabled(False)\nhere()",
        "torch.set_grad_enabled(True)\ntorch.set_grad_enabled(False)\nhere()",
        "torch.set_grad_enabled(False)\ndef f():\n  here()",
        "def f():\n  torch.set_grad_enabled(False)\n  here()",
        "with torch.enable_grad():\n  with torch.no_grad():\n    here()",
    ],
)
def test_gradients_are_off(code: str) -> None:
    assert switched_off(code)


@pytest.mark.parametrize(
    "code",
    [
        "here()",
        "with torch.no_grad():\n  x\nhere()",
        "with torch.no_grad(), f(here()):\n  x",
        "with torch.enable_grad():\n  here()",
        "with torch.no_grad():\n  with torch.enable_grad():\n    here()",
        "with torch.no_grad():\n  with torch.set_grad_enabled(True):\n    here()",
        "with torch.inference_mode(False):\n  here()",
        "with torch.inference_mode(mode=False):\n  here()",
        "with torch.no_grad(), torch.enable_grad():\n  here()",
        "@torch.no_grad()\ndef f():\n  x\nhere()",
        "@torch.no_grad()\n@wrap(here())\ndef f():\n  x",
        "@torch.enable_grad()\ndef f():\n  here()",
        "torch.set_grad_enabled(True)\nhere()",
        "torch.set_grad_enabled(False)\ntorch.set_grad_enabled(True)\nhere()",
        "here()\ntorch.set_grad_enabled(False)",
        "def f():\n  torch.set_grad_enabled(False)\ndef g():\n  here()",
        "was = torch.set_grad_enabled(False)\nhere()",
        "with torch.autocast('cuda'):\n  here()",
        "context = context\nwith context:\n  here()",
    ],
)
def test_gradients_are_on(code: str) -> None:
    assert not switched_off(code)


def test_a_long_line_of_calling_functions_is_no_deep_recursion() -> None:
    functions = "".join(f"def f{number}():\n  f{number - 1}()\n" for number in range(1, 1_500))
    code = "def f0():\n  loss.backward()\n" + functions + "for batch in data:\n  f1499()\n"
    assert len(module_of(code).step_regions) == 1_501
