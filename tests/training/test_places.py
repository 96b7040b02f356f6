import inspect
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mlrules_mcp.training import places


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.inherited = nn.Linear(2, 2)


class Model(Base):
    def __init__(self):
        super().__init__()
        self.layers: nn.Module = nn.Sequential(nn.Linear(2, 2))
        setattr(self, "hidden", nn.Linear(2, 2))  # noqa: B010


def line_of(text):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("layers.0.weight", "self.layers: nn.Module"),
        ("inherited.bias", "self.inherited ="),
        ("hidden.weight", "class Model(Base)"),
    ],
)
def test_a_parameter_is_found_where_its_attribute_is_assigned(parameter, text):
    assert places.of_parameter(Model(), parameter) == (__file__, line_of(text))


def test_a_class_without_source_has_no_place():
    namespace = {"nn": nn}
    exec("class Made(nn.Module):\n    pass", namespace)
    assert places.of_class(namespace["Made"]) is None
    assert places.of_parameter(namespace["Made"](), "layer.weight") is None


def test_an_error_is_placed_at_the_innermost_line_of_the_source():
    def inner():
        inspect.getsourcelines(3)  # raises in the standard library

    with pytest.raises(TypeError) as caught:
        inner()
    here = Path(__file__)
    expected = (__file__, line_of("inspect.getsourcelines(3)"))
    assert places.of_error(caught.value, here) == expected
    assert places.of_error(caught.value, here.parent) == expected
    assert places.of_error(caught.value, here.parent / "elsewhere") is None


def test_packages_installed_in_the_project_are_not_to_blame(tmp_path):
    package = tmp_path / ".venv" / "site-packages" / "library.py"
    package.parent.mkdir(parents=True)
    package.write_text("def fail():\n    raise ValueError\n", encoding="utf-8")
    own = tmp_path / "own.py"
    own.write_text("\nfail()\n", encoding="utf-8")
    names = {}
    exec(compile(package.read_text(encoding="utf-8"), package, "exec"), names)
    with pytest.raises(ValueError) as caught:
        exec(compile(own.read_text(encoding="utf-8"), own, "exec"), names)
    assert places.of_error(caught.value, tmp_path) == (str(own), 2)


def test_a_call_into_torch_is_placed_at_the_line_of_the_source_that_made_it():
    placed = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            placed.append(places.of_call(Path(__file__)))
            placed.append(places.of_call(Path(__file__).parent / "elsewhere"))
            return func(*args, **(kwargs or {}))

    layer, ones = nn.Linear(2, 2), torch.ones(1, 2)
    with Watch():
        layer(ones)  # inside of the layer it is PyTorch that calls itself
    assert placed == [(__file__, line_of("layer(ones)")), None]


def test_a_function_is_placed_where_it_is_defined():
    assert places.of_function(Base.__init__) == (__file__, line_of("def __init__"))
    assert places.of_function(len) is None
