"""Under which conditions a node runs."""

from __future__ import annotations

import pytest

from mlrules_mcp.source.guards import split_condition
from tests.source.support import call, module_of, read


def guards(code: str, function: str = "here") -> list[str]:
    """The conditions around the call of a function, from the inside out, with `not` where they are false."""
    module = module_of(code)
    return [
        module.text(guard.test) if guard.holds else f"not {module.text(guard.test)}"
        for guard in module.guards(call(module, function))
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("here()", []),
        ("if a:\n  here()", ["a"]),
        ("if a:\n  pass\nelse:\n  here()", ["not a"]),
        ("if a:\n  pass\nelif b:\n  here()", ["b", "not a"]),
        ("if a:\n  pass\nelif b:\n  pass\nelse:\n  here()", ["not b", "not a"]),
        ("if here():\n  pass", []),
        ("if not a:\n  here()", ["not a"]),
        ("if a and b:\n  here()", ["a", "b"]),
        ("if a or b:\n  here()", ["a or b"]),
        ("if not (a or b):\n  here()", ["not a", "not b"]),
        ("if a or b:\n  pass\nelse:\n  here()", ["not a", "not b"]),
        ("if a and b:\n  pass\nelse:\n  here()", ["not a and b"]),
        ("while a:\n  here()", ["a"]),
        ("while a:\n  pass\nelse:\n  here()", ["not a"]),
        ("while here():\n  pass", []),
        ("x = here() if a else y", ["a"]),
        ("x = y if a else here()", ["not a"]),
        ("x = y if here() else z", []),
        ("a and b and here()", ["a", "b"]),
        ("a or b or here()", ["not a", "not b"]),
        ("here() and a", []),
        ("[here() for x in y if a if b]", ["a", "b"]),
        ("{x: here() for x in y if a}", ["a"]),
        ("[x for x in here() if a]", []),
        ("[x for x in y if here()]", []),
        ("match x:\n  case 1 if a:\n    here()", ["a"]),
        ("match x:\n  case 1 if here():\n    pass", []),
        ("match x:\n  case 1 if a:\n    pass\n  case _:\n    here()", []),
        ("for x in y:\n  here()", []),
        ("if a:\n  for x in y:\n    with z:\n      if b:\n        here()", ["b", "a"]),
    ],
)
def test_branches_guard_what_they_hold(code: str, expected: list[str]) -> None:
    assert guards(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f():\n  if a:\n    return\n  here()", ["not a"]),
        ("def f():\n  if not a:\n    return\n  here()", ["a"]),
        ("def f():\n  if a:\n    x\n    raise E\n  y\n  here()", ["not a"]),
        ("for x in y:\n  if a:\n    continue\n  here()", ["not a"]),
        ("for x in y:\n  if a:\n    break\n  here()", ["not a"]),
        ("def f():\n  if a:\n    x\n  else:\n    return\n  here()", ["a"]),
        ("def f():\n  if a:\n    return\n  elif b:\n    return\n  here()", ["not a", "not b"]),
        ("def f():\n  if a:\n    return\n  elif b:\n    x\n  here()", ["not a"]),
        ("def f():\n  if a:\n    return\n  elif b:\n    x\n  else:\n    return\n  here()", ["not a", "b"]),
        ("def f():\n  if a:\n    x\n  elif b:\n    return\n  here()", []),
        ("def f():\n  if a:\n    if b:\n      return\n    else:\n      raise E\n  here()", ["not a"]),
        ("def f():\n  if a:\n    with x:\n      return\n  here()", ["not a"]),
        ("def f():\n  if a:\n    with raises(E):\n      raise E\n  here()", []),
        ("def f():\n  if a:\n    x\n  here()", []),
        ("def f():\n  here()\n  if a:\n    return", []),
        ("def f():\n  if a:\n    return here()", ["a"]),
        ("def f():\n  if a:\n    return\n  if b:\n    here()", ["b", "not a"]),
        ("def f():\n  if a:\n    return\n  def g():\n    here()", ["not a"]),
        ("if a:\n  x\nelse:\n  if b:\n    raise E\n  here()", ["not b", "not a"]),
        ("try:\n  if a:\n    raise E\nfinally:\n  here()", []),
        ("assert a\nhere()", ["a"]),
        ("assert a and not b\nhere()", ["a", "not b"]),
        ("import sys\nif a:\n  sys.exit(1)\nhere()", ["not a"]),
        ("if a:\n  exit()\nhere()", ["not a"]),
        ("import pytest\nif a:\n  pytest.skip('x')\nhere()", ["not a"]),
        ("if a:\n  self.skipTest('x')\nhere()", ["not a"]),
        ("if a:\n  leave()\nhere()", []),
    ],
)
def test_what_left_early_guards_what_follows(code: str, expected: list[str]) -> None:
    assert guards(code) == expected


def test_guards_go_through_functions_and_lambdas_to_the_module() -> None:
    assert guards("if a:\n  class A:\n    def f(self):\n      return lambda: here() if b else 0") == ["b", "a"]


def test_of_endless_exits_only_the_nearest_count() -> None:
    code = "".join(f"assert a{number}\n" for number in range(300)) + "here()"
    assert guards(code) == [f"a{number}" for number in range(200, 300)]


def test_a_long_chain_of_conditions_is_no_deep_recursion() -> None:
    module = module_of("def f():\n  if a:\n    return\n" + "  elif b:\n    return\n" * 400 + "  here()")
    assert len(list(module.guards(call(module, "here")))) == 401


def test_a_condition_splits_into_what_it_makes_certain() -> None:
    module = module_of("not (a and not (b or c))")
    condition = module.tree.body[0].value  # type: ignore[attr-defined]
    assert [(module.text(g.test), g.holds) for g in split_condition(condition, False)] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    assert [(module.text(g.test), g.holds) for g in split_condition(condition, True)] == [("a and not (b or c)", False)]


def test_decorators_around_a_node_are_named() -> None:
    module = module_of(
        """
        import torch
        @pytest.mark.skipif(a)
        class A:
            @torch.no_grad()
            @other.thing
            def f(self):
                here()
        """
    )
    names = list(module.decorator_names(call(module, "here")))
    assert names == ["torch.no_grad", "other.thing", "pytest.mark.skipif"]
    assert list(module.decorator_names(read(module, "a"))) == ["pytest.mark.skipif"]
