"""What eval-without-train finds and what it leaves alone."""

from mlrules_mcp.checks.check import Bad, Good

EXAMPLES = (
    Bad(
        """
        for epoch in range(10):
            for x, y in train_loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
            «model.eval()»
            with torch.no_grad():
                for x, y in val_loader:
                    total += criterion(model(x), y)
        """,
        suggested_fix="""
        for epoch in range(10):
            model.train()
            for x, y in train_loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                for x, y in val_loader:
                    total += criterion(model(x), y)
        """,
    ),
    Bad(
        """
        def train(net, loader, optimizer):
            for x, y in loader:
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()

        @torch.no_grad()
        def accuracy(net, loader):
            «net.eval()»
            return sum((net(x).argmax(1) == y).sum() for x, y in loader)

        model = torchvision.models.resnet18()
        model.train()
        for epoch in range(90):
            train(model, train_loader, optimizer)
            print(accuracy(model, val_loader))
        """,
        suggested_fix="""
        def train(net, loader, optimizer):
            for x, y in loader:
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()

        @torch.no_grad()
        def accuracy(net, loader):
            net.eval()
            return sum((net(x).argmax(1) == y).sum() for x, y in loader)

        model = torchvision.models.resnet18()
        model.train()
        for epoch in range(90):
            model.train()
            train(model, train_loader, optimizer)
            print(accuracy(model, val_loader))
        """,
    ),
    Bad(
        """
        class Trainer:
            def fit(self):
                for epoch in range(self.epochs):
                    self.model.train()
                    for step, batch in enumerate(self.loader):
                        self.model(batch).loss.backward()
                        self.optimizer.step()
                        self.optimizer.zero_grad()
                        if step % 1000 == 0:
                            self.validate()

            def validate(self):
                «self.model.eval()»
                with torch.inference_mode():
                    return [self.model(batch) for batch in self.val_loader]
        """,
        suggested_fix="""
        class Trainer:
            def fit(self):
                for epoch in range(self.epochs):
                    self.model.train()
                    for step, batch in enumerate(self.loader):
                        self.model.train()
                        self.model(batch).loss.backward()
                        self.optimizer.step()
                        self.optimizer.zero_grad()
                        if step % 1000 == 0:
                            self.validate()

            def validate(self):
                self.model.eval()
                with torch.inference_mode():
                    return [self.model(batch) for batch in self.val_loader]
        """,
    ),
    Good(
        """
        for epoch in range(10):
            model.train()
            for x, y in train_loader:
                criterion(model(x), y).backward()
                optimizer.step()
                optimizer.zero_grad()
            model.eval()
            evaluate(model, val_loader)
        """
    ),
    Good(
        """
        def train(model, loader):
            model.train()
            for x, y in loader:
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                optimizer.zero_grad()

        def test(model, loader):
            model.eval()
            with torch.no_grad():
                return [model(x) for x, y in loader]

        for epoch in range(10):
            train(model, train_loader)
            test(model, test_loader)
        """,
        "The training function switches back.",
    ),
    Good(
        """
        def test(model, loader):
            was_training = model.training
            model.eval()
            with torch.no_grad():
                total = [model(x) for x in loader]
            model.train(was_training)
            return total

        for x, y in loader:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            test(model, test_loader)
        """,
        "The mode is put back.",
    ),
    Good(
        """
        for epoch in range(10):
            model.eval()
            for x, y in loader:
                criterion(model(x), y).backward()
                optimizer.step()
        """,
        "The model is meant to train with its normalization frozen.",
    ),
    Good(
        """
        for x in loader:
            teacher.eval()
            with torch.no_grad():
                target = teacher(x)
            criterion(student(x), target).backward()
            optimizer.step()
        """,
        "Another model is trained.",
    ),
    Good(
        """
        for train_loader, test_loader in folds:
            model = Net()
            for x, y in train_loader:
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                scores.append([model(x) for x, y in test_loader])
        """,
        "Each turn makes a new model, which is in training mode.",
    ),
    Good(
        """
        for step in range(1000):
            criterion(model(x), y).backward()
            optimizer.step()
            if step == last:
                model.eval()
                print(evaluate(model))
            if converged:
                model.eval()
                print(evaluate(model))
                break
        """,
        "Training does not go on.",
    ),
    Good(
        """
        model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
        for step in range(1000):
            criterion(model(x), y).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                test_loss = criterion(model(x_test), y_test)
        """,
        "No layer of this model depends on the mode.",
    ),
    Good(
        """
        import torch
        from training import train_one_epoch

        def test(model, loader):
            model.eval()
            with torch.no_grad():
                return [model(x) for x in loader]

        for epoch in range(10):
            train_one_epoch(model)
            finetune(model).backward()
            optimizer.step()
            test(model, loader)

        for epoch in range(10):
            model.training = True
            finetune(model(x)).backward()
            optimizer.step()
            test(model, loader)
        """,
        "An unseen function may switch back.",
    ),
    Good(
        """
        def saliency(model, x):
            model.eval()
            scores = evaluate(model, x)
            scores.max().backward()
            return x.grad

        for x in images:
            model.zero_grad()
            maps.append(saliency(model, x))
        """,
        "Gradients are computed, but nothing is trained.",
    ),
    Good(
        """
        for x in loader:
            vgg.eval()
            with torch.no_grad():
                target = vgg(x)
            criterion(student(x), target).backward()
            optimizer.step()
        """
    ),
    Good(
        """
        for step in range(1000):
            criterion(model(x), y).backward()
            optimizer.step()
            ema.eval()
            with torch.no_grad():
                save(ema(noise))
        """
    ),
)
