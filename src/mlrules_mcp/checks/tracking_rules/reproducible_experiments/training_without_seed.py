from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import torch_name
from mlrules_mcp.checks._programs import trained_here
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.tracking_rules.reproducible_experiments._seeds import (
    may_be_set_up_elsewhere,
    mentions_seeds,
    torch_draws,
)
from mlrules_mcp.findings import AddImport, Finding, Fix, InsertBefore, Span
from mlrules_mcp.source import Module


class TrainingWithoutSeed(Check[ast.Module]):
    """A program that trains a network and seeds nothing.

    ## What it does
    Finds files that train a model when they are started (scripts and notebooks, with PyTorch or Lightning), in which
    weights or the order of the data are drawn at random and nothing has to do with seeds. It points at the first draw.

    ## Why it matters
    Each run starts from other weights and sees the data in another order. A result can't be had again, and whether a
    change made the model better can't be told from luck.

    ## Do not flag
    Files that others import (the program that uses them sets the seed), tests and benchmarks, files in which any code
    speaks of a seed (an argument, a key of a configuration, a call of a helper), and those that call an imported
    function that sets up the run. Missing arguments of scikit-learn are `random-state-missing`, a split without a
    generator is `random-split-without-generator`.

    ## Fix safety
    Suggested: which seed, and how many of them, is the author's choice.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    """

    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch
            from torch import nn
            from torch.utils.data import DataLoader

            loader = «DataLoader(dataset, batch_size=32, shuffle=True)»
            model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 2))
            optimizer = torch.optim.Adam(model.parameters())
            for epoch in range(10):
                for features, labels in loader:
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(features), labels).backward()
                    optimizer.step()
            """,
            suggested_fix="""
            import torch
            from torch import nn
            from torch.utils.data import DataLoader

            torch.manual_seed(42)
            loader = DataLoader(dataset, batch_size=32, shuffle=True)
            model = nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 2))
            optimizer = torch.optim.Adam(model.parameters())
            for epoch in range(10):
                for features, labels in loader:
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(features), labels).backward()
                    optimizer.step()
            """,
        ),
        Bad(
            """
            import argparse
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return self.fc(x)

            def train(model, loader, optimizer):
                for x, y in loader:
                    loss = nn.functional.mse_loss(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()

            def main():
                # torch.manual_seed(0)
                parser = argparse.ArgumentParser()
                parser.add_argument("--epochs", default=10, type=int)
                args = parser.parse_args()
                model = «Net()»
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for epoch in range(args.epochs):
                    train(model, loader, optimizer)

            if __name__ == "__main__":
                main()
            """,
            suggested_fix="""
            import argparse
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return self.fc(x)

            def train(model, loader, optimizer):
                for x, y in loader:
                    loss = nn.functional.mse_loss(model(x), y)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()

            def main():
                # torch.manual_seed(0)
                parser = argparse.ArgumentParser()
                parser.add_argument("--epochs", default=10, type=int)
                args = parser.parse_args()
                torch.manual_seed(42)
                model = Net()
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                for epoch in range(args.epochs):
                    train(model, loader, optimizer)

            if __name__ == "__main__":
                main()
            """,
        ),
        Bad(
            """
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            model = «Classifier()»
            L.Trainer(max_epochs=3).fit(model, loader)
            """,
            suggested_fix="""
            import lightning as L

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.seed_everything(42, workers=True)
            model = Classifier()
            L.Trainer(max_epochs=3).fit(model, loader)
            """,
        ),
        Bad(
            """
            from pytorch_lightning import Trainer
            from torch.utils.data import DataLoader
            from models import Classifier

            loader = «DataLoader(dataset, 32, True)»
            trainer = Trainer(max_epochs=3)
            trainer.fit(Classifier(), loader)
            """,
            suggested_fix="""
            from pytorch_lightning import Trainer, seed_everything
            from torch.utils.data import DataLoader
            from models import Classifier

            seed_everything(42, workers=True)
            loader = DataLoader(dataset, 32, True)
            trainer = Trainer(max_epochs=3)
            trainer.fit(Classifier(), loader)
            """,
        ),
        Good(
            """
            import lightning as L

            class Boring(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            L.Trainer(fast_dev_run=True).fit(Boring(), loader)
            """,
            "a trial run",
        ),
        Good(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return self.fc(x)

            class Runner:
                def train(self, loader):
                    self.model = Net()
                    for x, y in loader:
                        loss = self.model(x).mean()
                        loss.backward()
                        self.optimizer.step()

            def fit(loader, optimizer):
                model = Net()
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()

            if __name__ == "__main__":
                print(Net()(torch.rand(1, 20)).shape)
            """,
            "a library: who trains with it sets the seed",
        ),
        Good(
            """
            import torch
            from torch import nn
            from helpers import fix_everything_random, set_seed

            set_seed(3)
            model = nn.Linear(20, 2)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import hydra
            import torch
            from torch import nn
            from project.runs import setup_run

            @hydra.main(config_path="conf")
            def main(cfg):
                setup_run(cfg)
                model = nn.Linear(20, 2)
                for batch in loader:
                    model(batch).mean().backward()
                    optimizer.step()

            main()
            """,
            "the imported function may set the seed",
        ),
        Good(
            """
            import torch
            from torch import nn

            parser.add_argument("--seed", type=int)
            generator = torch.Generator().manual_seed(0)
            model = nn.Linear(20, 2)
            for batch in loader:
                model(batch).mean().backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import torch

            image = content.clone().requires_grad_(True)
            optimizer = torch.optim.LBFGS([image])
            for step in range(300):
                loss = style_loss(image)
                loss.backward()
                optimizer.step()
            """,
            "nothing is drawn at random",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not (module.backward_calls or module.calls("fit")) or mentions_seeds(module):
            return
        if trained_here(module) is None or may_be_set_up_elsewhere(module):
            return
        # A split without a generator is reported by itself.
        draw = next((call for call in torch_draws(module) if module.called_name(call) != "random_split"), None)
        if draw is not None:
            yield self.finding(
                module,
                draw,
                "Each run draws other weights and another order of the data, because nothing is seeded, so no result "
                "can be had again. Set a seed before anything is drawn, and log it: "
                f"`{_seeding(module)[0]}`.",
                fix=_seeded_before(module, draw),
            )


def _seeding(module: Module) -> tuple[str, AddImport | None]:
    """The code that sets a seed with what a module imports, and what it has to import for that."""
    if not module.calls("Trainer"):
        name = torch_name(module)
        return f"{name or 'torch'}.manual_seed(42)", None if name else AddImport("torch")
    for statement in module.nodes(ast.Import):
        for alias in statement.names:
            if alias.name in ("lightning", "pytorch_lightning", "lightning.pytorch"):
                return f"{alias.asname or alias.name}.seed_everything(42, workers=True)", None
    package = "lightning.pytorch" if "lightning.pytorch" in module.source.code else "pytorch_lightning"
    return "seed_everything(42, workers=True)", AddImport(package, "seed_everything")


def _seeded_before(module: Module, draw: ast.Call) -> Fix:
    code, needed = _seeding(module)
    loops = module.enclosing_loops(draw)
    insertion = InsertBefore(Span.of(loops[-1] if loops else module.statement(draw)), code)
    return suggested("Set a seed first", insertion, *([needed] if needed else []))
