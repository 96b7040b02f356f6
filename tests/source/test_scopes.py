"""Which name is bound where."""

from __future__ import annotations

import ast

import pytest

from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import Binding
from tests.source.support import module_of, name, read


def scope_of(module: Module, text: str) -> str:
    """The scope of the last expression with a text: a function's or class's name, or the node type."""
    scope = module.scope(read(module, text))
    return getattr(scope, "name", type(scope).__name__)


def kinds(module: Module, identifier: str) -> list[tuple[str, str | None]]:
    """The kinds of the bindings that the last use of a name has in its scope, with the text of their values."""
    bindings = module.bindings_in_scope(name(module, identifier))
    return [(binding.kind, module.text(binding.value) if binding.value else None) for binding in bindings]


def owners(bindings: list[Binding]) -> list[str]:
    return [getattr(binding.scope, "name", type(binding.scope).__name__) for binding in bindings]


def test_decorators_defaults_annotations_and_bases_belong_to_the_outer_scope() -> None:
    module = module_of(
        """
        @decorator
        def function(a: annotation = default, *, b=keyword_default) -> returned:
            inside

        @class_decorator
        class Class(base, metaclass=meta):
            body
        """
    )
    for outer in ("decorator", "annotation", "default", "keyword_default", "returned"):
        assert scope_of(module, outer) == "Module"
    for outer in ("class_decorator", "base", "meta"):
        assert scope_of(module, outer) == "Module"
    assert scope_of(module, "inside") == "function"
    assert scope_of(module, "body") == "Class"


def test_parameters_belong_to_their_function() -> None:
    module = module_of("class A:\n    def f(self, *a, b=1): pass\nlambda x: x\n")
    assert [type(module.scope(arg)).__name__ for arg in module.nodes(ast.arg)] == ["FunctionDef"] * 3 + ["Lambda"]


def test_the_default_of_a_lambda_belongs_to_the_outer_scope_and_its_body_to_its_own() -> None:
    module = module_of("lambda a=default: body\n")
    assert scope_of(module, "default") == "Module"
    assert scope_of(module, "body") == "Lambda"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("[element for x in first if test for y in second]", "ListComp"),
        ("{element for x in first if test for y in second}", "SetComp"),
        ("{element: 1 for x in first if test for y in second}", "DictComp"),
        ("(element for x in first if test for y in second)", "GeneratorExp"),
    ],
)
def test_only_the_first_iterable_of_a_comprehension_belongs_to_the_outer_scope(code: str, kind: str) -> None:
    module = module_of(code)
    assert scope_of(module, "first") == "Module"
    for inner in ("element", "test", "second"):
        assert scope_of(module, inner) == kind


def test_a_comprehension_over_a_variable_of_the_same_name_reads_the_outer_one() -> None:
    module = module_of("batch = load()\nmoved = [batch.cuda() for batch in batch]\n")
    outer, inner = name(module, "batch", 1), name(module, "batch", 0)
    assert [binding.kind for binding in module.bindings_in_scope(inner)] == ["loop"]
    assert [binding.kind for binding in module.bindings_in_scope(outer)] == ["assignment"]


def test_names_of_a_class_body_are_not_seen_by_its_methods() -> None:
    module = module_of(
        """
        size = 1
        class A:
            size = 2
            other = size
            def method(self):
                return size
        """
    )
    assert owners(module.bindings_in_scope(name(module, "size", 0))) == ["A"]
    assert owners(module.bindings_in_scope(name(module, "size", 1))) == ["Module"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\nx", ("assignment", "1")),
        ("x: int = 1\nx", ("assignment", "1")),
        ("x = y = 1\nx", ("assignment", "1")),
        ("x, y = 1, 2\nx", ("assignment", "1")),
        ("y, *x = 1, 2\nx", ("unpacking", "1, 2")),
        ("x, y = *z, 1\nx", ("unpacking", "*z, 1")),
        ("y, x = 1, *z\nx", ("unpacking", "1, *z")),
        ("x, y = 1, *z\nx", ("assignment", "1")),
        ("y, x = 1,\nx", ("unpacking", "1,")),
        ("x, y = f()\nx", ("unpacking", "f()")),
        ("[x, y] = f()\nx", ("unpacking", "f()")),
        ("(y, (z, x)) = f()\nx", ("unpacking", "f()")),
        ("(x := 1)\nx", ("assignment", "1")),
        ("x += 1\nx", ("augmented", "1")),
        ("for x in xs:\n  x", ("loop", "xs")),
        ("for i, x in xs:\n  x", ("loop", "xs")),
        ("[x for x in xs]", ("loop", "xs")),
        ("with f() as x:\n  x", ("with", "f()")),
        ("with f() as (y, x):\n  x", ("with", "f()")),
        ("import x\nx", ("import", None)),
        ("import x.y\nx", ("import", None)),
        ("import y as x\nx", ("import", None)),
        ("from y import x\nx", ("import", None)),
        ("from y import z as x\nx", ("import", None)),
        ("def x(): pass\nx", ("definition", None)),
        ("async def x(): pass\nx", ("definition", None)),
        ("class x: pass\nx", ("definition", None)),
        ("lambda x: x", ("parameter", None)),
        ("lambda x=1: x", ("parameter", "1")),
        ("try: pass\nexcept E as x:\n  x", ("other", None)),
        ("match y:\n  case x:\n    x", ("other", None)),
        ("match y:\n  case [1, *x]:\n    x", ("other", None)),
        ("match y:\n  case {**x}:\n    x", ("other", None)),
        ("match y:\n  case A(b=x):\n    x", ("other", None)),
        ("match y:\n  case (1 | 2) as x:\n    x", ("other", None)),
    ],
)
def test_every_way_to_bind_a_name_is_known(code: str, expected: tuple[str, str | None]) -> None:
    assert kinds(module_of(code), "x") == [expected]


