from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.pytorch_rules.gradient_management._clears import cleared, clears
from mlrules_mcp.checks.pytorch_rules.gradient_management._sites import sites
from mlrules_mcp.checks.pytorch_rules.gradient_management._updates import Update, regions, updates
from mlrules_mcp.findings import Finding, Fix, InsertAfter, InsertBefore, Span
from mlrules_mcp.source import Module


class BackwardWithoutZeroGrad(Check[ast.Module]):
    """A training loop that never clears the gradients.

    ## What it does
    Finds loops that compute gradients and update parameters with them, but clear the gradients nowhere in what they
    repeat, and `training_step` methods with manual optimization and closures of LBFGS that don't.

    ## Why it matters
    `backward()` adds to the gradients that are there. Without clearing, every step follows the sum of the gradients
    of all batches so far: the steps grow with every batch and the training diverges or stalls.

    ## Do not flag
    Gradients cleared anywhere in the loop: before `backward` or after `step`, in a function or closure that the loop
    runs, by `model.zero_grad()` or `p.grad = None`, or perhaps by an unseen function that is given the optimizer;
    DeepSpeed engines, distributed autograd and automatic optimization of Lightning, which do it themselves;
    optimizers made anew in the loop; functions that no loop of the module calls.

    ## Fix safety
    Suggested: the gradients may be meant to add up over several batches.

    ## References
    - https://docs.pytorch.org/tutorials/recipes/recipes/zeroing_out_gradients.html
    - https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
    """

    examples = (
        Bad(
            """
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(10):
                for images, labels in loader:
                    loss = criterion(model(images), labels)
                    «loss.backward()»
                    optimizer.step()
            """,
            suggested_fix="""
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for epoch in range(10):
                for images, labels in loader:
                    loss = criterion(model(images), labels)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
            """,
        ),
        Bad(
            """
            from torch import optim

            opt = optim.Adam(model.parameters())
            for epoch in range(10):
                opt.zero_grad()
                for step, batch in enumerate(loader):
                    «(model(batch).loss / 4).backward()»
                    if (step + 1) % 4 == 0:
                        opt.step()
            """,
            suggested_fix="""
            from torch import optim

            opt = optim.Adam(model.parameters())
            for epoch in range(10):
                opt.zero_grad()
                for step, batch in enumerate(loader):
                    (model(batch).loss / 4).backward()
                    if (step + 1) % 4 == 0:
                        opt.step()
                        opt.zero_grad()
            """,
        ),
        Bad(
            """
            class Trainer:
                def train_step(self, batch):
                    loss = self.model(batch).mean()
                    «self.scaler.scale(loss).backward()»
                    self.scaler.step(self.optimizer)
                    self.scaler.update()

                def fit(self, loader):
                    for batch in loader:
                        self.model.train()
                        self.train_step(batch)
            """,
            suggested_fix="""
            class Trainer:
                def train_step(self, batch):
                    loss = self.model(batch).mean()
                    self.optimizer.zero_grad()
                    self.scaler.scale(loss).backward()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()

                def fit(self, loader):
                    for batch in loader:
                        self.model.train()
                        self.train_step(batch)
            """,
        ),
        Bad(
            """
            optimizer_g = torch.optim.Adam(generator.parameters())
            optimizer_d = torch.optim.Adam(discriminator.parameters())
            for real in loader:
                optimizer_g.zero_grad()
                g_loss(generator, real).backward()
                optimizer_g.step()
                d_loss = discriminator(fake.detach()).mean() - discriminator(real).mean()
                «d_loss.backward()»
                optimizer_d.step()
            """,
            suggested_fix="""
            optimizer_g = torch.optim.Adam(generator.parameters())
            optimizer_d = torch.optim.Adam(discriminator.parameters())
            for real in loader:
                optimizer_g.zero_grad()
                g_loss(generator, real).backward()
                optimizer_g.step()
                d_loss = discriminator(fake.detach()).mean() - discriminator(real).mean()
                optimizer_d.zero_grad()
                d_loss.backward()
                optimizer_d.step()
            """,
        ),
        Bad(
            """
            import lightning as L

            class Net(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    «self.manual_backward(self.loss(batch))»
                    optimizer.step()
            """,
            suggested_fix="""
            import lightning as L

            class Net(L.LightningModule):
                def training_step(self, batch, batch_idx):
                    optimizer = self.optimizers()
                    optimizer.zero_grad()
                    self.manual_backward(self.loss(batch))
                    optimizer.step()
            """,
        ),
        Bad(
            """
            optimizer = torch.optim.LBFGS([image])
            for _ in range(20):
                optimizer.zero_grad()

                def closure():
                    loss = style_loss(image)
                    «loss.backward()»
                    return loss

                optimizer.step(closure)
            """,
            suggested_fix="""
            optimizer = torch.optim.LBFGS([image])
            for _ in range(20):
                optimizer.zero_grad()

                def closure():
                    loss = style_loss(image)
                    optimizer.zero_grad()
                    loss.backward()
                    return loss

                optimizer.step(closure)
            """,
        ),
        Bad(
            """
            w = torch.zeros(3, requires_grad=True)
            for x, y in data:
                «(x @ w - y).square().mean().backward()»
                with torch.no_grad():
                    w -= 0.1 * w.grad
            """,
            suggested_fix="""
            w = torch.zeros(3, requires_grad=True)
            for x, y in data:
                (x @ w - y).square().mean().backward()
                with torch.no_grad():
                    w -= 0.1 * w.grad
                    w.grad = None
            """,
        ),
        Good(
            """
            for i, batch in enumerate(loader):
                loss = model(batch) / 4
                loss.backward()
                if (i + 1) % 4 == 0:
                    optimizer.step()
                    optimizer.zero_grad()

            for step in range(1000):
                for micro_batch in batches(step):
                    scaler.scale(model(micro_batch)).backward()
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
            """,
            "Gradients add up over some batches and are cleared after the step.",
        ),
        Good(
            """
            class Trainer:
                def reset(self):
                    self.optimizer.zero_grad()

                def update(self, batch):
                    self.reset()
                    self.loss(batch).backward()
                    self.optimizer.step()

                def train(self):
                    for batch in self.loader:
                        self.update(batch)
            """,
            "A method clears the gradients.",
        ),
        Good(
            """
            def train_step(batch):
                model(batch).backward()
                optimizer.step()

            def clear():
                for p in model.parameters():
                    p.grad = None

            def run(before):
                for batch in loader:
                    before()
                    train_step(batch)

            run(clear)
            for batch in loader:
                clear()
                train_step(batch)
            """,
            "A loop that calls the step clears the gradients.",
        ),
        Good(
            """
            optimizer = torch.optim.LBFGS([image])

            def closure():
                optimizer.zero_grad()
                loss = style_loss(image)
                loss.backward()
                return loss

            while steps < 300:
                optimizer.step(closure)
            """
        ),
        Good(
            """
            for real in loader:
                discriminator.zero_grad()
                d_loss(real).backward()
                optimizer_d.step()
                generator.zero_grad()
                g_loss(real).backward()
                optimizer_g.step()

            for batch in loader:
                for optimizer in optimizers:
                    optimizer.zero_grad()
                for loss, optimizer in zip(losses(batch), optimizers):
                    loss.backward()
                    optimizer.step()
            """,
            "The last loop steps another optimizer each turn.",
        ),
        Good(
            """
            import lightning.pytorch as pl

            class Automatic(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    return self.loss(batch)

            class Manual(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    self.manual_backward(self.loss(batch))
                    self.optimizers().step()

                def on_train_batch_end(self, outputs, batch, batch_idx):
                    self.optimizers().zero_grad()
            """,
            "Lightning clears the gradients in automatic optimization; another hook may in manual optimization.",
        ),
        Good(
            """
            import deepspeed
            import torch.distributed.autograd as dist_autograd

            engine, optimizer, _, _ = deepspeed.initialize(model=model, config=config)
            for batch in loader:
                engine.backward(engine(batch))
                engine.step()

            for batch in loader:
                with dist_autograd.context() as context_id:
                    dist_autograd.backward(context_id, [model(batch)])
                    distributed_optimizer.step(context_id)
            """,
            "The engine clears the gradients in its step, and each context has its own gradients.",
        ),
        Good(
            """
            class NoamOptimizer:
                def step(self):
                    self.optimizer.step()
                    self.optimizer.zero_grad()

            optimizer = NoamOptimizer(torch.optim.Adam(model.parameters()))
            for batch in loader:
                model(batch).backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import torch
            from engine import prepare

            for batch in loader:
                prepare(model, optimizer)
                model(batch).backward()
                optimizer.step()
            """,
            "A function from elsewhere is given the optimizer.",
        ),
        Good(
            """
            for task in tasks:
                learner = Net()
                optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
                learner(task).backward()
                optimizer.step()

            for _ in range(40):
                image = image.detach().requires_grad_()
                loss(image).backward()
                image -= 0.01 * image.grad.sign()
            """,
            "Each turn makes a new model or tensor, without a gradient.",
        ),
        Good(
            """
            for task in tasks:
                grads = torch.autograd.grad(loss(task), model.parameters())
                for p, g in zip(model.parameters(), grads):
                    p.grad = g
                optimizer.step()
                model = model.cuda()
            """,
            "The gradients are set, not added to.",
        ),
        Good(
            """
            def train(epoch):
                for batch in loader:
                    model.zero_grad()
                    model(batch).backward()
                    for p in model.parameters():
                        p.data.add_(p.grad, alpha=-0.1)

            for x, y in data:
                (x @ w - y).square().mean().backward()
                w.data -= 0.1 * w.grad.data
                w.grad.zero_()

            def apply(loss, optimizer):
                loss.backward()
                optimizer.step()
            """,
            "No loop calls the last function in sight: its callers may clear the gradients.",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        backwards = [call for call in module.backward_calls if not _is_distributed(call, module)]
        if not backwards:
            return
        backward_sites = sites(module, backwards)
        clear_sites: dict[frozenset[ast.AST], list[ast.AST]] = {}
        done: set[tuple[ast.AST, str]] = set()
        for update in updates(module):
            name = ast.unparse(update.target)
            repeating = list(regions(update, backward_sites, module))
            if not repeating or (repeating[0], name) in done:
                continue
            done.update((region, name) for region in repeating)
            clearing = frozenset(clears(update, module))
            if clearing not in clear_sites:
                clear_sites[clearing] = sites(module, clearing)
            if any(cleared(region, update, clear_sites[clearing], module) for region in repeating):
                continue
            backward = _nearest_before(update, repeating[0], backwards, module)
            yield self.finding(
                module,
                backward,
                "Nothing clears the gradients between one step and the next, so each step follows the sum of the "
                f"gradients of all batches so far. Call `{_clearing(update)}` before `backward()`.",
                fix=_fix(update, backward, module),
            )


def _is_distributed(backward: ast.Call, module: Module) -> bool:
    """Whether a backward pass keeps its gradients in a context of its own."""
    return (module.qualified_name(backward.func) or "").startswith("torch.distributed.autograd.")


def _nearest_before(update: Update, region: ast.AST, backwards: list[ast.Call], module: Module) -> ast.Call:
    """The backward call that an update goes with: the last before it in the loop, or in its function."""
    function = module.enclosing_function(update.node)
    near = [call for call in backwards if module.is_inside(call, region)]
    near = near or [call for call in backwards if module.enclosing_function(call) is function] or backwards
    before = [call for call in near if call.lineno <= update.node.lineno]
    return before[-1] if before else near[0]


def _clearing(update: Update) -> str:
    return f"{ast.unparse(update.target)}.{'grad = None' if update.by_hand else 'zero_grad()'}"


def _fix(update: Update, backward: ast.Call, module: Module) -> Fix | None:
    """Clear before the backward pass; where that runs more often than the update, after the update."""
    step, pass_ = module.statement(update.node), module.statement(backward)
    clear = _clearing(update)
    title = f"Clear the gradients with {clear}"
    in_closure = module.enclosing_function(backward) is not module.enclosing_function(update.node)
    if not update.by_hand and (in_closure or module.block(step) is module.block(pass_)):
        return suggested(title, InsertBefore(Span.of(pass_), clear))
    if isinstance(step, ast.Expr | ast.AugAssign):
        return suggested(title, InsertAfter(Span.of(step), clear))
    return None
