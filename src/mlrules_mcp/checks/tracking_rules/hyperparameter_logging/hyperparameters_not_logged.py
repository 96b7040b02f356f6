from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._programs import is_example_path, is_started, is_test_path, trained_here
from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks._trackers import TRACKERS, Tracker
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

# Packages through which a script gets, or writes down, its settings.
_SETTINGS = frozenset(
    "argparse click fire typer hydra omegaconf yaml json configparser absl tyro simple_parsing tap docopt toml tomllib "
    "dataclasses pydantic ml_collections gin sacred wandb mlflow comet_ml neptune clearml aim tensorboardX tensorboard "
    "visdom lightning pytorch_lightning transformers accelerate ray optuna logging loguru fastai ignite keras "
    "tensorflow deepspeed".split()
)
_SETTINGS_NAME = pattern(r"(?i:config|cfg|hparam|hyper_?param|args$|options?$|settings|(^|_)opts?$|argv|environ)")
_SAVES = ("save", "save_checkpoint", "save_model", "save_pretrained")


class HyperparametersNotLogged(Check[ast.Module]):
    """Results that are kept without the hyperparameters they were got with.

    ## What it does
    Finds programs that start a run of a tracker (Weights & Biases, MLflow, Comet) and log metrics to it, but no
    hyperparameters. As advice also training scripts that save a model whose learning rate, and batch size or number of
    epochs, stand as numbers in the code only.

    ## Why it matters
    A curve or a model that nobody knows the learning rate, batch size or augmentation of can't be compared or
    trained again. The code has changed by the time somebody asks.

    ## Do not flag
    Files that others import, tests, examples and tutorials; runs whose settings reach the tracker by another way
    (`wandb.config`, sweeps, `autolog`, tags, an artifact); scripts with arguments, a configuration or a log, and
    notebooks for what is advice. A LightningModule without `save_hyperparameters` is `hyperparameters-not-saved`.

    ## Fix safety
    No fix: which values belong to the run's settings is the author's knowledge.

    ## References
    - https://docs.wandb.ai/guides/track/config
    - https://mlflow.org/docs/latest/ml/tracking/
    """

    packages = TORCH | SKLEARN | {"keras", "tensorflow", "jax", "flax"}
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch
            import wandb

            «wandb.init(project="digits", name="first")»
            optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
            for epoch in range(20):
                for batch in loader:
                    loss = step(model, batch, optimizer)
                wandb.log({"loss": loss})
            """
        ),
        Bad(
            """
            import mlflow
            from sklearn.ensemble import RandomForestClassifier

            def main():
                with «mlflow.start_run()»:
                    model = RandomForestClassifier(n_estimators=300, max_depth=7).fit(X_train, y_train)
                    mlflow.log_metric("accuracy", model.score(X_test, y_test))
                    mlflow.sklearn.log_model(model, "model")

            main()
            """
        ),
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader
            from models import Net

            EPOCHS = 30
            loader = DataLoader(dataset, batch_size=64, shuffle=True)
            model = Net()
            optimizer = «torch.optim.SGD(model.parameters(), lr=0.01)»
            for epoch in range(EPOCHS):
                for features, labels in loader:
                    loss = criterion(model(features), labels)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            torch.save(model.state_dict(), "model.pt")
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            import wandb

            run = wandb.init(project="digits", config={"lr": 3e-4})
            wandb.log({"loss": loss})
            """
        ),
        Good(
            """
            import torch
            import wandb

            wandb.init(project="digits")
            wandb.config.lr = 3e-4
            wandb.log({"loss": loss})
            """
        ),
        Good(
            """
            import mlflow
            from sklearn.ensemble import RandomForestClassifier

            mlflow.sklearn.autolog()
            with mlflow.start_run():
                model = RandomForestClassifier(n_estimators=300).fit(X_train, y_train)
                mlflow.log_metric("accuracy", model.score(X_test, y_test))
            """
        ),
        Good(
            """
            import mlflow
            import torch

            def log_epoch(loss):
                mlflow.log_metric("loss", loss)

            def evaluate(model):
                with mlflow.start_run():
                    mlflow.log_metric("accuracy", accuracy(model))
            """,
            "a library: the program that uses it logs the settings",
        ),
        Good(
            """
            import argparse
            import torch
            from torch.utils.data import DataLoader

            args = parser.parse_args()
            loader = DataLoader(dataset, batch_size=64, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for epoch in range(30):
                for features, labels in loader:
                    criterion(model(features), labels).backward()
                    optimizer.step()
            torch.save({"model": model.state_dict(), "args": args}, "model.pt")
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader

            loader = DataLoader(dataset, batch_size=64, shuffle=True)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            for epoch in range(30):
                for features, labels in loader:
                    criterion(model(features), labels).backward()
                    optimizer.step()
            print(accuracy(model))
            """,
            "nothing is kept that would need them",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_path(module):
            return
        for package in module.imported_packages & TRACKERS.keys():
            start = _bare_run(module, TRACKERS[package])
            if start is not None:
                yield self.finding(
                    module,
                    start,
                    "The run keeps metrics but not the hyperparameters that led to them, so runs can't be compared or "
                    f"repeated. Log them all: `{TRACKERS[package].instead}`.",
                )
        optimizer = _trained_with_numbers(module)
        if optimizer is not None:
            yield self.finding(
                module,
                optimizer,
                "The saved model does not say with which hyperparameters it was trained: they stand in the code only. "
                "Keep them in one place, and save them with the model or log them to a tracker.",
                advice=True,
            )


def _bare_run(module: Module, tracker: Tracker) -> ast.Call | None:
    """The call that starts a tracker's run, in a program that logs metrics to it and no settings."""
    names = {name.rpartition(".")[2] for name in tracker.starts}
    starts = [call for call in module.calls(*names) if module.qualified_name(call.func) in tracker.starts]
    if not starts or not module.calls(*tracker.metrics):
        return None
    if not all(is_started(module, call) and not passes_unseen_arguments(call) for call in starts):
        return None
    used = {attribute.attr for attribute in module.nodes(ast.Attribute)}
    used |= {keyword.arg or "" for keyword in module.nodes(ast.keyword)}
    used |= {module.called_name(call) or "" for call in module.nodes(ast.Call)}
    return None if used & tracker.settings else starts[0]


def _trained_with_numbers(module: Module) -> ast.Call | None:
    """The optimizer of a script that saves what it trains, and whose settings are all numbers in the code."""
    if not module.backward_calls or module.source.notebook is not None or is_example_path(module):
        return None
    if module.imported_packages & _SETTINGS or not module.calls(*_SAVES) or trained_here(module) is None:
        return None
    if any(_SETTINGS_NAME.search(name.id) for name in module.nodes(ast.Name)) or module.calls("open"):
        return None
    for call in module.nodes(ast.Call):
        is_optimizer = (module.qualified_name(call.func) or "").startswith("torch.optim.")
        if is_optimizer and is_started(module, call) and _is_number(module, argument(call, "lr", 1)):
            return call if _says_how_long(module) else None
    return None


def _says_how_long(module: Module) -> bool:
    """Whether the batch size or the number of epochs is a number in the code."""
    for call in module.calls("DataLoader"):
        if _is_number(module, argument(call, "batch_size", 1)):
            return True
    for loop in module.training_loops:
        match loop:
            case ast.For(iter=ast.Call(func=ast.Name(id="range"), args=[*_, epochs])) if _is_number(module, epochs):
                return True
    return False


def _is_number(module: Module, value: ast.expr | None) -> bool:
    if value is None:
        return False
    return all(isinstance(each, ast.Constant) and isinstance(each.value, int | float) for each in module.origins(value))
