"""What backward-without-zero-grad finds and what it leaves alone."""

from mlrules_mcp.checks.check import Bad, Good

EXAMPLES = (
    Bad(
        """
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(10):
            for images, labels in loader:
                adjust_learning_rate(optimizer, epoch)
                loss = criterion(model(images), labels)
                «loss.backward()»
                optimizer.step()
        """,
        suggested_fix="""
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(10):
            for images, labels in loader:
                adjust_learning_rate(optimizer, epoch)
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
    Bad(
        """
        while not converged:
            «loss(model(x), y).backward()»
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-0.1)
        """,
        suggested_fix="""
        while not converged:
            loss(model(x), y).backward()
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-0.1)
                p.grad = None
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

        encoder_optimizer = torch.optim.Adam(model.encoder.parameters())
        model_optimizer = torch.optim.Adam(model.parameters())
        for batch in loader:
            model_optimizer.zero_grad()
            model(batch).backward()
            encoder_optimizer.step()
            model_optimizer.step()
        """,
        "The second loop steps another optimizer each turn; in the last, one optimizer clears the gradients for both.",
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
