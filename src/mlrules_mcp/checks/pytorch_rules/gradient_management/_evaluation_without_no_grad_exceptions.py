"""What evaluation-without-no-grad leaves alone."""

from mlrules_mcp.checks.check import Good

LEFT_ALONE = (
    Good(
        """
        @torch.inference_mode()
        def evaluate(model, loader):
            model.eval()
            return [model(batch).argmax(1) for batch in loader]

        def test(model, test_loader):
            model.eval()
            with torch.no_grad(), torch.autocast("cuda"):
                for batch in test_loader:
                    model(batch)
        """
    ),
    Good(
        """
        def accuracy(loader):
            model.eval()
            return sum((model(x).argmax(1) == y).sum().item() for x, y in loader)

        def report():
            with torch.no_grad():
                print(accuracy(val_loader))
        """,
        "The caller switches gradients off.",
    ),
    Good(
        """
        for phase in ["train", "val"]:
            if phase == "train":
                model.train()
            else:
                model.eval()
            for x, y in loaders[phase]:
                with torch.set_grad_enabled(phase == "train"):
                    loss = criterion(model(x), y)
                if phase == "train":
                    loss.backward()
        """
    ),
    Good(
        """
        def run_epoch(model, val_loader, training):
            context = torch.enable_grad() if training else torch.no_grad()
            model.train(training)
            with context:
                for batch in val_loader:
                    model(batch)

        def evaluate(model, test_loader):
            model.eval()
            with ExitStack() as stack:
                stack.enter_context(torch.no_grad())
                for batch in test_loader:
                    model(batch)
        """
    ),
    Good(
        """
        import torch

        def prepare():
            torch.set_grad_enabled(False)

        def evaluate(model, test_loader):
            model.eval()
            for batch in test_loader:
                print(model(batch).argmax(1))
        """
    ),
    Good(
        """
        def saliency(model, image):
            model.eval()
            image.requires_grad_()
            model(image).max().backward()
            return image.grad

        def attack(model, test_loader):
            model.eval()
            for x, y in test_loader:
                x = x.requires_grad_()
                grad, = torch.autograd.grad(criterion(model(x), y), x)
                x = x + 0.01 * grad.sign()
        """,
        "The gradients of the input are wanted.",
    ),
    Good(
        """
        def distill(student, teacher, train_loader):
            teacher.eval()
            for x in train_loader:
                loss = criterion(student(x), teacher(x))
                loss.backward()
                optimizer.step()
        """,
        "Gradients are computed here.",
    ),
    Good(
        """
        import lightning as L

        class Net(L.LightningModule):
            def on_validation_epoch_end(self):
                self.model.eval()
                self.log("score", self.score(self.model(self.sample)).item())

            def test_step(self, batch, batch_idx):
                for part in batch["test_data"]:
                    self.log("loss", self.model(part).item())
        """,
        "Lightning's Trainer runs these without gradients.",
    ),
    Good(
        """
        from torch import nn

        class PerceptualLoss(nn.Module):
            def __init__(self, vgg):
                super().__init__()
                self.vgg = vgg.eval()

            def forward(self, x, y):
                return (self.vgg(x) - self.vgg(y)).square().mean()

        class Loss:
            def __init__(self, vgg):
                self.vgg = vgg
                self.vgg.eval()

            def compute(self, x, y):
                return (self.vgg(x) - self.vgg(y)).square().mean()
        """,
        "The caller decides.",
    ),
    Good(
        """
        model.eval()
        example = torch.randn(1, 3, 224, 224)
        print(model(example).shape, model(augment(example.flip(0)), training=False)[0])
        print(model(first_batch)["scores"].size())
        traced = torch.jit.trace(model, example)
        """,
        "These only try the model out.",
    ),
    Good(
        """
        for p in backbone.parameters():
            p.requires_grad = False
        backbone.eval()
        features = [backbone(x).cpu() for x in test_loader]
        """,
        "Nothing is recorded for frozen parameters.",
    ),
    Good(
        """
        from transformers import pipeline

        classifier = pipeline("sentiment-analysis")

        def predict(loader):
            return [label for batch in loader for label in classifier(batch)]

        def evaluate(loader):
            for batch in loader:
                print(classifier(batch))

        def query_model(prompt):
            return requests.post(URL, json=prompt)

        for prompt in test_data:
            print(query_model(prompt))
        """,
        "A pipeline switches gradients off itself, and not all that is called so is a model.",
    ),
    Good(
        """
        def embed(model, x):
            model.eval()
            return model(x)

        def cache(model, train_loader):
            return [model(x) for x in train_loader]

        def relax(model, train_loader):
            for x in train_loader:
                loss = loss + model(x)
            return loss
        """,
        "The caller may want gradients of what is returned.",
    ),
    Good(
        """
        def scores(model, image):
            image = image.clone().requires_grad_()
            model.eval()
            output = model(image)
            print(output.argmax().item())
            return output, image
        """,
        "The gradients of the input are wanted.",
    ),
    Good(
        """
        def update(loss):
            loss.backward()
            optimizer.step()

        def distill(student, teacher, train_loader):
            teacher.eval()
            for x in train_loader:
                update(criterion(student(x), teacher(x)))
        """,
        "A function that is called computes gradients.",
    ),
    Good(
        """
        model.eval()
        for image in images:
            expected = model(image)
            torch.onnx.export(model, image, "model.onnx")
        """
    ),
    Good(
        """
        model = Net()
        model.eval()

        def score(model, x):
            return model(x).cpu()

        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.backbone = load_backbone()
                self.backbone.eval()

            def embed(self, x):
                return self.backbone(x).cpu()

        class Trainer:
            def validate(self):
                self.net.eval()

            def fit(self):
                self.net.train()

            def step(self, x):
                return self.net(x).cpu()
        """,
        "Other models than the one that is switched, a module of its own, and a model that is trained too.",
    ),
    Good(
        """
        import torch
        from updates import update

        def run(model, test_loader, training):
            model.train() if training else model.eval()
            for x, y in batches:
                update(criterion(model(x), y).item())

        def run_epoch(model, batches, optimizer=None):
            if optimizer is not None:
                model.train()
            else:
                model.eval()
            for x, y in batches:
                print(update(criterion(model(x), y)).item())
        """,
        "The mode is chosen by whether there is training.",
    ),
    Good(
        """
        @contextmanager
        def quietly(model):
            with torch.no_grad():
                yield

        def report(model, test_loader):
            model.eval()
            with quietly(model):
                for x in test_loader:
                    print(model(x).argmax())
        """,
        "The context manager switches gradients off.",
    ),
    Good(
        """
        class Autoencoder(nn.Module):
            @torch.no_grad()
            def encode(self, x):
                return self.encoder(x)

        def test(model, test_loader):
            model.eval()
            return [model.encode(x).cpu() for x in test_loader]
        """
    ),
    Good(
        """
        def test_output(image):
            model.eval()
            output = model(image)
            assert output.argmax() == 3
        """,
        "A unit test.",
    ),
    Good(
        """
        model.eval()
        x = torch.randn(1, 3, 224, 224).to(device)
        outputs = model(augment(x.flip(0)), training=False)
        print(outputs)
        """,
        "Made-up input only tries the model out.",
    ),
    Good(
        """
        class Detector(Base):
            def forward(self, image):
                self.backbone.eval()
                return self.head(self.backbone(image)).argmax(1).cpu()
        """,
        "The caller of `forward` decides.",
    ),
)
