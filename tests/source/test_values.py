"""Values of variables, local classes, their bases and attributes."""

from __future__ import annotations

import ast

import pytest

from mlrules_mcp.source import Module
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE, OPTIMIZER, is_library_subclass
from tests.source.support import call, module_of, name, read, texts


def origins(code: str, text: str = "x") -> list[str]:
    module = module_of(code)
    return sorted(texts(module, module.origins(read(module, text))))


def class_of(module: Module, name_of_class: str) -> ast.ClassDef:
    return next(node for node in module.nodes(ast.ClassDef) if node.name == name_of_class)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = f()\nx", ["f()"]),
        ("y = f()\nx = y\nx", ["f()"]),
        ("if a:\n  x = f()\nelse:\n  x = g()\nx", ["f()", "g()"]),
        ("x = f() if a else g()\nx", ["f()", "g()"]),
        ("x = f() or g()\nx", ["f()", "g()"]),
        ("async def h():\n  x = await f()\n  x", ["f()"]),
        ("print(x := f())\nx", ["f()"]),
        ("x, y = f(), g()\nx", ["f()"]),
        # what can't be followed is its own origin
        ("x", ["x"]),
        ("def h(x):\n  x", ["x"]),
        ("for x in y:\n  x", ["x"]),
        ("x, y = f()\nx", ["x"]),
        ("with f() as x:\n  x", ["x"]),
        ("import x\nx", ["x"]),
        ("def h(x):\n  if a:\n    x = f()\n  x", ["f()", "x"]),
        ("x = f()\nx += 1\nx", ["f()", "x"]),
    ],
)
def test_a_value_is_followed_to_the_expressions_it_comes_from(code: str, expected: list[str]) -> None:
    assert origins(code) == expected


def test_an_attribute_of_self_is_followed_through_its_class_and_local_bases() -> None:
    code = """
    class Base:
        def __init__(self):
            self.net = f()

    class Model(Base):
        def set_up(self, other):
            if other:
                self.net, self.size = g(), 3
            other.net = h()

        def run(self):
            return self.net
    """
    assert origins(code, "self.net") == ["f()", "g()"]


def test_an_attribute_that_nothing_assigns_is_its_own_origin() -> None:
    assert origins("class A:\n  def f(self):\n    self.x\n", "self.x") == ["self.x"]
    assert origins("def f(self):\n  self.x\n", "self.x") == ["self.x"]


def test_values_that_come_from_each_other_end() -> None:
    assert origins("def f(y):\n  x = y\n  while a:\n    x, y = y, x\n  x\n") == ["y", "y"]
    assert origins("x = x\nx") == ["x"]


def test_what_is_too_much_to_follow_stays_as_it_is() -> None:
    code = "x0 = f()\n" + "".join(f"x{number} = x{number - 1}\n" for number in range(1, 100)) + "x = x99\nx"
    (origin,) = origins(code)
    assert origin.startswith("x")


def test_values_of_a_name_are_those_of_its_assignments_alone() -> None:
    module = module_of("def f(x=1):\n  if a:\n    x = 2\n  for x in y: pass\n  x")
    assert texts(module, module.values_of(name(module, "x"))) == ["2"]


def test_local_classes_and_functions_are_found_by_name() -> None:
    module = module_of(
        """
        class Net: pass
        def helper(): pass
        class Model:
            def method(self):
                self.other(); helper(); Net(); self.missing(); module.helper()
            def other(self): pass
        """
    )
    cls = module.local_class(call(module, "Net").func)
    assert cls is class_of(module, "Net")
    assert module.local_class(call(module, "helper").func) is None
    assert module.local_class(None) is None
    functions = {
        text: getattr(module.local_function(call(module, text)), "name", None)
        for text in ("self.other", "helper", "Net", "self.missing", "module.helper")
    }
    assert functions == {
        "self.other": "other",
        "helper": "helper",
        "Net": None,
        "self.missing": None,
        "module.helper": None,
    }


def test_a_function_inside_another_is_found_where_it_is_visible() -> None:
    module = module_of("def f():\n  def g(): pass\n  g()\ng()\n")
    inner = module.local_function(call(module, "g", 0))
    assert inner is not None
    assert inner.lineno == 2
    assert module.local_function(call(module, "g", 1)) is None


def test_a_method_is_found_in_the_nearest_class_that_has_it() -> None:
    module = module_of(
        """
        class A:
            def f(self): pass
            def g(self): pass
        class B(A):
            def f(self): pass
        class C(B, Generic[T]): pass
        """
    )
    f, g = (module.method(class_of(module, "C"), method) for method in ("f", "g"))
    assert f is not None
    assert g is not None
    assert [f.lineno, g.lineno] == [5, 3]
    assert module.method(class_of(module, "C"), "h") is None
    assert [method.name for method in module.methods(class_of(module, "A"))] == ["f", "g"]


