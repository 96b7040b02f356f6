"""What hardcoded-cuda leaves alone: much code is right to name CUDA."""

from __future__ import annotations

from mlrules_mcp.checks.check import Good

GOOD = (
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
        import utils

        def main(args):
            utils.init_distributed_mode(args)
            student = Student().cuda()
            for images, _ in loader:
                images = images.to("cuda", non_blocking=True)
        """,
        "the helper that joins an NCCL group stands in another file",
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
