from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._kept import kept_values
from mlrules_mcp.checks._losses import losses
from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import Finding, Fix, Replace, Span
from mlrules_mcp.source import Module


class LossKeptWithGraph(Check[ast.Module]):
    """A loss that is kept from step to step together with its graph.

    ## What it does
    Finds losses that a training step backpropagates and also adds, undetached, to a sum, a list or the like
    that outlives the step: `total_loss += loss`, `losses.append(loss)`.

    ## Why it matters
    A loss holds on to the graph it was computed with. A sum of losses chains all these graphs together, so memory
    grows with every step until the sum is let go, and the job may run out of it after hours.

    ## Do not flag
    `loss.item()`, `loss.detach()` and `float(loss)`; sums that are backpropagated themselves, also later; sums of the
    terms of one step, which start anew in the next; evaluation, which has no graph under `no_grad`; lists of
    model outputs, which `outputs-kept-with-graph` finds.

    ## Fix safety
    Safe: the value stays the same, and gradients could not have been computed from it again.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/faq.html#my-model-reports-cuda-runtime-error-2-out-of-memory
    """

    examples = (
        Bad(
            """
            total_loss = 0
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                «total_loss += loss»
            """,
            safe_fix="""
            total_loss = 0
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                total_loss += loss.detach()
            """,
        ),
        Bad(
            """
            def train(model, loader, optimizer, criterion):
                losses = []
                for inputs, targets in loader:
                    optimizer.zero_grad()
                    loss = criterion(model(inputs), targets)
                    «losses.append(loss)»
                    loss.backward()
                    optimizer.step()
                return sum(losses) / len(losses)
            """,
            safe_fix="""
            def train(model, loader, optimizer, criterion):
                losses = []
                for inputs, targets in loader:
                    optimizer.zero_grad()
                    loss = criterion(model(inputs), targets)
                    losses.append(loss.detach())
                    loss.backward()
                    optimizer.step()
                return sum(losses) / len(losses)
            """,
        ),
        Bad(
            """
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    reconstruction, divergence = vae_losses(model(inputs), targets)
                    loss = reconstruction + beta * divergence
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                «history["loss"].append(loss.cpu())»
                «running = 0.9 * running + 0.1 * loss»
                «epoch_reconstruction += reconstruction * inputs.size(0)»
                if step % 100 == 0:
                    running = 0.0
            """,
            safe_fix="""
            for inputs, targets in loader:
                with torch.autocast("cuda"):
                    reconstruction, divergence = vae_losses(model(inputs), targets)
                    loss = reconstruction + beta * divergence
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                history["loss"].append(loss.detach().cpu())
                running = 0.9 * running + 0.1 * loss.detach()
                epoch_reconstruction += reconstruction.detach() * inputs.size(0)
                if step % 100 == 0:
                    running = 0.0
            """,
        ),
        Bad(
            """
            class Trainer:
                def train_step(self, batch):
                    self.optimizer.zero_grad()
                    loss = self.model(**batch).loss
                    self.accelerator.backward(loss)
                    self.optimizer.step()
                    return loss

                def train(self):
                    for batch in self.loader:
                        «self.total_loss += self.train_step(batch)»
            """,
            safe_fix="""
            class Trainer:
                def train_step(self, batch):
                    self.optimizer.zero_grad()
                    loss = self.model(**batch).loss
                    self.accelerator.backward(loss)
                    self.optimizer.step()
                    return loss

                def train(self):
                    for batch in self.loader:
                        self.total_loss += self.train_step(batch).detach()
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.compute_loss(batch)
                    «self.losses.append(loss)»
                    return {"loss": loss}
            """,
            safe_fix="""
            import pytorch_lightning as pl

            class Classifier(pl.LightningModule):
                def training_step(self, batch, batch_idx):
                    loss = self.compute_loss(batch)
                    self.losses.append(loss.detach())
                    return {"loss": loss}
            """,
        ),
        Bad(
            """
            for phase in ("train", "val"):
                running_loss = 0.0
                for inputs, targets in loaders[phase]:
                    with torch.set_grad_enabled(phase == "train"):
                        loss = criterion(model(inputs), targets)
                        if phase == "train":
                            loss.backward()
                            optimizer.step()
                        «running_loss += loss»
            """,
            safe_fix="""
            for phase in ("train", "val"):
                running_loss = 0.0
                for inputs, targets in loaders[phase]:
                    with torch.set_grad_enabled(phase == "train"):
                        loss = criterion(model(inputs), targets)
                        if phase == "train":
                            loss.backward()
                            optimizer.step()
                        running_loss += loss.detach()
            """,
        ),
        Bad(
            """
            criterion = torch.nn.MSELoss()

            def detection_losses(output, boxes):
                class_loss, box_loss = output.split(1)
                return class_loss + box_loss, class_loss, box_loss

            for images, boxes in loader:
                loss, class_loss, box_loss = detection_losses(model(images), boxes)
                loss.backward()
                optimizer.step()
                «total_class_loss += class_loss»
                loss = criterion(model(images), boxes)
                loss.backward()
                predicted = model(images)
                «losses.append(criterion(predicted, boxes).mean())»
            """,
            safe_fix="""
            criterion = torch.nn.MSELoss()

            def detection_losses(output, boxes):
                class_loss, box_loss = output.split(1)
                return class_loss + box_loss, class_loss, box_loss

            for images, boxes in loader:
                loss, class_loss, box_loss = detection_losses(model(images), boxes)
                loss.backward()
                optimizer.step()
                total_class_loss += class_loss.detach()
                loss = criterion(model(images), boxes)
                loss.backward()
                predicted = model(images)
                losses.append(criterion(predicted, boxes).detach().mean())
            """,
        ),
        Good(
            """
            def losses_of(outputs, targets):
                loss = criterion(outputs, targets)
                return loss, loss.item()

            for inputs, targets in loader:
                loss, loss_value = losses_of(model(inputs), targets)
                loss.backward()
                optimizer.step()
                total += loss_value
                loss, loss_items = compute_loss(model(inputs), targets)
                loss.backward()
                mean_loss = (mean_loss * i + loss_items) / (i + 1)
            """,
            why="a number beside the loss, and what may be one",
        ),
        Good(
            """
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                total_loss += loss.item() * len(targets)
                losses.append(loss.detach())
                history.append(float(loss))
                values.append(loss.data.cpu().numpy())
                self.log("loss", loss)
                last_loss = loss
            """
        ),
        Good(
            """
            for sequence in loader:
                loss = 0
                for step in sequence:
                    loss += criterion(model(step), step.target)
                    count += 1
                loss.backward()
                optimizer.step()
            """,
            why="the terms of one step: the sum starts anew in the next, and is backpropagated",
        ),
        Good(
            """
            def train(batches):
                total_loss = 0
                for inputs, targets in batches:
                    encoder_loss = criterion(encoder(inputs), targets)
                    encoder_loss.backward()
                    total_loss = total_loss + criterion(decoder(inputs), targets)
                    losses.append(encoder_loss.item())
                total_loss.backward()
                optimizer.step()
            """,
            why="the sum is backpropagated later",
        ),
        Good(
            """
            for episode in range(episodes):
                policy_losses = []
                for log_prob, advantage in zip(log_probs, advantages):
                    policy_losses.append(-log_prob * advantage)
                loss = torch.stack(policy_losses).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            """,
            why="the list is what is backpropagated",
        ),
        Good(
            """
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                optimizer.step()
                loss = loss.item()
                total_loss += loss
            """,
            why="the name stands for a number by then",
        ),
        Good(
            """
            def evaluate(model, loader):
                total_loss = 0
                with torch.no_grad():
                    for inputs, targets in loader:
                        total_loss += criterion(model(inputs), targets)
                return total_loss / len(loader)

            def fit(model, loader):
                for inputs, targets in loader:
                    loss = criterion(model(inputs), targets)
                    loss.backward()
                    optimizer.step()
                print(evaluate(model, loader))
            """,
            why="without gradients there is no graph",
        ),
        Good(
            """
            import torch
            from collections import deque

            recent = deque(maxlen=20)
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                recent.append(loss)
            """,
            why="no more than a few graphs",
        ),
        Good(
            """
            for task in tasks:
                loss = criterion(adapted(task.inputs), task.targets)
                loss.backward(create_graph=True)
                meta_loss += loss
            """,
            why="the graph is kept on purpose",
        ),
        Good(
            """
            average = CumulativeAverage()
            for inputs, targets in loader:
                loss = criterion(model(inputs), targets)
                loss.backward()
                average.append(loss)
                writer.add_scalar("loss", loss, step)
            """,
            why="what an object does with it doesn't show",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        found = losses(module)
        if not found.roots:
            return
        perhaps_without_graph = not any(map(module.under_no_grad, found.roots))
        for kept in module.fact(kept_values):
            carried = found.carried(kept.value)
            if not carried or found.feeds_backward(kept.target):
                continue
            if perhaps_without_graph and module.under_no_grad(kept.place):
                continue
            target, loss = ast.unparse(kept.target), ast.unparse(carried[0])
            yield self.finding(
                module,
                kept.place,
                f"`{loss}` goes into `{target}` with its graph, so the graphs of all steps stay in memory as long as "
                f"`{target}` does. Write `{loss}.detach()`.",
                fix=_detached(carried),
            )


def _detached(carried: list[ast.expr]) -> Fix:
    edits = (Replace(Span.of(part), f"{ast.unparse(part)}.detach()") for part in carried)
    return safe("Detach what is kept", *edits)
