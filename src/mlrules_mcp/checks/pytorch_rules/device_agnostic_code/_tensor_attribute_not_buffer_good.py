"""Code with tensors that a module keeps in which `tensor-attribute-not-buffer` finds nothing."""

from __future__ import annotations

from mlrules_mcp.checks.check import Good

GOOD = (
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(size))
                self.register_buffer("shift", torch.zeros(size))
                self.offset = torch.ones(size)
                self.offset = nn.Parameter(self.offset)

            def forward(self, x):
                return x.mul(self.scale) + self.shift + self.offset
        """
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.shift = torch.zeros(size)
                self.scale = torch.ones(size)

            def forward(self, x):
                scale = self.scale.to(x.device)
                return x * scale + self.shift.type_as(x)
        """,
        why="it is moved where it is used",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.mask = torch.ones(size)

            def forward(self, x):
                if self.mask.device != x.device:
                    self.mask = self.mask.to(x.device)
                return x * self.mask
        """,
    ),
    Good(
        """
        import lightning as L
        import torch

        class Net(L.LightningModule):
            def __init__(self, size):
                super().__init__()
                self.example_input_array = torch.zeros(2, size)
                self.sizes = torch.tensor([1, 2, 4])
                self.count = torch.tensor(0)

            def forward(self, x):
                return x.split(self.sizes.tolist())
        """,
        why="`forward` does not combine it with its input",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, size, temperature):
                super().__init__()
                self.order = torch.randperm(size)
                self.temperature = torch.tensor(temperature)

            def forward(self, x):
                return x[:, self.order] / self.temperature
        """,
        why="an index, and a tensor without dimensions, may lie on the CPU",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.mask = torch.ones(size)

            def _apply(self, function):
                super()._apply(function)
                self.mask.data = function(self.mask.data)
                return self

            def forward(self, x):
                return x.mul(self.mask)
        """
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self, size, device):
                super().__init__()
                self.mask = torch.ones(size, device=device)
                self.scale = torch.ones(size).to(device)

                self.shift = torch.zeros(size)
                self.shift = self.shift.to(device)

            def forward(self, x):
                return x.mul(self.mask) * self.scale + self.shift
        """,
        why="the caller chooses the device",
    ),
    Good(
        """
        import torch
        from torch.utils.data import Dataset

        class Pairs(Dataset):
            def __init__(self, size):
                self.x = torch.randn(size, 2)

            def forward(self, x):
                return x + self.x
        """,
        why="no module",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Bands(nn.Module):
            def __init__(self, count):
                super().__init__()
                self.bands = torch.linspace(1, 8, count)

            def forward(self, x):
                return torch.cat([torch.sin(band * x) for band in self.bands], dim=-1)
        """,
        why="each band is a tensor without dimensions",
    ),
)
