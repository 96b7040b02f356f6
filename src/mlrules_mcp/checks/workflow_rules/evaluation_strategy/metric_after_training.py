from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import is_script, is_test_file
from mlrules_mcp.checks._loaders import part_of_name
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import bases_are_known
from mlrules_mcp.checks.lightning_rules._trainers import Fit, fits, local_class_of, trainer_calls
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import end, start
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_JUDGES = pattern(
    r"(?i)(^|_)(val|valid|validate|validation|eval|evaluate|evaluation|test|dev|metric|metrics)(_|$|[A-Z])"
)
_METRIC = pattern(
    r"(?i)accuracy|f1_?score|precision|recall|auc|r2_?score|squared_error|absolute_error|confusion|classification_rep"
)


class MetricAfterTraining(Check[ast.Module]):
    """Training that nothing judges until it is over.

    ## What it does
    Finds `trainer.fit` of a LightningModule without a `validation_step`, validation data or a monitored metric, where
    the model is tested afterwards. As advice, it points at training loops of a script in which neither
    held-out data nor a metric appears before the loop ends, and both do after it.

    ## Why it matters
    What counts as good is decided when the result is known. Until then nothing shows when the model starts to learn by
    heart, so that the last epoch is kept, not the best.

    ## Do not flag
    Files that validate, log a metric, or prepare their test data before training, files that judge nothing at all (the
    evaluation may be another file's), tests.

    ## Fix safety
    No fix: the validation data has to come from somewhere.

    ## References
    - https://lightning.ai/docs/pytorch/stable/common/evaluation_basic.html
    """

    packages = TORCH
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def test_step(self, batch, batch_idx):
                    self.log("test_acc", self.accuracy(batch))

            trainer = L.Trainer(max_epochs=3)
            model = Classifier()
            «trainer.fit(model, train_loader)»
            trainer.test(model, test_loader)
            """
        ),
        Bad(
            """
            import torch
            from sklearn.metrics import accuracy_score

            for epoch in «range(10)»:
                for inputs, targets in loader:
                    optimizer.zero_grad()
                    criterion(model(inputs), targets).backward()
                    optimizer.step()
            test_inputs, test_targets = load("test")
            print(accuracy_score(test_targets, model(test_inputs).argmax(1)))
            """,
            advice=True,
        ),
        Good(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

                def validation_step(self, batch, batch_idx):
                    self.log("val_acc", self.accuracy(batch))

            trainer = L.Trainer(max_epochs=3)
            model = Classifier()
            trainer.fit(model, train_loader, val_loader)
            trainer.test(model, test_loader)
            """
        ),
        Good(
            """
            import lightning as L

            class Digits(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            trainer = L.Trainer(max_epochs=3)
            trainer.fit(Digits(), train_loader)
            trainer = L.Trainer(max_epochs=3)
            trainer.fit(better, train_loader, val_loader)
            trainer.test()
            """,
            why="the test is of another training",
        ),
        Good(
            """
            import lightning as L
            from project import Classifier

            trainer = L.Trainer()
            model = Classifier()
            trainer.fit(model, train_loader)
            trainer.test(model, test_loader)
            """,
            why="the module of another file may measure anything",
        ),
        Good(
            """
            import torch

            train_loader, test_loader = load("train"), load("test")
            for epoch in range(10):
                for inputs, targets in train_loader:
                    optimizer.zero_grad()
                    criterion(model(inputs), targets).backward()
                    optimizer.step()
            for inputs, targets in test_loader:
                correct += (model(inputs).argmax(1) == targets).sum()
            """,
            why="the test data stands ready before training",
        ),
        Good(
            """
            import torch

            for epoch in range(10):
                for inputs, targets in loader:
                    optimizer.zero_grad()
                    criterion(model(inputs), targets).backward()
                    optimizer.step()
            torch.save(model.state_dict(), "model.pt")
            """,
            why="another file may evaluate it",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module):
            return
        for fit in fits(module):
            if _is_unjudged(module, fit):
                yield self.finding(
                    module,
                    fit.call,
                    "Nothing judges the model while it trains: it has no validation data, and the test comes when all "
                    "is decided. Split off validation data, and log a metric in `validation_step` to monitor.",
                )
                return
        loop = _unjudged_loop(module)
        if loop is not None:
            yield self.finding(
                module,
                loop,
                "Neither held-out data nor a metric is there before training ends, so that what counts as good is "
                "decided when the result is known. Prepare both first, and measure once an epoch.",
                advice=True,
            )


def _is_unjudged(module: Module, fit: Fit) -> bool:
    """Whether a model is fitted without validation and tested afterwards."""
    call = fit.call
    if passes_unseen_arguments(call) or len(call.args) > 2:
        return False
    if any(argument(call, name) is not None for name in ("val_dataloaders", "datamodule")):
        return False
    cls = local_class_of(module, fit.model)
    if cls is None or not bases_are_known(module, cls):
        return False
    if any(module.method(cls, name) is not None for name in ("validation_step", "val_dataloader")):
        return False
    given = argument(call, "train_dataloaders", 1)
    if given is None and module.method(cls, "train_dataloader") is None:
        return False
    if any(keyword.arg == "monitor" for other in module.nodes(ast.Call) for keyword in other.keywords):
        return False
    return any(start(test) > end(call) and made is fit.trainer for test, made in trainer_calls(module, "test"))


def _unjudged_loop(module: Module) -> ast.expr | None:
    """The head of a script's training loop before which, and in which, nothing is prepared to judge the model."""
    loops = [loop for loop in module.training_loops if not module.enclosing_loops(loop)]
    loops = [loop for loop in loops if module.enclosing_function(loop) is None]
    loops = [loop for loop in loops if any(module.is_inside(call, loop) for call in module.backward_calls)]
    if not loops or not is_script(module):
        return None
    finish = max(end(loop) for loop in loops)
    names = [(start(node), node.id) for node in module.nodes(ast.Name)]
    names += [(start(node), node.attr) for node in module.nodes(ast.Attribute)]
    names += [(start(node), node.name) for node in module.functions]
    names += [
        (start(node), node.value)
        for node in module.nodes(ast.Constant)
        if isinstance(node.value, str) and len(node.value) < 60
    ]
    if any(place < finish and _judges(name) for place, name in names):
        return None
    after = [name for place, name in names if place > finish]
    if any(part_of_name(name) in ("test", "validation") for name in after) and any(map(_METRIC.search, after)):
        first = loops[0]
        return first.test if isinstance(first, ast.While) else first.iter
    return None


def _judges(name: str) -> bool:
    if part_of_name(name) in ("test", "validation"):
        return True
    return bool(_JUDGES.search(name) or _METRIC.search(name)) and name != "eval"
