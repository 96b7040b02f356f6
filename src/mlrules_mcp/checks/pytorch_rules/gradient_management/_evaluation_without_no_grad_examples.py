"""What evaluation-without-no-grad finds."""

from mlrules_mcp.checks.check import Bad

FOUND = (
    Bad(
        """
        import torch

        def evaluate(model, loader):
            model.eval()
            correct = 0
            for images, labels in loader:
                correct += («model(images)».argmax(1) == labels).sum().item()
            return correct / len(loader.dataset)
        """,
        suggested_fix="""
        import torch

        @torch.no_grad()
        def evaluate(model, loader):
            model.eval()
            correct = 0
            for images, labels in loader:
                correct += (model(images).argmax(1) == labels).sum().item()
            return correct / len(loader.dataset)
        """,
    ),
    Bad(
        """
        from torch import nn

        class Trainer:
            def fit(self, epochs):
                for epoch in range(epochs):
                    self.net.train()
                    for x, y in self.train_loader:
                        self.optimizer.zero_grad()
                        self.loss(self.net(x), y).backward()
                        self.optimizer.step()
                    self.net.eval()
                    total = 0.0
                    for x, y in self.val_loader:
                        total += self.loss(«self.net(x)», y).item()
        """,
        suggested_fix="""
        from torch import nn
        import torch

        class Trainer:
            def fit(self, epochs):
                for epoch in range(epochs):
                    self.net.train()
                    for x, y in self.train_loader:
                        self.optimizer.zero_grad()
                        self.loss(self.net(x), y).backward()
                        self.optimizer.step()
                    self.net.eval()
                    total = 0.0
                    with torch.no_grad():
                        for x, y in self.val_loader:
                            total += self.loss(self.net(x), y).item()
        """,
    ),
    Bad(
        """
        for epoch in range(10):
            train(model, train_dl)
            losses = []
            for batch in tqdm(valid_dl):
                losses.append(criterion(«model(batch)»))
        """,
        suggested_fix="""
        for epoch in range(10):
            train(model, train_dl)
            losses = []
            with torch.no_grad():
                for batch in tqdm(valid_dl):
                    losses.append(criterion(model(batch)))
        """,
    ),
    Bad(
        """
        import torch

        model = torch.load("model.pt", weights_only=False).eval()
        output = «model(image)»
        torch.save(output, "output.pt")
        """,
        suggested_fix="""
        import torch

        model = torch.load("model.pt", weights_only=False).eval()
        with torch.no_grad():
            output = model(image)
        torch.save(output, "output.pt")
        """,
    ),
    Bad(
        """
        class Predictor:
            def __init__(self, path):
                self.model = load(path)
                self.model.eval()

            def predict(self, image):
                scores = «self.model(image[None])»
                return scores.argmax().item()
        """,
        suggested_fix="""
        class Predictor:
            def __init__(self, path):
                self.model = load(path)
                self.model.eval()

            @torch.no_grad()
            def predict(self, image):
                scores = self.model(image[None])
                return scores.argmax().item()
        """,
    ),
    Bad(
        """
        net = torchvision.models.resnet18().eval()

        def classify(image):
            return «net(image)».argmax().item()
        """,
        suggested_fix="""
        net = torchvision.models.resnet18().eval()

        def classify(image):
            with torch.no_grad():
                return net(image).argmax().item()
        """,
    ),
    Bad(
        """
        def train(epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if not fast:
                model.eval()
                output = «model(x)»
            print(accuracy(output).item())
        """,
        suggested_fix="""
        def train(epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            if not fast:
                model.eval()
                with torch.no_grad():
                    output = model(x)
            print(accuracy(output).item())
        """,
    ),
)
