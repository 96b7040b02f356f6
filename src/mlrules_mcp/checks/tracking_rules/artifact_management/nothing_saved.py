from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import LIGHTNING
from mlrules_mcp.checks._programs import is_example_path, started, trained_here
from mlrules_mcp.checks._trackers import keeps_something
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

# Functions of other files that may end a run, or be the run's own way to keep its results.
_FINISHES = pattern(r"(?i:finish|final|end|callback|hook|track|monitor|history|metric|result|eval|visual)")
# Scripts whose result is which settings are best.
_SEARCH_PATH = pattern(r"(?i:search|tun(e|ing)|sweep|ablat)[^/]*$")
_BATCHES = pattern(r"(?i:load|batch|(^|_)dl$|iter)")


class NothingSaved(Check[ast.Module]):
    """A script that trains a model and keeps nothing of it.

    ## What it does
    Finds scripts that train a network on batches of data when they are started and in which nothing is written: no
    model, no metrics, no figure, no log.

    ## Why it matters
    When the process ends, the trained weights and the figures that were printed are gone. To use the model, or to
    compare it with the next one, it has to be trained again.

    ## Do not flag
    Notebooks, which keep their outputs; examples, tutorials, searches, tests and benchmarks, by their path; files
    with a tracker, a logger, Lightning (whose Trainer saves by default) or any call that may write; files that others
    import; models of scikit-learn, which are fitted again in a moment.

    ## Fix safety
    No fix: what is worth keeping, and where, is the author's choice.

    ## References
    - https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    """

    examples = (
        Bad(
            """
            import torch
            from torch import nn

            model = nn.Linear(20, 2)
            optimizer = torch.optim.Adam(model.parameters())
            for epoch in range(50):
                for features, labels in train_loader:
                    optimizer.zero_grad()
                    loss = nn.functional.cross_entropy(model(features), labels)
                    «loss.backward()»
                    optimizer.step()
                print(epoch, accuracy(model, test_loader))
            """
        ),
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader
            from models import Net

            def train(model, data, optimizer):
                for batch in data:
                    optimizer.zero_grad()
                    «model(batch).mean().backward()»
                    optimizer.step()

            def main():
                model = Net()
                data = DataLoader(read("train.csv"), 32, shuffle=True)
                train(model, data, torch.optim.SGD(model.parameters(), lr=0.1))

            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import torch

            for batch in train_loader:
                optimizer.zero_grad()
                model(batch).mean().backward()
                optimizer.step()
            torch.save(model.state_dict(), "model.pt")
            """
        ),
        Good(
            """
            import torch
            import wandb

            for batch in train_loader:
                optimizer.zero_grad()
                model(batch).mean().backward()
                optimizer.step()
            """,
            "a tracker",
        ),
        Good(
            """
            import torch

            with open("losses.txt", "a") as file:
                for batch in train_loader:
                    optimizer.zero_grad()
                    loss = model(batch).mean()
                    loss.backward()
                    optimizer.step()
                    print(loss.item(), file=file)
            """
        ),
        Good(
            """
            import torch

            def train(model, train_loader, optimizer):
                for batch in train_loader:
                    optimizer.zero_grad()
                    model(batch).mean().backward()
                    optimizer.step()
            """,
            "a library",
        ),
        Good(
            """
            import torch
            from project.runs import finish_run

            for batch in train_loader:
                optimizer.zero_grad()
                model(batch).mean().backward()
                optimizer.step()
            finish_run(model)
            """,
            "what the imported function does with the model does not show",
        ),
        Good(
            """
            import torch

            w = torch.zeros(3, requires_grad=True)
            for step in range(100):
                loss = ((features @ w - y) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            print(w)
            """,
            "no batches: a small problem that is solved for its answer",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.backward_calls or module.source.notebook is not None or is_example_path(module):
            return
        if module.imported_packages & LIGHTNING or _SEARCH_PATH.search(module.source.path):
            return
        call = trained_here(module)
        if call is None or call not in module.backward_calls or keeps_something(module):
            return
        if not _goes_over_batches(module, call) or _may_be_kept_elsewhere(module):
            return
        yield self.finding(
            module,
            call,
            "The trained weights and the results are lost when the process ends. Save them, for instance with "
            '`torch.save(model.state_dict(), "model.pt")`, and write the metrics to a file or a tracker.',
        )


def _goes_over_batches(module: Module, call: ast.Call) -> bool:
    if module.calls("DataLoader"):
        return True
    loop = module.step_region(call)
    return isinstance(loop, ast.For) and any(
        isinstance(each, ast.Name) and bool(_BATCHES.search(each.id)) for each in module.walk(loop.iter)
    )


def _may_be_kept_elsewhere(module: Module) -> bool:
    """Whether the program passes what it trained, or its results, to functions of other files."""
    for call in module.nodes(ast.Call):
        if _FINISHES.search(module.called_name(call) or "") and module.enclosing_function(call) in started(module):
            name = module.qualified_name(call.func) or ""
            if name and not name.startswith(("torch.", "sklearn.", "builtins.", "numpy.", "torchmetrics.")):
                return True
    return False
