"""The examples of hardcoded-cuda, which are many because so much code is right to name CUDA."""

from __future__ import annotations

from mlrules_mcp.checks.check import Bad, Example, Good

EXAMPLES: tuple[Example, ...] = (
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
    Good(
        """
        import torch

        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        other = "cuda:1" if use_gpu else "cpu"
        third = torch.cuda.is_available() and "cuda" or "cpu"
        fourth = ["cpu", "cuda"][torch.cuda.is_available()]
        model.to(device)
        if device.type == "cuda" or model.device == torch.device("cuda"):
            model.cuda()
        same = device.type == torch.device("cuda").type
        """,
        "the code asks first",
    ),
    Good(
        """
        import torch

        use_amp = torch.cuda.is_available()
        cuda = True if torch.cuda.is_available() else False

        def move(x):
            return x.cuda()

        if use_amp:
            model = move(model)
        if cuda:
            generator.cuda()
        if args.n_gpu > 0 and not args.no_cuda:
            model = torch.nn.DataParallel(model).cuda()
        """,
        "conditions may be kept in variables, or guard the calls of a function",
    ),
    Good(
        """
        import torch

        def predict(x):
            if not torch.cuda.is_available():
                return None
            return model(x.cuda())

        def load(path):
            try:
                return Net().cuda()
            except RuntimeError:
                return Net()

        def place(x, name):
            if name == "fast":
                return x.to("cuda")
            else:
                return x.to("cpu")
        """,
        "an early exit, a fallback, and a choice of two",
    ),
    Good(
        """
        import torch

        device = "cuda"
        if not torch.cuda.is_available():
            device = "cpu"

        class Agent:
            def __init__(self):
                self.device = "cuda"

            def move(self, name):
                self.device = name
        """,
        "what is chosen at first is not what is used",
    ),
    Good(
        """
        import torch

        class Attack:
            def __init__(self, model, device="cuda"):
                self.device = device if torch.cuda.is_available() else "cpu"
                self.model = model.to(device)
        """,
        "the function weighs its default",
    ),
    Good(
        """
        import argparse
        import torch

        parser = argparse.ArgumentParser()
        parser.add_argument("--device", default="cuda")
        args = parser.parse_args()
        if not torch.cuda.is_available():
            args.device = "cpu"
        """,
        "the default is weighed against what is there",
    ),
    Good(
        """
        import torch

        def main():
            assert torch.cuda.is_available(), "this script needs a GPU"
            train()

        def train():
            model = Net().cuda()

        main()
        """,
        "the script says that it needs CUDA",
    ),
    Good(
        """
        import pytest
        import torch

        needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

        @needs_gpu
        def test_forward():
            Net().cuda()

        @RunIf(min_cuda_gpus=1)
        def test_backward():
            Net().to("cuda")

        class Gradients(TestCase):
            def test_norm(self):
                if not torch.cuda.is_available():
                    self.skipTest("no GPU")
                Net().cuda()
        """
    ),
    Good(
        """
        import torch
        from torch.utils.cpp_extension import load

        kernel = load("norm", ["norm.cpp", "norm.cu"])

        class Norm(torch.nn.Module):
            def forward(self, x):
                return kernel.forward(x, torch.empty(3, device="cuda"))
        """
    ),
    Good(
        """
        import torch
        from torch.cuda.amp import custom_fwd

        class Norm(torch.autograd.Function):
            @staticmethod
            @custom_fwd(cast_inputs=torch.float16)
            def forward(ctx, x):
                return kernels.norm(x, torch.empty(3, device="cuda"))
        """
    ),
    Good(
        """
        import torch
        import triton

        @triton.jit
        def kernel(x):
            ...

        def launch(x):
            return kernel[(1,)](x.cuda())
        """
    ),
    Good(
        """
        import torch

        def capture(model):
            graph = torch.cuda.CUDAGraph()
            static = torch.zeros(8, device="cuda")
            with torch.cuda.graph(graph):
                model(static)

        def time(model, x):
            start = torch.cuda.Event(enable_timing=True)
            model.cuda()(x.cuda())

        class CudaPrefetcher:
            def next(self):
                return self.batch.cuda(non_blocking=True)
        """,
        "code about CUDA itself",
    ),
    Good(
        """
        import torch
        import torch.distributed as dist

        def worker(rank, gpu):
            model = Net().cuda(gpu)
            other = torch.device(f"cuda:{rank}")
            third = torch.device("cuda", rank)

        def main():
            dist.init_process_group("nccl")
            model = Net().cuda()
        """,
        "NCCL knows only CUDA, and ranks are numbers of GPUs",
    ),
    Good(
        """
        import torch

        with torch.autocast(device_type="cuda", dtype=torch.float16):
            output = model(x)
        scaler = torch.amp.GradScaler("cuda")
        other = torch.amp.GradScaler(device="cuda")
        plugin = MixedPrecision(precision="16-mixed", device="cuda")

        def is_autocast_enabled(device="cuda"):
            return torch.is_autocast_enabled(device)
        """,
        "these switch themselves off without CUDA",
    ),
    Good(
        """
        import torch

        class Batch:
            def cuda(self, device=None):
                self.x = self.x.cuda(device)
                return self

        devices = ["cpu", "cuda"]
        device = device or "cuda"
        print("cuda:0")
        """
    ),
    Good(
        """
        import lightning as L

        trainer = L.Trainer(accelerator="gpu", devices=4, strategy="ddp")
        other = L.Trainer(accelerator="auto")
        """
    ),
)
