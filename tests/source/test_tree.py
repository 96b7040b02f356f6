"""Nodes by type, parents, loops around them and their text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from mlrules_mcp.findings import Location
from mlrules_mcp.source import Module, SourceFile
from mlrules_mcp.source.tree import TooManyLooks, code_of
from tests.source.support import call, module_of, name, read


def test_nodes_of_one_type_come_in_the_order_of_the_text() -> None:
    module = module_of(
        """
        @a
        class B(c, d=e):
            f: g = h

        @i
        async def j(k: l = m, *n: o, p: q = r) -> s:
            t if u else v
            [w for x in y if z]
        """
    )
    names = [node.id for node in module.nodes(ast.Name)]
    assert names == ["a", "c", "e", "f", "g", "h", "i", "l", "m", "o", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"]


def test_every_node_but_the_module_has_its_parent() -> None:
    module = module_of(
        """
        def f(a, *, b, c=1):
            with g(a) as h, i:
                return [j async for j in k if l], {**m, n: o}
        match p:
            case Q(r=s, t=u) | {"v": w, **x}:
                global y
            case True | None | [1, "z", False, *_]:
                pass
        """
    )
    assert set(module.walk(module.tree, into_functions=True)) == {module.tree, *_below(module.tree)}
    for node in ast.walk(module.tree):
        # Contexts and operators are shared by all nodes: they have no parent of their own.
        for child in set(ast.iter_child_nodes(node)) & set(_below(node)):
            assert module.parent(child) is node
    assert module.parent(module.tree) is None


def _below(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, but for contexts and operators."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr_context | ast.operator | ast.boolop | ast.unaryop | ast.cmpop):
            yield child
            yield from _below(child)


def test_deep_trees_are_walked_without_recursion() -> None:
    module = module_of("x = " + "a" + ".b" * 2_000)
    assert len(module.nodes(ast.Attribute)) == 2_000
    assert len(list(module.walk(module.tree))) == 2_004


def test_walking_yields_functions_and_classes_but_enters_only_those_it_is_given() -> None:
    module = module_of("def f():\n    a\n    def g():\n        b\n    class C:\n        c\n    lambda: d\n")
    (function,) = (node for node in module.functions if node.name == "f")

    def names(**options: bool) -> list[str]:
        return [node.id for node in module.walk(function, **options) if isinstance(node, ast.Name)]

    assert names() == ["a"]
    assert names(into_functions=True) == ["a", "b", "c", "d"]
    assert [node.id for node in module.walk(function.body) if isinstance(node, ast.Name)] == ["a"]


def test_a_node_repeats_with_the_loops_of_its_own_function() -> None:
    module = module_of(
        """
        for epoch in epochs():
            while more():
                inner()
            else:
                once()
            def later():
                nested()
            lambda: delayed()
        else:
            finished()
        """
    )
    lines = {
        function: [loop.lineno for loop in module.enclosing_loops(call(module, function))]
        for function in ("epochs", "more", "inner", "once", "nested", "delayed", "finished")
    }
    assert lines == {
        "epochs": [],
        "more": [2, 1],
        "inner": [2, 1],
        "once": [1],
        "nested": [],
        "delayed": [],
        "finished": [],
    }
    loop = module.enclosing_loop(call(module, "inner"))
    assert isinstance(loop, ast.While)
    assert module.enclosing_loop(call(module, "finished")) is None


def test_a_loop_itself_and_what_it_assigns_to_are_not_repeated_by_it() -> None:
    module = module_of("for x[i()] in y:\n    pass\n")
    (loop,) = module.nodes(ast.For)
    assert module.enclosing_loops(loop) == []
    assert module.enclosing_loops(call(module, "i")) == []


def test_the_enclosing_function_of_a_lambda_is_the_one_around_it() -> None:
    module = module_of("class A:\n    def f(self):\n        return lambda: inner()\nouter()\n")
    function = module.enclosing_function(call(module, "inner"))
    assert function is not None
    assert function.name == "f"
    cls = module.enclosing_class(call(module, "inner"))
    assert cls is not None
    assert cls.name == "A"
    assert module.enclosing_function(call(module, "outer")) is None
    assert module.enclosing_class(call(module, "outer")) is None


def test_the_statement_and_the_block_of_a_node() -> None:
    module = module_of(
        """
        try:
            a()
        except E:
            b(); c()
        else:
            d()
        finally:
            e()
        match x:
            case 1:
                f()
        """
    )
    for function, block in [("a", "a()"), ("b", "b() c()"), ("c", "b() c()"), ("d", "d()"), ("e", "e()"), ("f", "f()")]:
        statement = module.statement(call(module, function))
        assert " ".join(module.text(each) for each in module.block(statement)) == block
    with pytest.raises(ValueError, match="no statement"):
        module.statement(module.tree)


def test_a_node_is_inside_itself_and_what_is_around_it() -> None:
    module = module_of("if a:\n    b()\nelse:\n    c()\n")
    (branch,) = module.nodes(ast.If)
    assert module.is_inside(call(module, "b"), branch)
    assert module.is_inside(branch, branch)
    assert not module.is_inside(branch, call(module, "b"))


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_text_of_a_node_is_as_it_is_written(line_end: str) -> None:
    code = line_end.join(['é = f("ä",', "  g( 1 ) )  # comment", "h(ü)", ""])
    module = Module(SourceFile.from_text(code))
    assert module.text(call(module, "f")) == 'f("ä",\n  g( 1 ) )'
    assert module.text(call(module, "g")) == "g( 1 )"
    assert module.text(call(module, "h")) == "h(ü)"
    plain = Module(SourceFile.from_text(line_end.join(["x = f(1,", "  2)"])))
    assert plain.text(call(plain, "f")) == "f(1,\n  2)"


def test_the_location_of_a_node_inside_a_formatted_string_is_its_own() -> None:
    module = module_of('x = f"é {load(a)!r:>{width}} {b=}" f\'{c["d"]}\'\n')
    assert module.location(call(module, "load")) == Location(1, 10, 1, 17)
    assert module.location(name(module, "width")) == Location(1, 22, 1, 27)
    assert module.location(read(module, 'c["d"]')) == Location(1, 39, 1, 45)


def test_a_multi_line_formatted_string_keeps_the_lines_apart() -> None:
    module = module_of('x = f"""\n  é {load(a)}\n  {save(b)}"""\n')
    assert module.location(call(module, "load")) == Location(2, 6, 2, 13)
    assert module.location(call(module, "save")) == Location(3, 4, 3, 11)


def test_a_defined_name_is_placed_in_the_head_of_its_definition() -> None:
    module = module_of("class A:\n  @b(lambda: c)\n  async  def d(self):\n    class Ü(A): pass\n")
    names = [module.defined_name(node) for node in module.nodes(ast.ClassDef, ast.AsyncFunctionDef)]
    assert [(node.id, module.location(node)) for node in names] == [
        ("A", Location(1, 7, 1, 8)),
        ("Ü", Location(4, 11, 4, 12)),
        ("d", Location(3, 14, 3, 15)),
    ]


def test_looks_are_counted_for_each_check_and_for_all_together() -> None:
    module = module_of("for x in y:\n    " + "f(x); " * 50)
    node = name(module, "x")

    def looks() -> int:
        count = 0
        try:
            while True:
                module.is_inside(node, module.tree)
                count += 1
        except TooManyLooks:
            return count

    checks = []
    for _ in range(5):
        module.limit_looks()
        checks.append(looks())
    assert checks[0] > 100_000
    assert checks[1] == checks[0]
    assert checks[3:] == [0, 0]


def test_without_a_limit_there_are_as_many_looks_as_one_likes() -> None:
    module = module_of("x = y\n" * 1_000)
    for _ in range(100):
        assert len(list(module.walk(module.tree))) > 3_000


def test_equal_expressions_have_equal_code() -> None:
    module = module_of("a . b .c; a.b.c; f( 1 ,2); f(1, 2)[0]")
    assert [code_of(node.value) for node in module.nodes(ast.Expr)] == ["a.b.c", "a.b.c", "f(1, 2)", "f(1, 2)[0]"]
