"""Code with tensors made on the CPU in which `tensor-created-on-cpu` finds nothing."""

from __future__ import annotations

from mlrules_mcp.checks.check import Good

GOOD = (
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                a = torch.zeros(x.shape, device=x.device)
                b = torch.zeros(x.shape).to(x)
                c = torch.zeros(x.shape).type_as(x)
                d = torch.zeros_like(x) + x.new_zeros(1)
                e = torch.zeros(x.shape)
                e = e.to(x.device)
                return x + a + b + c + d + e
        """
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x, labels):
                picked = x[torch.arange(len(x)), labels]
                shuffled = x[torch.randperm(len(x))]
                return picked, shuffled
        """,
        why="an index may lie on the CPU",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                sizes = torch.tensor([x.size(1), x.size(2)]).tolist()
                share = torch.rand(1).item()
                return x.reshape(sizes) * share
        """,
        why="they become Python numbers",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x, rate):
                loss = torch.tensor(0.0)
                loss = loss + x.mean() * torch.tensor(rate)
                return torch.where(x > 0, x, torch.tensor(0.0)), loss
        """,
        why="a tensor without dimensions on the CPU may meet any device",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                noise = torch.randn(x.shape)
                if x.is_cuda:
                    noise = noise.cuda()
                return x + noise
        """
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                start = torch.zeros(8)
                self.start = nn.Parameter(start + torch.randn(8))
                self.conv = nn.Conv2d(3, 8, 3)
                self.size = self.conv(torch.zeros(1, 3, 32, 32)).numel()

        def collate(items):
            x = torch.stack(items)
            return x + torch.randn(x.shape)

        class Noise:
            def forward(self, x):
                return x + torch.randn(x.shape)
        """,
        why="what `__init__` makes is moved with the model, and data is made on the CPU",
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                with torch.device(x.device):
                    return x + torch.randn(x.shape)
        """
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(8, 8)

            def forward(self, x, features: torch.Tensor):
                if not torch.is_tensor(x):
                    x = torch.from_numpy(x)
                joined = torch.cat([x, torch.tensor(features)])
                count = len(x) if isinstance(x, list) else x
                return self.layer(joined), torch.arange(8).repeat(count, 1).to(features.device)
        """,
        why="a tensor of a tensor stays on its device, and `repeat` takes numbers",
    ),
    Good(
        """
        import torch
        from torch import nn

        torch.set_default_device("cuda")

        class Net(nn.Module):
            def forward(self, x):
                return x + torch.randn(x.shape)
        """
    ),
    Good(
        """
        import torch
        from torch import nn

        class Net(nn.Module):
            def forward(self, x):
                scores = torch.zeros(x.size(0))
                for row in range(x.size(0)):
                    scores[row] = x[row].sum()
                return scores
        """,
        why="values may be written from device to device; it all stays on the CPU",
    ),
    Good(
        """
        import torch
        from torch import nn

        def windows(x, size):
            return x.view(-1, size)

        class Attention(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.size = size
                self.layer = nn.Linear(size, size)

            def mask(self, count):
                return windows(torch.zeros(count), self.size)

            def forward(self, x):
                return self.layer(windows(x, self.size)) + self.mask(len(x)).to(x.device)
        """,
        why="what `windows` makes of the zeros is moved; what it gives to the layer is another tensor",
    ),
    Good(
        """
        import torch
        from torch import nn
        from torch.nn.utils.rnn import pack_padded_sequence

        class Reader(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(8, 8)
                self.loss = nn.CTCLoss()

            def forward(self, x, targets):
                lengths = torch.full((x.size(0),), x.size(1))
                packed = pack_padded_sequence(x, lengths, batch_first=True)
                out, _ = self.lstm(packed)
                first, rest = torch.tensor_split(x, torch.tensor([8]))
                return self.loss(first, targets, lengths, torch.ones(len(x)))
        """,
        why="these lengths and places belong on the CPU",
    ),
)