@pytest.mark.parametrize(
    ("code", "base", "expected"),
    [
        ("from torch import nn\nclass A(nn.Module): pass", MODULE, True),
        ("from torch.nn import *\nclass A(Module): pass", MODULE, True),
        ("from torch import nn\nclass A(nn.Sequential): pass", MODULE, True),
        ("from torch import nn\nclass A(nn.Parameter): pass", MODULE, False),
        ("import lightning as L\nclass A(L.LightningModule): pass", MODULE, True),
        ("import lightning as L\nclass A(L.LightningModule): pass", LIGHTNING_MODULE, True),
        ("from torch import nn\nclass A(nn.Module): pass", LIGHTNING_MODULE, False),
        ("from torch import nn\nclass B(nn.Module): pass\nclass A(B): pass", MODULE, True),
        ("from torch import nn\nclass B(nn.Module, Generic[T]): pass\nclass A(B[int]): pass", MODULE, True),
        ("from torch import nn\nclass A(Mixin, nn.Module): pass", MODULE, True),
        ("from torch import nn\nBase = nn.Module\nclass A(Base): pass", MODULE, True),
        ("class A(Module): pass", MODULE, False),
        ("class A(A): pass", MODULE, False),
        ("class A: pass", MODULE, False),
        ("import torch\nclass A(torch.optim.Adam): pass", OPTIMIZER, True),
        ("import torch\nclass A(torch.optim.lr_scheduler.LRScheduler): pass", OPTIMIZER, False),
        ("from transformers import PreTrainedModel\nclass A(PreTrainedModel): pass", MODULE, True),
    ],
)
def test_bases_are_known_through_imports_and_local_classes(code: str, base: str, expected: bool) -> None:
    module = module_of(code)
    assert module.is_subclass(class_of(module, "A"), base) is expected


def test_classes_that_inherit_from_each_other_end() -> None:
    module = module_of("class A(B): pass\nclass B(A): pass\n")
    assert module.base_names(class_of(module, "A")) == frozenset()


def test_a_long_line_of_classes_is_followed_to_its_end() -> None:
    classes = "".join(f"class C{number}(C{number - 1}): pass\n" for number in range(1, 2_000))
    module = module_of("from torch import nn\nclass C0(nn.Module): pass\n" + classes)
    assert module.is_subclass(class_of(module, "C1999"), MODULE)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from torch import nn\nx = nn.Linear(1, 2)\nx", True),
        ("from torch import nn\nx = nn.Linear(1, 2).to(device).eval()\nx", True),
        ("from torch import nn\nx = nn.Linear(1, 2)\nx = x.to(device)\nx", True),
        ("from torch import nn\nx = nn.Linear(1, 2)\nfor i in y:\n  x = x.to(device)\nx", True),
        ("from torch import nn\nclass Net(nn.Module): pass\nx = Net()\nx", True),
        ("from torch import nn\nclass Net(nn.Module): pass\nx = Net.load()\nx", False),
        ("from torch import nn\nx = nn.Linear if a else nn.ReLU\nx", False),
        ("from torch import nn\nx = make()\nif a:\n  x = nn.ReLU()\nx", True),
        ("x = Net()\nx", False),
        ("def f(x):\n  x", False),
        ("x = x.to(y)\nx", False),
    ],
)
def test_an_instance_is_known_by_the_call_that_made_it(code: str, expected: bool) -> None:
    module = module_of(code)
    assert module.is_instance(read(module, "x"), MODULE) is expected


def test_what_is_assigned_to_an_attribute_is_found_in_the_whole_class() -> None:
    module = module_of(
        """
        class A:
            size = 1
            other: int = 2
            bare: int
            def __init__(self, x):
                self.size = x
                self.a = self.b = 3
                self.c, (self.d, self.e) = 4, (5, 6)
                self.f, self.g = x
                self.h: int = 7
                self.size += 8
                [self.i for self.i in x]
                size = 9
                def later():
                    self.j = 10
                class Inner:
                    size = 11
                    def g(self):
                        self.size = 12
        class B(A):
            size = 13
        """
    )
    values = {
        attribute: texts(module, module.attribute_values(class_of(module, "A"), attribute))
        for attribute in ("size", "other", "bare", "a", "b", "c", "d", "e", "f", "h", "i", "j")
    }
    assert values == {
        "size": ["1", "x"],
        "other": ["2"],
        "bare": [],
        "a": ["3"],
        "b": ["3"],
        "c": ["4"],
        "d": ["5"],
        "e": ["6"],
        "f": [],
        "h": ["7"],
        "i": [],
        "j": ["10"],
    }
    assert texts(module, module.attribute_values(class_of(module, "B"), "size")) == ["13", "1", "x"]
    assert texts(module, module.attribute_values(class_of(module, "Inner"), "size")) == ["11", "12"]


@pytest.mark.parametrize(
    ("class_name", "base", "expected"),
    [
        ("torch.nn.Conv2d", MODULE, True),
        ("torch.nn.functional.relu", MODULE, False),
        ("torch.nn.Buffer", MODULE, False),
        ("torch.nn.init", MODULE, False),
        ("torch.nn.parallel.DistributedDataParallel", MODULE, True),
        ("torch.optim.SGD", OPTIMIZER, True),
        ("torch.optim.swa_utils.AveragedModel", OPTIMIZER, False),
        ("a.B", "a.B", True),
        ("a.C", "a.B", False),
    ],
)
def test_library_classes_go_by_the_naming_of_their_libraries(class_name: str, base: str, expected: bool) -> None:
    assert is_library_subclass(class_name, base) is expected


def test_methods_under_a_condition_are_a_classs_own_and_those_of_inner_classes_are_not() -> None:
    module = module_of(
        """
        class A:
            if x:
                def b(self):
                    def c(): pass
            else:
                def b(self): pass
            class D:
                def e(self): pass
            def f(self): pass
        """
    )
    outer = module.nodes(ast.ClassDef)[0]
    assert [method.name for method in module.methods(outer)] == ["b", "b", "f"]
