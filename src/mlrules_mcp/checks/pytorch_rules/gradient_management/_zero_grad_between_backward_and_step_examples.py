"""What zero-grad-between-backward-and-step finds and what it leaves alone."""

from mlrules_mcp.checks.check import Bad, Good

EXAMPLES = (
    Bad(
        """
        for images, labels in loader:
            loss = criterion(model(images), labels)
            loss.backward()
            «optimizer.zero_grad()»
            optimizer.step()
        """,
        suggested_fix="""
        for images, labels in loader:
            loss = criterion(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
    ),
    Bad(
        """
        class Trainer:
            def __init__(self, model):
                self.opt = torch.optim.Adam(model.parameters())
                self.model = model

            def step(self, batch):
                with torch.autocast("cuda"):
                    loss = self.model(batch)
                self.scaler.scale(loss).backward()
                «self.opt.zero_grad(set_to_none=True)»
                self.scaler.unscale_(self.opt)
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.scaler.step(self.opt)
                self.scaler.update()
        """,
        suggested_fix="""
        class Trainer:
            def __init__(self, model):
                self.opt = torch.optim.Adam(model.parameters())
                self.model = model

            def step(self, batch):
                with torch.autocast("cuda"):
                    loss = self.model(batch)
                self.opt.zero_grad(set_to_none=True)
                self.scaler.scale(loss).backward()
                self.scaler.unscale_(self.opt)
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.scaler.step(self.opt)
                self.scaler.update()
        """,
    ),
    Bad(
        """
        from torch.optim import SGD

        sgd = SGD(net.parameters(), lr=0.1)
        for i, batch in enumerate(loader):
            net(batch).mean().backward()
            «net.zero_grad()»
            if i % 4 == 3:
                sgd.step()
        """,
        suggested_fix="""
        from torch.optim import SGD

        sgd = SGD(net.parameters(), lr=0.1)
        for i, batch in enumerate(loader):
            net(batch).mean().backward()
            if i % 4 == 3:
                sgd.step()
                net.zero_grad()
        """,
    ),
    Bad(
        """
        def train_one_step(x, y):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            «optimizer.step()»
            loss.backward()
            return loss.item()
        """,
        suggested_fix="""
        def train_one_step(x, y):
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()
        """,
    ),
    Bad(
        """
        for i, batch in enumerate(loader):
            loss = model(batch) / 4
            loss.backward()
            if (i + 1) % 4 == 0:
                optimizer.step()
            «optimizer.zero_grad()»
        """,
        suggested_fix="""
        for i, batch in enumerate(loader):
            loss = model(batch) / 4
            loss.backward()
            if (i + 1) % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
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
        """
    ),
    Good(
        """
        for batch in loader:
            optimizer.step()
            optimizer.zero_grad()
            model(batch).backward()
        """,
        "The step follows the gradients of the turn before.",
    ),
    Good(
        """
        for real in loader:
            optimizer_d.zero_grad()
            d_loss(real).backward()
            optimizer_g.zero_grad()
            optimizer_d.step()
            g_loss(real).backward()
            optimizer_g.step()
        """,
        "The gradients of the other optimizer are cleared.",
    ),
    Good(
        """
        class CycleGAN:
            def optimize(self):
                self.optimizer_g.zero_grad()
                self.backward_g()
                self.optimizer_g.step()
                self.optimizer_d.zero_grad()
                self.compute()
                self.optimizer_d.step()

            def backward_g(self):
                self.loss_g.backward()

            def compute(self):
                self.loss_d.backward()
        """
    ),
    Good(
        """
        import torch
        from gan import generator_loss

        for real in loader:
            d_loss(real).backward()
            optimizer_g.zero_grad()
            generator_loss(real, model)
            optimizer_g.step()
            optimizer_d.step()
        """,
        "A function from elsewhere may compute the gradients.",
    ),
    Good(
        """
        for batch in loader:
            loss_a(batch).backward()
            grads = [p.grad.clone() for p in model.parameters()]
            optimizer.zero_grad()
            for p, g in zip(model.parameters(), grads):
                p.grad = g / g.norm()
            optimizer.step()
        """,
        "The gradients are put back.",
    ),
    Good(
        """
        for batch in loader:
            loss = model(batch)
            loss.backward()
            if not torch.isfinite(loss):
                optimizer.zero_grad()
                continue
            optimizer.step()
            optimizer.zero_grad()
        """
    ),
    Good(
        """
        for i, real in enumerate(loader):
            optimizer_d.zero_grad()
            optimizer_g.zero_grad()
            d_loss(real).backward()
            optimizer_d.step()
            if i % 5 == 0:
                g_loss(real).backward()
                optimizer_g.step()
                optimizer_g.zero_grad()

        for i, batch in enumerate(loader):
            optimizer.zero_grad()
            if i % 5 == 0:
                loss(batch).backward()
                optimizer.step()

        for i, batch in enumerate(loader):
            head_optimizer.zero_grad()
            body_optimizer.zero_grad()
            loss(batch).backward()
            head_optimizer.step()
            if i % 5 == 0:
                body_optimizer.step()
        """,
        "No gradients are meant to add up.",
    ),
    Good(
        """
        for batch in loader:
            loss(batch).backward()
            optimizer.zero_grad()
            optimizer.step(closure)
        """,
        "The closure computes the gradients.",
    ),
    Good(
        """
        def main():
            optimizer.zero_grad()
            optimizer.step()
            for batch in loader:
                scheduler.step()
                optimizer.zero_grad()
                loss(batch).backward()
                optimizer.step()
        """,
        "The first step is for the scheduler, which warns without one.",
    ),
)
