"""Which bindings a use of a name can see."""

from __future__ import annotations

import pytest

from tests.source.support import module_of, name


def reaching(code: str, identifier: str = "x", occurrence: int = -1) -> list[str]:
    """What the bindings hold that reach the last (or another) use of a name, in the order of the text."""
    module = module_of(code)
    bindings = module.reaching(name(module, identifier, occurrence))
    return [module.text(b.value) if b.value and b.kind != "loop" else b.kind for b in bindings]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # straight line
        ("x = 1\nx = 2\nuse(x)\nx = 3", ["2"]),
        ("x = 1\nx = f(x)\nx = 3", ["1"]),
        ("x = 1\nx += 2\nuse(x)", ["1", "2"]),
        ("x = 1\nx, y = y, x\nuse(x)", ["y"]),
        ("x = y = 1\nx = y\nuse(x)", ["y"]),
        ("x = 1\ndel x\nx = 2\nuse(x)", ["2"]),
        ("x = 1\nwith f() as x:\n  use(x)", ["f()"]),
        ("x = 1\nwith f():\n  x = 2\nuse(x)", ["2"]),
        ("x = 1\nuse(x := 2, x)", ["2"]),
        ("x = 1\nif (x := f()) and use(x): pass", ["f()"]),
        ("def f(x):\n  x = 1\n  use(x)", ["1"]),
        ("def f(x):\n  if a:\n    x = 1\n  use(x)", ["parameter", "1"]),
    ],
)
def test_a_later_assignment_hides_an_earlier_one(code: str, expected: list[str]) -> None:
    assert reaching(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nif a:\n  x = 2\nuse(x)", ["1", "2"]),
        ("x = 1\nif a:\n  x = 2\nelse:\n  x = 3\nuse(x)", ["1", "2", "3"]),
        ("x = 1\nif a:\n  x = 2\n  use(x)\nelse:\n  x = 3", ["2"]),
        ("x = 1\nif a:\n  x = 2\nelse:\n  use(x)", ["1"]),
        ("x = 1\nif a:\n  x = 2\nelif b:\n  use(x)", ["1"]),
        ("if a:\n  x = 2\n  if b:\n    use(x)\nelse:\n  x = 3", ["2"]),
        ("x = 1\ny = (x := 2) if a else use(x)", ["1"]),
        ("x = 1\na and (x := 2)\nuse(x)", ["1", "2"]),
        ("x = 1\na and (x := 2) and use(x)", ["2"]),
        ("x = 1\n(x := 2) and a\nuse(x)", ["2"]),
        ("x = 1\nif (x := f()):\n  use(x)", ["f()"]),
        ("x = 1\nif (x := f()):\n  pass\nuse(x)", ["f()"]),
        ("x = 1\ny = (x := 2) if use(x) else 3", ["1"]),
        ("x = 1\n[(x := y) for y in ys]\nuse(x)", ["1", "y"]),
        ("match a:\n  case 1:\n    x = 1\n  case 2:\n    use(x)\n  case _:\n    x = 3", []),
        ("x = 0\nmatch a:\n  case 1:\n    x = 1\n  case _:\n    x = 2\nuse(x)", ["0", "1", "2"]),
        ("x = 0\nmatch a:\n  case 1:\n    x = 1\n    use(x)", ["1"]),
        ("x = 0\nmatch (x := f()):\n  case 1:\n    use(x)", ["f()"]),
        ("x = 0\nmatch (x := f()):\n  case 1:\n    pass\nuse(x)", ["f()"]),
    ],
)
def test_branches_that_exclude_each_other_are_kept_apart(code: str, expected: list[str]) -> None:
    assert reaching(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nfor i in y:\n  use(x)\n  x = 2", ["1", "2"]),
        ("x = 1\nfor i in y:\n  x = 2\n  use(x)\n  x = 3", ["2"]),
        ("x = 1\nfor j in z:\n  for i in y:\n    use(x)\n  x = 2", ["1", "2"]),
        ("x = 1\nfor j in z:\n  x = 2\n  for i in y:\n    use(x)\n    x = 3\n  x = 4", ["2", "3"]),
        ("x = 1\nfor i in y:\n  if i:\n    x = 2\n  else:\n    use(x)", ["1", "2"]),
        ("x = 1\nfor i in y:\n  x = 2\nuse(x)", ["1", "2"]),
        ("x = 1\nwhile a:\n  x = 2\nuse(x)", ["1", "2"]),
        ("x = 1\nwhile use(x):\n  x = 2", ["1", "2"]),
        ("x = 1\nwhile (x := f()):\n  use(x)", ["f()"]),
        ("x = 1\nwhile (x := f()):\n  pass\nuse(x)", ["f()"]),
        ("for x in y:\n  use(x)", ["loop"]),
        ("x = 1\nfor x in y:\n  use(x)", ["loop"]),
        ("x = 1\nfor x in y:\n  pass\nuse(x)", ["1", "loop"]),
        ("x = 1\nfor x in use(x):\n  pass", ["1"]),
        ("x = 1\nfor i in (x := f()):\n  pass\nuse(x)", ["f()"]),
        ("x = 1\nwhile (x := f()):\n  pass\nelse:\n  use(x)", ["f()"]),
        ("x = 1\nfor i in y:\n  x = 2\nelse:\n  use(x)", ["1", "2"]),
        ("x = 1\nfor i in y:\n  pass\nelse:\n  x = 2\n  use(x)", ["2"]),
        ("def f(x):\n  for i in y:\n    x = g(x)\n  return 1", ["parameter", "g(x)"]),
    ],
)
def test_an_assignment_later_in_a_loop_reaches_the_next_turn(code: str, expected: list[str]) -> None:
    assert reaching(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\ntry:\n  x = f()\nexcept E:\n  pass\nuse(x)", ["1", "f()"]),
        ("x = 1\ntry:\n  x = f()\nexcept E:\n  raise\nuse(x)", ["f()"]),
        ("x = 1\ntry:\n  x = f()\nfinally:\n  pass\nuse(x)", ["f()"]),
        ("x = 1\ntry:\n  x = f()\nexcept E:\n  use(x)", ["1", "f()"]),
        ("x = 1\ntry:\n  x = f()\n  use(x)\nexcept E:\n  pass", ["f()"]),
        ("x = 1\ntry:\n  x = f()\nexcept E:\n  pass\nelse:\n  use(x)", ["f()"]),
        ("x = 1\ntry:\n  x = f()\nfinally:\n  use(x)", ["1", "f()"]),
        ("x = 1\ntry:\n  f()\nfinally:\n  x = 2\nuse(x)", ["2"]),
        ("x = 1\ntry:\n  f()\nexcept A:\n  x = 2\nexcept B:\n  use(x)", ["1"]),
        ("x = 1\ntry:\n  f()\nexcept A:\n  x = 2\nelse:\n  use(x)", ["1"]),
        ("x = 1\ntry:\n  f()\nexcept A:\n  x = 2\nfinally:\n  use(x)", ["1", "2"]),
        ("x = 1\ntry:\n  f()\nexcept A:\n  x = 2\nuse(x)", ["1", "2"]),
        ("x = 1\ntry:\n  f()\nexcept E:\n  raise\nelse:\n  x = 2\nuse(x)", ["2"]),
        ("x = 1\ntry:\n  f()\nexcept E:\n  pass\nelse:\n  x = 2\nuse(x)", ["1", "2"]),
        ("x = 1\ntry:\n  x = f()\nexcept* E:\n  pass\nuse(x)", ["1", "f()"]),
        ("x = 1\ntry:\n  f()\nexcept E as x:\n  use(x)", ["other"]),
    ],
)
def test_a_try_may_fail_half_way(code: str, expected: list[str]) -> None:
    assert reaching(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f():\n  x = 1\n  if a:\n    x = 2\n    return\n  use(x)", ["1"]),
        ("def f():\n  x = 1\n  if a:\n    x = 2\n    raise E\n  use(x)", ["1"]),
        ("def f():\n  x = 1\n  if a:\n    if b:\n      x = 2\n      return\n  use(x)", ["1"]),
        ("def f():\n  x = 1\n  if a:\n    with b:\n      x = 2\n      return\n  use(x)", ["1"]),
        ("x = 1\nfor i in y:\n  if a:\n    x = 2\n    continue\nelse:\n  use(x)", ["1", "2"]),
        ("x = 1\nfor i in y:\n  if a:\n    x = 2\n    continue\n  use(x)", ["1", "2"]),
        ("x = 1\nfor i in y:\n  x = 0\n  if a:\n    x = 2\n    continue\n  use(x)", ["0"]),
        ("x = 1\nfor i in y:\n  if a:\n    x = 2\n    break\nuse(x)", ["1", "2"]),
        ("x = 1\ntry:\n  if a:\n    x = 2\n    raise E\nexcept E:\n  use(x)", ["1", "2"]),
        ("x = 1\ntry:\n  x = 2\n  raise E\nexcept E:\n  use(x)", ["1", "2"]),
    ],
)
def test_what_is_bound_before_leaving_does_not_reach_what_follows(code: str, expected: list[str]) -> None:
    assert reaching(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\ndef f():\n  use(x)\nx = 2", ["1", "2"]),
        ("x = 1\nx = 2\nlambda: use(x)", ["1", "2"]),
        ("def f(x):\n  x = 1\n  def g():\n    use(x)\n  x = 2", ["parameter", "1", "2"]),
        ("x = 1\nx = 2\n[use(x) for i in y]", ["2"]),
        ("class A:\n  x = 1\n  x = 2\n  use(x)", ["2"]),
    ],
)
def test_a_nested_function_may_run_at_any_time_but_a_comprehension_runs_at_once(code: str, expected: list[str]) -> None:
    assert reaching(code) == expected


