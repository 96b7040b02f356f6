"""The whole Module."""

from __future__ import annotations

import gc
import weakref

from mlrules_mcp.source import Module, SourceFile
from tests.source.support import module_of


def test_a_fact_is_found_once_and_kept_until_it_is_forgotten() -> None:
    asked: list[Module] = []

    def find(module: Module) -> int:
        asked.append(module)
        return len(asked)

    module = module_of("x = 1\n")
    assert [module.fact(find), module.fact(find)] == [1, 1]
    assert asked == [module]
    module.forget_facts()
    assert module.fact(find) == 2


def test_a_module_is_gone_with_its_last_user_without_the_collector() -> None:
    module = Module(SourceFile.from_text("import torch\ndef f(x):\n  x = x.to(y)\n  return torch.load(x)\n"))
    for call in module.calls("load", "to"):
        module.qualified_name(call.func)
        module.step_region(call)
        module.under_no_grad(call)
        list(module.guards(call))
    dict(module.bindings)
    gone = weakref.ref(module)
    gc.disable()
    try:
        del module
        assert gone() is None
    finally:
        gc.enable()