@pytest.mark.parametrize(
    ("parameters", "default"),
    [
        ("x", None),
        ("x=1", "1"),
        ("a, x=1, /", "1"),
        ("a, /, b, x=1", "1"),
        ("x, a=1", None),
        ("*, x=1", "1"),
        ("*, x, y=1", None),
        ("*x", None),
        ("**x", None),
    ],
)
def test_a_parameter_has_its_default_as_value(parameters: str, default: str | None) -> None:
    assert kinds(module_of(f"def f({parameters}):\n    x\n"), "x") == [("parameter", default)]


def test_the_place_in_an_unpacking_is_told_only_where_it_is_certain() -> None:
    module = module_of("a, b = f()\n*c, d = f()\n(e, (g, h)) = f()\n(a, b, c, d, e, g, h)\n")
    places = {each: module.bindings[each][0].index for each in "abcdegh"}
    assert places == {"a": 0, "b": 1, "c": None, "d": None, "e": 0, "g": None, "h": None}


@pytest.mark.parametrize("code", ["x: int\nx", "from y import *\nx", "del x\nx", "x.y = 1\nx", "x[0] = 1\nx"])
def test_an_annotation_a_deletion_or_a_part_binds_nothing(code: str) -> None:
    assert kinds(module_of(code), "x") == []


def test_a_walrus_in_a_comprehension_binds_in_the_function_around() -> None:
    module = module_of("def f(xs):\n    [y for x in xs if (y := g(x))]\n    return y\n")
    assert owners(module.bindings_in_scope(name(module, "y"))) == ["f"]


def test_global_sends_a_name_to_the_module() -> None:
    module = module_of("model = None\ndef set_up():\n    global model\n    model = Net()\nmodel\n")
    assert kinds(module, "model") == [("assignment", "None"), ("assignment", "Net()")]


def test_nonlocal_sends_a_name_to_the_function_that_has_it() -> None:
    module = module_of(
        """
        def outer():
            count = 1
            def middle():
                nonlocal count
                count = 0
                def inner():
                    nonlocal count
                    count = 2
            class A:
                count = 9
                def method(self):
                    nonlocal count
                    count = 3
            return count
        """
    )
    assert kinds(module, "count") == [("assignment", each) for each in "1023"]
    assert owners(module.bindings["count"]) == ["outer", "outer", "outer", "A", "outer"]


def test_a_nonlocal_that_nothing_explains_does_no_harm() -> None:
    module = module_of("nonlocal x\ndef f():\n    nonlocal y\n    y = 1\n    y\n")
    assert kinds(module, "y") == [("assignment", "1")]


def test_all_bindings_of_a_name_come_in_the_order_of_the_text() -> None:
    module = module_of("x = 1\ndef f(x):\n    x = 2\nfor x in y:\n    import x\n")
    assert [binding.kind for binding in module.bindings["x"]] == [
        "assignment",
        "parameter",
        "assignment",
        "loop",
        "import",
    ]
    assert set(module.bindings) == {"x", "f"}
    assert len(module.bindings) == 2
    assert "f" in module.bindings
    assert module.bindings.get("y") is None


def test_the_innermost_function_of_a_line_is_found() -> None:
    module = module_of(
        """
        a = 1
        def outer():
            b = 2
            def inner():
                c = 3
            d = 4
        e = 5
        @decorator
        def last(): f = 6; g = 7
        """
    )

    def at(line: int) -> str | None:
        function = module.function_at(line)
        return function.name if function else None

    assert [at(line) for line in range(1, 10)] == [
        None,
        "outer",
        "outer",
        "inner",
        "inner",
        "outer",
        None,
        None,
        "last",
    ]
    assert at(0) is None
    assert at(100) is None


def test_functions_come_in_the_order_of_the_text() -> None:
    module = module_of("async def a(): pass\nclass B:\n    def c(self): pass\nasync def d(): pass\ndef e(): pass\n")
    assert [function.name for function in module.functions] == ["a", "c", "d", "e"]
    assert all(isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) for function in module.functions)
