"""Which code is meant for CUDA, as far as the examples of the checks can't show it."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from mlrules_mcp.catalogue import AnyCheck
from mlrules_mcp.checks import _devices as devices
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code.cuda_only_amp import CudaOnlyAmp
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code.load_without_map_location import LoadWithoutMapLocation
from mlrules_mcp.source import Module, SourceFile


def module_of(code: str, path: str = "train.py") -> Module:
    return Module(SourceFile.from_text(dedent(code).lstrip("\n"), path))


def cuda_call(module: Module) -> ast.Call:
    (call,) = module.calls("cuda")
    return call


@pytest.mark.parametrize(
    "path",
    [
        "tests/models.py",
        "src/package/tests_pytorch/models.py",
        "package/test_models.py",
        "package\\test_models.py",
        "models_test.py",
        "conftest.py",
        "benchmarks/speed.py",
        "scripts/bench.py",
        "performance_profiling/train.py",
        "kernels/cuda/norm.py",
        "multi_gpu/train.py",
        "deploy/triton/client.py",
    ],
)
def test_tests_benchmarks_and_files_named_for_cuda_may_use_it(path: str) -> None:
    module = module_of("import torch\nmodel = Net().cuda()", path)
    assert devices.is_cuda_only(module, cuda_call(module))


@pytest.mark.parametrize("path", ["test.py", "latest/train.py", "contest.py", "attest_models.py", "metric.py"])
def test_other_files_are_not_about_cuda_by_their_names(path: str) -> None:
    module = module_of("import torch\nmodel = Net().cuda()", path)
    assert not devices.is_cuda_only(module, cuda_call(module))


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ("torch.cuda.is_available()", True),
        ("torch.accelerator.is_available()", True),
        ("device.type != 'cpu'", True),
        ("args.no_cuda", True),
        ("n_gpu > 0", True),
        ("flag", True),
        ("self.flag", True),
        ("step % 10 == 0", False),
        ("accelerator.is_main_process", False),
        ("loss < best", False),
        ("training", False),
    ],
)
def test_a_condition_asks_for_a_device_by_its_words_or_its_variables(condition: str, asks: bool) -> None:
    module = module_of(
        f"""
        import torch

        class Trainer:
            def __init__(self):
                self.flag = torch.cuda.is_available()

            def step(self, args, device, loss, best, training, accelerator):
                flag = True if torch.cuda.is_available() else False
                best = model.to(device)
                if {condition}:
                    pass
        """
    )
    (test,) = (node.test for node in module.nodes(ast.If))
    assert devices.asks_device(module, test) is asks


@pytest.mark.parametrize(
    ("code", "device"),
    [
        ("def f(device):\n    x.cuda()", "device"),
        ("device = pick()\ndef f():\n    x.cuda()", "device"),
        ("x.cuda()\ndevice = pick()", None),
        ("def f():\n    x.cuda()\n    device = pick()", None),
        ("def f():\n    if a:\n        device = pick()\n    x.cuda()", None),
        ("def f():\n    if a:\n        device = pick()\n        x.cuda()", "device"),
        ("from torch import device\nx.cuda()", None),
        ("def g(device):\n    pass\ndef f():\n    x.cuda()", None),
        (
            "class A:\n    def __init__(self, d):\n        self.device = d\n    def f(self):\n        x.cuda()",
            "self.device",
        ),
        ("class A:\n    def __init__(self, d):\n        x.cuda()\n        self.device = d", None),
        (
            "class A:\n    @property\n    def device(self):\n        ...\n    def f(self):\n        x.cuda()",
            "self.device",
        ),
        ("import lightning as L\nclass A(L.LightningModule):\n    def f(self):\n        x.cuda()", "self.device"),
        ("import lightning as L\nclass A(L.LightningModule):\n    def __init__(self):\n        x.cuda()", None),
        ("class A:\n    def f(self):\n        x.cuda()", None),
    ],
)
def test_a_device_is_in_scope_where_its_name_surely_has_a_value(code: str, device: str | None) -> None:
    module = module_of(code)
    assert devices.device_in_scope(module, cuda_call(module)) == device


def test_a_function_is_guarded_only_where_all_its_calls_are() -> None:
    code = """
        import torch

        def move(x):
            return x.cuda()

        if torch.cuda.is_available():
            move(model)
        """
    guarded, unguarded = module_of(code), module_of(code + "\n        move(batch)")
    assert devices.is_guarded(guarded, cuda_call(guarded))
    assert not devices.is_guarded(unguarded, cuda_call(unguarded))


def test_a_try_is_a_guard_where_it_catches_the_failure() -> None:
    template = "try:\n    x.cuda()\nexcept {}:\n    {}"
    for caught, handled, guarded in [
        ("RuntimeError", "pass", True),
        ("(ValueError, Exception)", "pass", True),
        ("KeyError", "pass", False),
        ("RuntimeError", "raise", False),
    ]:
        module = module_of(template.format(caught, handled))
        assert devices.is_guarded(module, cuda_call(module)) is guarded


def test_a_script_that_ends_without_cuda_demands_it() -> None:
    assert devices.demands_cuda(module_of("import torch\nassert torch.cuda.is_available()"))
    assert devices.demands_cuda(
        module_of("import torch\ndef main():\n    if not torch.cuda.is_available():\n        raise SystemExit")
    )
    assert not devices.demands_cuda(
        module_of("import torch\ndef pick(name):\n    assert torch.cuda.is_available()\n    return name")
    )
    assert not devices.demands_cuda(
        module_of("import torch\nif not torch.cuda.is_available():\n    print('this will be slow')")
    )


def test_the_name_of_torch_is_the_one_it_is_imported_as() -> None:
    assert devices.torch_name(module_of("import os, torch as th")) == "th"
    assert devices.torch_name(module_of("import torch.nn as nn")) is None


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (LoadWithoutMapLocation("error"), 'import torch\nmodel.cuda().load_state_dict(torch.load("model.pt"))'),
        (CudaOnlyAmp("error"), "import torch\nscaler = torch.cuda.amp.GradScaler()"),
    ],
)
def test_checks_that_do_not_ask_for_cuda_only_code_leave_tests_alone(check: AnyCheck, code: str) -> None:
    def findings(path: str) -> int:
        module = module_of(code, path)
        nodes = module.calls(*check.names) if check.names else [module.tree]
        return sum(len(list(check.check(node, module))) for node in nodes)

    assert findings("train.py") == 1
    assert findings("tests/train.py") == 0
