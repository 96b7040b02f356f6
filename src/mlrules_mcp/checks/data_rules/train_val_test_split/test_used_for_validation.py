from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import DATA, is_test_file
from mlrules_mcp.checks._loaders import loaders, part_of_name
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.data_rules.train_val_test_split._choices import chosen_by_test_score, stopped_by_test_data
from mlrules_mcp.findings import Finding
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument


class TestUsedForValidation(Check[ast.Module]):
    """Test data that decides when training stops or which checkpoint is kept.

    ## What it does
    Finds checkpoints that are kept when the score on test data is the best so far, early stopping (`eval_set`,
    `validation_data`) on the test part that is scored afterwards, and loaders of test data that the Trainer gets, or
    `val_dataloader` returns, for validation.

    ## Why it matters
    The best of many scores on the test set is good by luck too: it is reported as what the model will do, and nothing
    is left that could tell.

    ## Do not flag
    Watching the test score without choosing by it, choices by a validation part, parts that are scored nowhere else.

    ## Fix safety
    No fix: a validation part has to be split off the training data.

    ## References
    - https://scikit-learn.org/stable/modules/cross_validation.html
    """

    packages = DATA
    examples = (
        Bad(
            """
            import torch

            def test(epoch):
                global best_acc
                for inputs, targets in testloader:
                    correct += net(inputs).argmax(1).eq(targets).sum()
                acc = 100.0 * correct / total
                if «acc > best_acc»:
                    torch.save(net.state_dict(), "checkpoint.pt")
                    best_acc = acc
            """
        ),
        Bad(
            """
            import torch

            for epoch in range(epochs):
                train(model, train_loader)
                test_loss, test_acc = evaluate(model, test_loader)
                is_best = «test_acc > best_acc»
                save_checkpoint(model.state_dict(), is_best)
            """
        ),
        Bad(
            """
            import copy
            import torch

            for epoch in range(epochs):
                accuracy = evaluate(model, test_loader)
                if «accuracy >= best_accuracy»:
                    best_accuracy, best_model = accuracy, copy.deepcopy(model.state_dict())
            """
        ),
        Bad(
            """
            from sklearn.metrics import accuracy_score
            from xgboost import XGBClassifier

            model = XGBClassifier(early_stopping_rounds=10)
            model.fit(X_train, y_train, eval_set=[(X_train, y_train), («X_test», y_test)])
            print(accuracy_score(y_test, model.predict(X_test)))
            """
        ),
        Bad(
            """
            import lightgbm as lgb

            dtest = lgb.Dataset(X_test, y_test)
            booster = lgb.train(params, dtrain, valid_sets=[dtrain, «dtest»], callbacks=[lgb.early_stopping(10)])
            print(f1_score(y_test, booster.predict(X_test)))
            """
        ),
        Bad(
            """
            from tensorflow.keras.callbacks import EarlyStopping

            stop = EarlyStopping(patience=3)
            model.fit(x_train, y_train, validation_data=(«x_test», y_test), callbacks=[stop])
            model.evaluate(x_test, y_test)
            """
        ),
        Bad(
            """
            import lightning as L

            trainer = L.Trainer()
            trainer.fit(model, train_loader, val_dataloaders=«test_loader»)
            """
        ),
        Bad(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            class Digits(L.LightningDataModule):
                def train_dataloader(self):
                    return DataLoader(self.train_set)

                def val_dataloader(self):
                    return «DataLoader(self.test_set)»
            """
        ),
        Good(
            """
            import torch

            for epoch in range(epochs):
                val_acc, test_acc = evaluate(model, val_loader), evaluate(model, test_loader)
                if val_acc > best_val_acc:
                    best_val_acc, best_test_acc = val_acc, test_acc
                    torch.save(model.state_dict(), "best.pt")
                if test_acc > best_seen:
                    print("the best so far", test_acc)
            """
        ),
        Good(
            """
            from xgboost import XGBClassifier

            model = XGBClassifier(n_estimators=100)
            model.fit(X_train, y_train, eval_set=[(X_train, y_train), (X_test, y_test)])
            print(model.score(X_test, y_test))
            """,
            why="the test score is watched, and decides nothing",
        ),
        Good(
            """
            import lightgbm as lgb

            model = lgb.LGBMClassifier()
            model.fit(X_train, y_train, eval_set=[(X_test, y_test)], callbacks=[lgb.early_stopping(10)])
            submission = model.predict(competition)
            """,
            why="a validation part by another name: it is scored nowhere else",
        ),
        Good(
            """
            import lightning as L

            trainer = L.Trainer()
            trainer.fit(model, train_loader, val_loader)
            trainer.test(model, test_loader)
            """
        ),
        Good(
            """
            import torch

            def validate(epoch):
                for inputs, targets in val_loader:
                    correct += net(inputs).argmax(1).eq(targets).sum()
                if correct > best:
                    torch.save(net.state_dict(), "checkpoint.pt")

            test_acc = test(val_loader, net)
            if test_acc > best_acc:
                torch.save(net.state_dict(), "checkpoint.pt")
            """,
            why="a validation part, whatever the score is called",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module):
            return
        for place, what in (
            *((place, "which checkpoint is kept") for place in chosen_by_test_score(module)),
            *((place, "when training stops") for place in stopped_by_test_data(module)),
            *((place, "what the Trainer takes for validation") for place in _validates_on_test(module)),
        ):
            yield self.finding(
                module,
                place,
                f"The test data decides {what}, so that its score is the best of many and says too much. Split a "
                "validation part off the training data for that, and leave the test part for the end.",
            )


def _validates_on_test(module: Module) -> Iterator[ast.expr]:
    """The loaders of test data that a LightningModule is validated with."""
    if "lightning" not in module.imported_packages:
        return
    for call in module.calls("fit"):
        validation = argument(call, "val_dataloaders", 2)
        if isinstance(validation, ast.List | ast.Tuple) and validation.elts:
            validation = validation.elts[0] if len(validation.elts) == 1 else None
        if validation is not None and _is_called_test(validation) and _is_trainer(module, call):
            yield validation
    for loader in loaders(module):
        function = module.enclosing_function(loader.call)
        in_hook = function is not None and function.name == "val_dataloader"
        if in_hook and loader.role == "validation" and _is_called_test(loader.dataset):
            yield loader.call


def _is_called_test(expression: ast.expr) -> bool:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return part_of_name(name) == "test"
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return part_of_name(name) == "test"
        case ast.Call(func=ast.Attribute(attr="test_dataloader")):
            return True
    return False


def _is_trainer(module: Module, call: ast.Call) -> bool:
    """Whether a `fit` is called on a Trainer of Lightning, by what made it or its name."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return "trainer" in name.lower()
        case ast.Attribute(value=ast.Call() as made):
            return module.called_name(made) == "Trainer"
    return False
