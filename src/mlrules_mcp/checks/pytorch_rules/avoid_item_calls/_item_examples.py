"""The examples of `item-in-training-loop`, which are many: the traps of telling what each step runs."""

from __future__ import annotations

from mlrules_mcp.checks.check import Bad, Example, Good

EXAMPLES: tuple[Example, ...] = (
    Bad(
        """
        import torch

        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs.to(device)), targets.to(device))
            loss.backward()
            optimizer.step()
            total += «loss.item()»
        print(total / len(loader))
        """,
        suggested_fix="""
        import torch

        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs.to(device)), targets.to(device))
            loss.backward()
            optimizer.step()
            total += loss.detach()
        print(total / len(loader))
        """,
    ),
    Bad(
        """
        import torch

        def train(model, loader, optimizer, device):
            losses, correct = [], 0
            for step, (inputs, targets) in enumerate(loader):
                inputs, targets = inputs.to(device), targets.to(device)
                with torch.autocast(device.type):
                    output = model(inputs)
                    loss = torch.nn.functional.cross_entropy(output, targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                losses.append(«loss.detach().cpu().item()»)
                correct += ‹(output.argmax(dim=1) == targets).sum().item()›
            return sum(losses), correct
        """,
        suggested_fix="""
        import torch

        def train(model, loader, optimizer, device):
            losses, correct = [], 0
            for step, (inputs, targets) in enumerate(loader):
                inputs, targets = inputs.to(device), targets.to(device)
                with torch.autocast(device.type):
                    output = model(inputs)
                    loss = torch.nn.functional.cross_entropy(output, targets)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                losses.append(loss.detach())
                correct += (output.argmax(dim=1) == targets).sum()
            return sum(losses), correct
        """,
    ),
    Bad(
        """
        from torch import nn

        for epoch in range(epochs):
            bar = tqdm(loader)
            for batch in bar:
                loss = model(**batch).loss
                accelerator.backward(loss)
                optimizer.step()
                bar.set_postfix(loss=«loss.item()»)
                writer.add_scalar("loss", ‹float(loss)›, step)
                print(f"accuracy {‹accuracy.item()›:.3f}")
                ‹print("loss", loss)›
        """
    ),
    Bad(
        """
        import numpy as np
        import torch

        def train_step(model, batch, targets):
            loss = criterion(model(batch), targets)
            loss.backward()
            with torch.no_grad():
                for weight in model.parameters():
                    weight -= 0.1 * weight.grad
            return «loss.item()»

        while step < last_step:
            train_step(model, *next(batches))
            step += 1
        """
    ),
    Bad(
        """
        import numpy as np
        import torch
        from sklearn.metrics import f1_score

        for inputs, targets in loader:
            output = model(inputs.cuda())
            loss = criterion(output, targets.cuda())
            loss.backward()
            optimizer.step()
            predicted = «output.argmax(dim=1).cpu().numpy()»
            accuracy = np.mean(predicted == targets.numpy())
            scores.append(accuracy)
            if rank == 0:
                logger.info("loss %.3f", «loss.item()»)
        """
    ),
    Bad(
        """
        import lightning as L

        class Classifier(L.LightningModule):
            def training_step(self, batch, batch_idx):
                loss = self.loss(self(batch[0]), batch[1])
                self.log("loss", «loss.item()», prog_bar=True)
                return loss

            def validation_step(self, batch, batch_idx):
                error, gap = self.errors(batch)
                self.log_dict({"error": «error.detach().cpu().item()», "gap": ‹(error - gap).item()›})
        """,
        safe_fix="""
        import lightning as L

        class Classifier(L.LightningModule):
            def training_step(self, batch, batch_idx):
                loss = self.loss(self(batch[0]), batch[1])
                self.log("loss", loss, prog_bar=True)
                return loss

            def validation_step(self, batch, batch_idx):
                error, gap = self.errors(batch)
                self.log_dict({"error": error, "gap": error - gap})
        """,
    ),
    Bad(
        """
        import torch
        from torch import nn

        class Quantizer(nn.Module):
            def forward(self, x):
                distance = torch.cdist(x, self.codes.weight)
                self.distances.append(«distance.min().item()»)
                return distance.argmin(dim=1)
        """,
        suggested_fix="""
        import torch
        from torch import nn

        class Quantizer(nn.Module):
            def forward(self, x):
                distance = torch.cdist(x, self.codes.weight)
                self.distances.append(distance.min().detach())
                return distance.argmin(dim=1)
        """,
    ),
    Good(
        """
        import torch

        for epoch in range(epochs):
            total = torch.zeros((), device=device)
            for step, batch in enumerate(loader):
                loss = model(batch.to(device)).mean()
                loss.backward()
                optimizer.step()
                total += loss.detach()
                if step % log_every == 0:
                    print(f"step {step}: {loss.item():.3f}")
            print(f"epoch {epoch}: {total.item() / len(loader):.3f}")
        """,
        "fetched every so many steps, and once an epoch",
    ),
    Good(
        """
        for batch in loader:
            loss = model(batch.to(device)).mean()
            loss.backward()
            optimizer.step()
            total += loss
        """,
        "worse, and another check's matter: it keeps every step's graph",
    ),
    Good(
        """
        import torch

        for epoch in range(200):
            loss = criterion(model(features), targets)
            loss.backward()
            optimizer.step()
            history.append(loss.item())

        def train():
            loss = criterion(model(data.x, data.edge_index), data.y)
            loss.backward()
            optimizer.step()
            return float(loss)

        for epoch in range(1, 201):
            print(epoch, train())
        """,
        "one step is one epoch",
    ),
    Good(
        """
        import torch

        def evaluate(model, loader):
            correct = 0
            with torch.no_grad():
                for inputs, targets in loader:
                    correct += (model(inputs.cuda()).argmax(1) == targets.cuda()).sum().item()
            return correct

        def train(model, loader):
            for inputs, targets in loader:
                criterion(model(inputs), targets).backward()
                optimizer.step()
                with torch.inference_mode():
                    error = criterion(model(test_inputs), test_targets)
                    errors.append(error.item())
            return evaluate(model, loader)
        """,
        "evaluation",
    ),
    Good(
        """
        import numpy as np
        import torch

        for lengths, inputs in loader:
            longest = lengths.max().item()
            start = torch.randint(0, 10, (1,)).item()
            share = np.mean(inputs.numpy()).item()
            loss = model(inputs[:, start:].cuda()).mean()
            loss.backward()
            optimizer.step()
            for name, value in metrics.items():
                value.reset()
        """,
        "on the CPU already: a batch as the loader gives it, a random number made there, a NumPy value",
    ),
    Good(
        """
        import numpy as np
        import torch

        for step in range(total_steps):
            actions = torch.argmax(network(observations), dim=1)
            actions = actions.cpu().numpy()
            observations, rewards, done, info = environment.step(actions)
            kept = scores[: counts.max().item()]
            memory.update_priorities(np.abs(errors.detach().cpu().numpy()))
            loss = temporal_difference(kept, rewards)
            loss.backward()
            optimizer.step()
        """,
        "an environment, a size and a data structure off the device need the value",
    ),
    Good(
        """
        import torch

        for batch in loader:
            try:
                loss = model(batch).mean()
                loss.backward()
                optimizer.step()
            except RuntimeError:
                print("failed at loss", loss.item())
                raise
            if not torch.isfinite(loss):
                print("not finite:", loss)
                break
            if loss.item() > limit:
                break
        """,
        "an error; a condition is `branch-on-tensor`",
    ),
    Good(
        """
        import torch

        def saliency(model, batches):
            for batch in batches:
                score = model(batch.cuda()).max()
                score.backward()
                scores.append(score.item())
        """,
        "explaining a model is no training",
    ),
    Good(
        """
        import lightning as L

        class Classifier(L.LightningModule):
            def training_step(self, batch, batch_idx):
                loss = self.loss(batch)
                print("loss", loss)
                print(f"loss {loss.item():.3f}")
                return loss
        """,
        "`print-in-step` says so",
    ),
    Good(
        """
        def test_loss_falls():
            losses = []
            for _ in range(10):
                loss = model(inputs).mean()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            assert losses[-1] < losses[0]
        """,
        "a test",
    ),
)