def test_a_global_assigned_in_a_function_may_have_its_value_any_time_after() -> None:
    code = "x = 1\ndef f():\n  global x\n  x = 2\nuse(x)\nf()\nuse(x)"
    assert reaching(code) == ["1", "2"]


def test_inside_the_function_a_global_has_any_value() -> None:
    assert reaching("x = 1\ndef f():\n  global x\n  use(x)\n  x = 2\nx = 3") == ["1", "2", "3"]


def test_uses_are_told_apart() -> None:
    code = "x = 1\nuse(x)\nx = 2\nuse(x)"
    assert reaching(code, occurrence=0) == ["1"]
    assert reaching(code, occurrence=1) == ["2"]


def test_a_name_that_nothing_binds_is_reached_by_nothing() -> None:
    assert reaching("use(x)") == []


def test_long_straight_line_code_costs_one_look_a_use() -> None:
    module = module_of("x = f()\n" + "x = x.g()\n" * 3_000)
    looks = 0
    runs_before = module._runs_before

    def counting(*arguments: object) -> object:
        nonlocal looks
        looks += 1
        return runs_before(*arguments)  # type: ignore[arg-type]

    module._runs_before = counting  # type: ignore[method-assign, assignment]
    for use in range(0, 3_000, 100):
        assert len(module.reaching(name(module, "x", use))) == 1
    assert looks == 30


def test_of_endless_branches_only_the_nearest_are_followed() -> None:
    code = "x = 0\n" + "".join(f"if a: x = {number}\n" for number in range(1, 500)) + "use(x)"
    assert reaching(code) == [str(number) for number in range(400, 500)]
