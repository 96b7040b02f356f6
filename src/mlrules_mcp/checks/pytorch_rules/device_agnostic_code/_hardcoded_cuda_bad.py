"""What hardcoded-cuda finds."""

from __future__ import annotations

from mlrules_mcp.checks.check import Bad

BAD = (
    Bad(
        """
        import torch

        device = torch.device("cpu")
        model = «Net().cuda()»
        for x, y in loader:
            output = model(‹x.cuda(non_blocking=True)›)
            loss = criterion(output, (‹(y + 1).cuda()›))
        """,
        suggested_fix="""
        import torch

        device = torch.device("cpu")
        model = Net().to(device)
        for x, y in loader:
            output = model(x.to(device, non_blocking=True))
            loss = criterion(output, ((y + 1).to(device)))
        """,
    ),
    Bad(
        """
        import torch.nn as nn

        def train(loader):
            model = nn.DataParallel(Net())
            model = «model.cuda()»
            for batch in loader:
                batch = {key: ‹value.cuda(args.gpu)› for key, value in batch.items()}
                if distance == "l2":
                    noise = ‹torch.rand(3).cuda()›
        """
    ),
    Bad(
        """
        import torch

        device = «"cuda"»
        model = Net().to(device)
        """,
        suggested_fix="""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = Net().to(device)
        """,
    ),
    Bad(
        """
        import torch as th

        class Agent:
            def __init__(self):
                self.device = th.device(«'cuda:1'»)
        """,
        suggested_fix="""
        import torch as th

        class Agent:
            def __init__(self):
                self.device = th.device('cuda:1' if th.cuda.is_available() else 'cpu')
        """,
    ),
    Bad(
        """
        from torch import device as Device

        DEVICE = Device(«f"cuda:{args.gpu}"»)
        """,
        suggested_fix="""
        from torch import device as Device
        import torch

        DEVICE = Device(f"cuda:{args.gpu}" if torch.cuda.is_available() else "cpu")
        """,
    ),
    Bad(
        """
        import torch

        def sample(model, device):
            noise = torch.randn(1, 8, device=«"cuda"»)
            return model(noise).to(torch.device(‹"cuda:0"›))
        """,
        suggested_fix="""
        import torch

        def sample(model, device):
            noise = torch.randn(1, 8, device=device)
            return model(noise).to(device)
        """,
    ),
    Bad(
        """
        import torch

        model.to(torch.device(«"cuda"», args.gpu))
        weights = torch.ones(3, device=torch.device(‹"cuda"›))
        """
    ),
    Bad(
        """
        import torch
        from transformers import AutoModel

        model = AutoModel.from_pretrained(name, device_map=«"cuda"»)
        inputs = tokenizer(text, return_tensors="pt").to(‹"cuda"›)
        generator = torch.Generator(‹"cuda"›)
        """
    ),
    Bad(
        """
        import torch

        state = torch.load("model.pt", map_location=«"cuda:0"»)
        """,
        suggested_fix="""
        import torch

        state = torch.load("model.pt", map_location="cpu")
        """,
    ),
    Bad(
        """
        import lightning as L

        class Model(L.LightningModule):
            def training_step(self, batch, batch_idx):
                x, y = batch
                x, y = «x.cuda()», ‹y.cuda()›
                return self.loss(self(x), y)

            def validation_step(self, batch, batch_idx):
                loss = self.loss(self(«batch["x"].cuda()»), ‹batch["y"].to("cuda")›)
                return loss
        """,
        safe_fix="""
        import lightning as L

        class Model(L.LightningModule):
            def training_step(self, batch, batch_idx):
                x, y = batch
                return self.loss(self(x), y)

            def validation_step(self, batch, batch_idx):
                loss = self.loss(self(batch["x"]), batch["y"])
                return loss
        """,
    ),
    Bad(
        """
        import pytorch_lightning as pl
        from torch import nn

        class Model(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = «nn.Linear(2, 2).cuda()»
                ‹self.cuda()›
        """,
        safe_fix="""
        import pytorch_lightning as pl
        from torch import nn

        class Model(pl.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = nn.Linear(2, 2)
        """,
    ),
    Bad(
        """
        import pytorch_lightning as pl
        import torch

        class Model(pl.LightningModule):
            def training_step(self, batch, batch_idx):
                noise = «torch.randn(8, 2).cuda()»
                return self(batch, noise)
        """,
        suggested_fix="""
        import pytorch_lightning as pl
        import torch

        class Model(pl.LightningModule):
            def training_step(self, batch, batch_idx):
                noise = torch.randn(8, 2).to(self.device)
                return self(batch, noise)
        """,
    ),
    Bad(
        """
        import argparse
        import torch

        parser = argparse.ArgumentParser()
        parser.add_argument("--device", default=«"cuda"»)
        args = parser.parse_args()
        device = torch.device(args.device)
        """,
        suggested_fix="""
        import argparse
        import torch

        parser = argparse.ArgumentParser()
        parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        args = parser.parse_args()
        device = torch.device(args.device)
        """,
        advice=True,
    ),
    Bad(
        """
        import torch

        def embed(model, x, device=«"cuda"»):
            return model(x.to(device))

        def masks(n, device=torch.device(«"cuda"»)):
            return torch.zeros(n, device=device)
        """,
        advice=True,
    ),
    Bad(
        """
        import torch
        import torch.distributed as dist

        def total(count):
            if not dist.is_initialized():
                return count
            tensor = torch.tensor([count], device=«"cuda"»)
            dist.all_reduce(tensor)
            return tensor.item()

        def mean(x):
            if dist.get_world_size() > 1:
                x = «torch.tensor(x).cuda()»
                dist.all_reduce(x)
            return x
        """,
        advice=True,
    ),
    Bad(
        """
        import torch
        from dataclasses import dataclass

        @dataclass
        class Settings:
            device: str = «"cuda"»
        """,
        suggested_fix="""
        import torch
        from dataclasses import dataclass

        @dataclass
        class Settings:
            device: str = "cuda" if torch.cuda.is_available() else "cpu"
        """,
        advice=True,
    ),
    Bad(
        """
        import lightning as L

        trainer = «L.Trainer(accelerator="gpu", devices=1, max_epochs=3)»
        """,
        suggested_fix="""
        import lightning as L

        trainer = L.Trainer(accelerator="auto", devices=1, max_epochs=3)
        """,
        advice=True,
    ),
    Bad(
        """
        import lightning as L
        import torch

        class Model(L.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = «torch.nn.Linear(2, 2).cuda()»
                self.shape = self.net(‹torch.zeros(1, 2).cuda()›).shape

            def transfer_batch_to_device(self, batch, device, dataloader_idx):
                return batch

            def training_step(self, batch, batch_idx):
                return self.net(«batch.cuda()»).mean()
        """,
        suggested_fix="""
        import lightning as L
        import torch

        class Model(L.LightningModule):
            def __init__(self):
                super().__init__()
                self.net = torch.nn.Linear(2, 2).cuda()
                self.shape = self.net(torch.zeros(1, 2).cuda()).shape

            def transfer_batch_to_device(self, batch, device, dataloader_idx):
                return batch

            def training_step(self, batch, batch_idx):
                return self.net(batch.to(self.device)).mean()
        """,
    ),
    Bad(
        """
        import torch

        def restore(path, device):
            return torch.load(path, map_location=lambda storage, place: «storage.cuda()»)

        def build(device):
            model = («Net()  # the small one
                .cuda()»)
        """
    ),
    Bad(
        """
        import torch

        def keep(boxes, chosen):
            return boxes[«chosen.cuda(boxes.device)»]
        """,
        suggested_fix="""
        import torch

        def keep(boxes, chosen):
            return boxes[chosen.to(boxes.device)]
        """,
    ),
    Bad(
        """
        import torch

        device = «"cuda"»
        exec(open("settings.py").read())
        model = Net().to(device)
        """,
        suggested_fix="""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        exec(open("settings.py").read())
        model = Net().to(device)
        """,
        advice=True,
    ),
)
