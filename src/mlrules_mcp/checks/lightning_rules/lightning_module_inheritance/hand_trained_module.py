from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._lightning import TRAINER
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test, lightning_modules, uses_fabric
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import Loop
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

_BATCHES = pattern(r"load|batch|data|(^|_)(dl|iter|it)\d*$|train|enumerate|bar", re.IGNORECASE)
# Libraries that run or shape the loop themselves, or loops that Lightning's does not fit.
_OTHER_LOOPS = frozenset(
    "accelerate colossalai deepspeed fastai fairscale gym gymnasium gym_super_mario_bros higher horovod ignite "
    "learn2learn opacus pettingzoo ray stable_baselines3 torchrl tianshou".split()
)


class HandTrainedModule(Check[ast.Module]):
    """A model that is trained by a loop of the file's own, beside Lightning or in its place.

    ## What it does
    Finds a loop over batches that computes gradients and steps an optimizer, in a file that defines the `nn.Module`
    which it trains. In a file that uses Lightning's Trainer or a LightningModule it is reported at the rule's
    severity, elsewhere as advice.

    ## Why it matters
    What the Trainer does for every LightningModule (devices, precision, accumulation, checkpoints, resuming, logging,
    several processes) has to be written and tested for each such loop.

    ## Do not flag
    Building blocks that no loop trains; Fabric, Accelerate, DeepSpeed, Ignite and the like; reinforcement learning and
    meta-learning; loops with several optimizers; full-batch training; models of other files; tests. One finding a
    file.

    ## Fix safety
    No fix: the loop has to be taken apart into `training_step`, `validation_step` and `configure_optimizers`.

    ## References
    - https://lightning.ai/docs/pytorch/stable/starter/converting.html
    """

    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return self.layers(x)

            net = Net()
            for epoch in range(10):
                for inputs, targets in train_loader:
                    optimizer.zero_grad()
                    loss = criterion(net(inputs), targets)
                    «loss.backward()»
                    optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            import lightning as L
            import torch
            from torch import nn

            class Encoder(nn.Module):
                def forward(self, x):
                    return self.layers(x)

            class Classifier(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            def pretrain(encoder, loader, optimizer):
                for step, batch in enumerate(loader):
                    loss = encoder(batch).mean()
                    «loss.backward()»
                    optimizer.step()
                    optimizer.zero_grad()

            pretrain(Encoder(), loader, torch.optim.Adam(parameters))
            L.Trainer().fit(Classifier(), loader)
            """
        ),
        Bad(
            """
            import lightning as L
            import torch
            from torch import nn

            class Encoder(nn.Module):
                def forward(self, x):
                    return x

            class Probe(nn.Module):
                def forward(self, x):
                    return x

            class Contrastive(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            encoder = Encoder()
            probe = Probe().to(device)
            optimizer = torch.optim.Adam(probe.parameters())
            for features, labels in train_loader:
                optimizer.zero_grad()
                «nn.functional.cross_entropy(probe(features), labels).backward()»
                optimizer.step()
            """
        ),
        Good(
            """
            import lightning as L
            from torch import nn

            class Block(nn.Module):
                def forward(self, x):
                    return self.layers(x)

            class Classifier(L.LightningModule):
                def __init__(self):
                    super().__init__()
                    self.automatic_optimization = False
                    self.block = Block()

                def training_step(self, batch, batch_idx):
                    for part in batch:
                        self.manual_backward(self.block(part).mean())
                        self.optimizers().step()
            """,
            "a building block, and manual optimization",
        ),
        Good(
            """
            from accelerate import Accelerator
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return self.layers(x)

            net = accelerator.prepare(Net())
            for batch in loader:
                accelerator.backward(net(batch).mean())
                optimizer.step()
            """,
            "Accelerate's loop",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def forward(self, x):
                    return self.layers(x)

            net = Net()
            for epoch in range(100):
                loss = criterion(net(features), targets)
                loss.backward()
                optimizer.step()

            class Generator(nn.Module):
                pass

            generator = Generator()
            for batch in loader:
                generator(batch).mean().backward()
                optimizer_g.step()
                critic(batch).mean().backward()
                optimizer_d.step()
            """,
            "full-batch training, and two optimizers",
        ),
        Good(
            """
            import torch
            from models import Net

            net = Net()
            for batch in loader:
                net(batch).mean().backward()
                optimizer.step()
            """,
            "a model of another file",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not module.backward_calls or not module.optimizer_steps or module.imported_packages & _OTHER_LOOPS:
            return
        if uses_fabric(module) or is_test(module) or (model := _model_made_here(module)) is None:
            return
        call = next(_hand_written(module), None)
        if call is not None:
            yield self.finding(
                module,
                call,
                "Devices, precision, checkpoints, resuming and logging are all left to this hand-written loop. Make "
                f"`{model.name}` a LightningModule with `training_step` and `configure_optimizers`, and let "
                "`Trainer.fit` run the loop.",
                advice=not _uses_lightning(module),
            )


def _model_made_here(module: Module) -> ast.ClassDef | None:
    """A plain module of this file that is made outside of other modules: the one that the file trains."""
    plain = (
        cls
        for cls in module.nodes(ast.ClassDef)
        if cls.bases and module.is_subclass(cls, MODULE) and not module.is_subclass(cls, LIGHTNING_MODULE)
    )
    made = [cls for cls in plain if any(_makes_model(module, call, cls) for call in module.calls(cls.name))]
    optimized = set(_classes_with_optimizer(module))
    return next((cls for cls in made if cls in optimized), made[0] if made else None)


def _classes_with_optimizer(module: Module) -> Iterator[ast.ClassDef]:
    """The classes of the file whose objects are asked for their parameters, which an optimizer gets."""
    for call in module.calls("parameters"):
        for origin in module.origins(call.func.value) if isinstance(call.func, ast.Attribute) else ():
            made = origin
            while isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute):
                made = made.func.value  # Net().to(device)
            if isinstance(made, ast.Call) and (cls := module.local_class(made.func)) is not None:
                yield cls


def _makes_model(module: Module, call: ast.Call, cls: ast.ClassDef) -> bool:
    if module.local_class(call.func) is not cls:
        return False
    around = module.enclosing_class(call)
    return around is None or not module.is_subclass(around, MODULE)


def _hand_written(module: Module) -> Iterator[ast.Call]:
    """The calls that compute gradients in a loop over batches, which steps one optimizer."""
    for call in module.backward_calls:
        loop = module.enclosing_loop(call)
        cls = module.enclosing_class(call)
        if loop is None or (cls is not None and module.is_subclass(cls, LIGHTNING_MODULE)):
            continue
        steps = [step for step in module.optimizer_steps if module.is_inside(step, loop)]
        optimizers = {ast.unparse(step.func.value) for step in steps if isinstance(step.func, ast.Attribute)}
        if len(optimizers) == 1 and _goes_over_batches(loop):
            yield call


def _goes_over_batches(loop: Loop) -> bool:
    return not isinstance(loop, ast.While) and any(
        isinstance(node, ast.Name | ast.Attribute) and _BATCHES.search(last_name(node) or "")
        for node in ast.walk(loop.iter)
    )


def _uses_lightning(module: Module) -> bool:
    return bool(lightning_modules(module)) or any(module.is_call_to(call, TRAINER) for call in module.calls("Trainer"))
