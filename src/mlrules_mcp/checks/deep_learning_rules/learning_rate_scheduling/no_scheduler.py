from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.deep_learning_rules._numbers import numbers
from mlrules_mcp.checks.deep_learning_rules.learning_rate_scheduling._loops import goes_over_epochs
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "NAdam", "RAdam")
_FEWEST_EPOCHS = 30
# Whatever else may change the learning rate, and ways of training that keep it.
_CHANGES_RATE = pattern(
    r"(?i)sched|param_groups|adjust_l|decay_lr|lr_?decay|rate_?decay|decay_rate|warm_?up|anneal|one_?cycle|"
    r"(set|update)_(lr|learning)|lr_lambda|prodigy|noam|\bimport gym|\bfrom gym|discriminator|n_critic|episode|"
    r"replay_?(buffer|memory)|\benv\.(step|reset)"
)
_OWN_SCHEDULES = frozenset({"lightning", "transformers"})
_PROGRESS_BARS = frozenset({"tqdm", "track", "progress_bar"})


class NoScheduler(Check[ast.Module]):
    """A learning rate that stays the same over many epochs.

    ## What it does
    Finds scripts and notebooks that train over batches for 30 epochs or more with one optimizer and a learning rate
    that nothing ever changes. Advice.

    ## Why it matters
    A rate that is right at the start is too large at the end, where the loss goes on jumping around the minimum. A
    decaying schedule usually gives a better model for the same training, and makes it less sensitive to the rate.

    ## Do not flag
    Anything that changes the rate or is called like it; an optimizer that is made anew in a loop; fewer epochs, or a
    number that does not show; training on one batch a turn of the only loop; adversarial training and reinforcement
    learning; modules that other files call; tests.

    ## Fix safety
    No fix: the schedule is a choice.

    ## References
    - https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    """

    examples = (
        Bad(
            """
            import torch

            optimizer = «torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)»
            for epoch in range(90):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            import argparse
            import torch.optim as optim

            def train(model, loader, optimizer):
                for x, y in loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()

            def main():
                parser = argparse.ArgumentParser()
                parser.add_argument("--epochs", default=100, type=int)
                args = parser.parse_args()
                model = Net()
                optimizer = «optim.Adam(model.parameters(), lr=1e-3)»
                for epoch in range(1, args.epochs + 1):
                    train(model, loader, optimizer)

            if __name__ == "__main__":
                main()
            """,
            advice=True,
        ),
        Good(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 90)
            for epoch in range(90):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
                scheduler.step()
            """
        ),
        Good(
            """
            import torch

            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(90):
                for group in optimizer.param_groups:
                    group["lr"] = 0.1 * 0.5 ** (epoch // 30)
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
            """,
            why="The rate is changed by hand.",
        ),
        Good(
            """
            import torch

            optimizer = torch.optim.Adam(model.parameters())
            for epoch in range(5):
                for x, y in train_loader:
                    optimizer.zero_grad()
                    criterion(model(x), y).backward()
                    optimizer.step()
            for step in range(1000):
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
            """,
            why="Few epochs, and a loop over one batch.",
        ),
        Good(
            """
            import torch

            def fit(model, train_loader):
                optimizer = torch.optim.Adam(model.parameters())
                for epoch in range(100):
                    for x, y in train_loader:
                        optimizer.zero_grad()
                        criterion(model(x), y).backward()
                        optimizer.step()
            """,
            why="A file that others import does not decide how training is run.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        made = [call for call in module.calls(*_OPTIMIZERS) if _is_optimizer(module, call)]
        if len(made) != 1 or "sched" in module.source.code or is_test(module):
            return
        if not module.imported_packages.isdisjoint(_OWN_SCHEDULES) or module.enclosing_loop(made[0]) is not None:
            return
        epochs = [count for loop in module.nodes(ast.For) if (count := _epochs(module, loop)) is not None]
        if not epochs or min(epochs) < _FEWEST_EPOCHS or not _is_script(module):
            return
        if not _CHANGES_RATE.search(module.source.code):
            yield self.finding(
                module,
                made[0],
                "The learning rate stays the same from the first epoch to the last, where it is usually too large. Let "
                "it decay, such as with `CosineAnnealingLR(optimizer, T_max=epochs)` stepped after each epoch.",
                advice=True,
            )


def _is_optimizer(module: Module, call: ast.Call) -> bool:
    package, _, name = (module.qualified_name(call.func) or "").rpartition(".")
    return package == "torch.optim" and name in _OPTIMIZERS


def _is_script(module: Module) -> bool:
    """Whether a file runs its training itself: in a loop of its own, or under `if __name__ == "__main__"`."""
    if any(module.is_inside(guard, module.tree) and _asks_for_main(guard) for guard in module.tree.body):
        return True
    return any(module.enclosing_function(loop) is None and _epochs(module, loop) for loop in module.nodes(ast.For))


def _asks_for_main(statement: ast.stmt) -> bool:
    match statement:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
    return False


def _epochs(module: Module, loop: ast.For) -> float | None:
    """How many epochs a loop trains for; None where it does not, or the number does not show."""
    iterable = loop.iter
    if isinstance(iterable, ast.Call) and module.called_name(iterable) in _PROGRESS_BARS and iterable.args:
        iterable = iterable.args[0]
    if not isinstance(iterable, ast.Call) or module.called_name(iterable) not in {"range", "trange"}:
        return None
    ends = numbers(module, iterable.args[min(1, len(iterable.args) - 1)]) if iterable.args else []
    return max(ends) if ends and goes_over_epochs(module, loop) else None
