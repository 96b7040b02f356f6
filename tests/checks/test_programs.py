"""What runs when a file is started."""

from __future__ import annotations

from textwrap import dedent

import pytest

from mlrules_mcp.checks._programs import is_example_path, is_test_path, started, trained_here
from mlrules_mcp.source import Module, SourceFile

LOOP = """
    for batch in loader:
        model(batch).mean().backward()
        optimizer.step()
"""


def module_of(code: str, path: str = "train.py") -> Module:
    return Module(SourceFile.from_text(dedent(code), path))


def names_started(code: str) -> dict[str, int]:
    module = module_of(code)
    classes = {function: module.enclosing_class(function) for function in module.functions}
    return {
        f"{cls.name}.{function.name}" if (cls := classes[function]) else function.name: depth
        for function, depth in started(module).items()
        if function is not None
    }


def test_functions_are_started_through_others_and_know_how_far_they_are() -> None:
    code = """
        def inner(): pass
        def outer(): inner()
        def unused(): inner()
        if __name__ == "__main__":
            outer()
    """
    assert names_started(code) == {"outer": 1, "inner": 2}


def test_a_function_that_is_passed_on_is_started() -> None:
    assert names_started("def worker(rank): pass\nmp.spawn(worker, nprocs=2)") == {"worker": 1}


@pytest.mark.parametrize("decorator", ["@app.command()", "@hydra.main(config_path='conf')", "@ex.automain"])
def test_a_function_that_a_command_line_calls_is_started(decorator: str) -> None:
    assert names_started(f"{decorator}\ndef train(cfg): pass") == {"train": 1}


def test_methods_are_started_where_an_object_of_their_class_is_used() -> None:
    code = """
        class Base:
            def save(self): pass
        class Trainer(Base):
            def __init__(self): self.epoch()
            def epoch(self): pass
            def train(self): self.save()
            def export(self): pass
        class Other:
            def train(self): pass
        trainer = Trainer()
        trainer.train()
    """
    assert names_started(code) == {"Trainer.__init__": 1, "Trainer.train": 1, "Trainer.epoch": 2, "Base.save": 2}


def test_making_an_object_starts_what_its_class_inherits_for_that() -> None:
    code = "class Base:\n    def __init__(self): pass\nclass Trainer(Base): pass\nTrainer()"
    assert names_started(code) == {"Base.__init__": 1}


def test_a_class_that_is_only_inherited_from_or_an_annotation_starts_nothing() -> None:
    code = "class Base:\n    def __init__(self): pass\nclass Trainer(Base): pass\ndef f(x: Base): pass"
    assert names_started(code) == {}


def test_a_common_method_of_something_else_starts_nothing() -> None:
    assert names_started("class Trainer:\n    def train(self): pass\nmodel.train()\nTrainer") == {}


def test_a_program_owns_its_training_and_a_library_does_not() -> None:
    function = f"import torch\ndef fit(model, loader, optimizer):{LOOP}"
    assert trained_here(module_of(function)) is None
    assert trained_here(module_of(function + "\nfit(model, loader, optimizer)")) is not None


def test_gradients_without_an_optimizer_are_no_training() -> None:
    code = "import torch\nfor image in images:\n    model(image).sum().backward()\n"
    assert trained_here(module_of(code)) is None


@pytest.mark.parametrize(("arguments", "trains"), [("max_epochs=3", True), ("fast_dev_run=True", False)])
def test_a_trial_of_a_trainer_is_no_training(arguments: str, trains: bool) -> None:
    module = module_of(f"import lightning as L\ntrainer = L.Trainer({arguments})\ntrainer.fit(model)\n")
    assert (trained_here(module) is not None) is trains


@pytest.mark.parametrize("path", ["tests/train.py", "test_train.py", "src/train_test.py", "benchmarks/train.py"])
def test_tests_own_no_training(path: str) -> None:
    module = module_of(f"import torch\nif True:{LOOP}", path)
    assert is_test_path(module)
    assert trained_here(module) is None


@pytest.mark.parametrize(
    ("path", "is_example"),
    [("examples/mnist/train.py", True), ("nlp-tutorial/rnn.py", True), ("src/train.py", False), ("sampler.py", False)],
)
def test_examples_are_told_by_their_path(path: str, is_example: bool) -> None:
    assert is_example_path(module_of("", path)) is is_example
