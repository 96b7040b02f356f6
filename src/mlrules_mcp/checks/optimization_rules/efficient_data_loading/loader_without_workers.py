from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.efficient_data_loading._loaders import (
    data_sets,
    decodes_samples,
    is_notebook,
    is_only_peeked_at,
    loaders,
)
from mlrules_mcp.findings import Finding, Fix, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments


class LoaderWithoutWorkers(Check[ast.Module]):
    """A DataLoader without workers, whose data set reads or decodes every sample.

    ## What it does
    Finds loaders that leave `num_workers` out or set it to 0, over a data set of torchvision, or one of the file's own
    whose `__getitem__` opens a file. A file gets one finding, with all of its loaders.

    ## Why it matters
    Without workers the process that trains also opens, decodes and augments each sample, and the device waits for it
    in every step. With a few workers the next batches are ready when the step ends; epochs over images are often
    several times as fast.

    ## Do not flag
    Data that lies in memory (`TensorDataset`, arrays); data sets whose class is in another file; arguments that come
    from a configuration or `**kwargs`; notebooks, where classes defined in a cell can't be sent to workers on macOS
    and Windows, and scripts made from them; loaders that only give one batch to be shown; tests and benchmarks.

    ## Fix safety
    Suggested, in functions: how many workers pay off depends on the machine, and where processes are spawned (macOS,
    Windows) a script needs `if __name__ == "__main__":`. At the top of a script there is no fix for that reason.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#single-and-multi-process-data-loading
    - https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html#enable-asynchronous-data-loading-and-augmentation
    """

    words = ("DataLoader",)
    examples = (
        Bad(
            """
            from torch.utils.data import DataLoader
            from torchvision import datasets, transforms

            def main():
                train_set = datasets.ImageFolder("data/train", transforms.ToTensor())
                train_loader = «DataLoader(train_set, batch_size=64, shuffle=True)»
                val_loader = ‹DataLoader(datasets.ImageFolder("data/val", transforms.ToTensor()), num_workers=0)›
            """,
            suggested_fix="""
            from torch.utils.data import DataLoader
            from torchvision import datasets, transforms

            def main():
                train_set = datasets.ImageFolder("data/train", transforms.ToTensor())
                train_loader = DataLoader(train_set, batch_size=64, shuffle=True, num_workers=4)
                val_loader = DataLoader(datasets.ImageFolder("data/val", transforms.ToTensor()), num_workers=4)
            """,
        ),
        Bad(
            """
            import torch
            from PIL import Image

            class Cats(torch.utils.data.Dataset):
                def __len__(self):
                    return len(self.paths)

                def __getitem__(self, index):
                    return self.transform(self.load(self.paths[index]))

                def load(self, path):
                    return Image.open(path).convert("RGB")

            data = Cats("data")
            train_set, val_set = torch.utils.data.random_split(data, [0.8, 0.2])
            loader = «torch.utils.data.DataLoader(train_set, 32, True)»
            """
        ),
        Bad(
            """
            from torch.utils import data
            import torchvision

            def loader_of(dataset, batch_size):
                return «data.DataLoader(dataset, batch_size=batch_size)»

            cifar = torchvision.datasets.CIFAR10("data", transform=transform)
            for images, labels in loader_of(cifar, 128):
                train(images, labels)
            """,
            suggested_fix="""
            from torch.utils import data
            import torchvision

            def loader_of(dataset, batch_size):
                return data.DataLoader(dataset, batch_size=batch_size, num_workers=4)

            cifar = torchvision.datasets.CIFAR10("data", transform=transform)
            for images, labels in loader_of(cifar, 128):
                train(images, labels)
            """,
        ),
        Bad(
            """
            import cv2
            from torch.utils.data import DataLoader, Dataset
            import lightning as L

            class Frames(Dataset):
                def __getitem__(self, index):
                    return cv2.imread(self.paths[index])

            class FramesModule(L.LightningDataModule):
                def setup(self, stage):
                    self.train_set = Frames("train")

                def train_dataloader(self):
                    return «DataLoader(self.train_set, batch_size=8, shuffle=True)»
            """,
            suggested_fix="""
            import cv2
            from torch.utils.data import DataLoader, Dataset
            import lightning as L

            class Frames(Dataset):
                def __getitem__(self, index):
                    return cv2.imread(self.paths[index])

            class FramesModule(L.LightningDataModule):
                def setup(self, stage):
                    self.train_set = Frames("train")

                def train_dataloader(self):
                    return DataLoader(self.train_set, batch_size=8, shuffle=True, num_workers=4)
            """,
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader, Dataset, TensorDataset
            from torchvision import datasets

            class Rows(Dataset):
                def __init__(self, path):
                    self.rows = torch.load(path)

                def __getitem__(self, index):
                    return self.rows[index]

            in_memory = DataLoader(TensorDataset(features, labels), batch_size=64)
            rows = DataLoader(Rows("rows.pt"), batch_size=64)
            images = datasets.ImageFolder("data", transform)
            loaders = [
                DataLoader(images, batch_size=64, num_workers=8),
                DataLoader(images, batch_size=64, num_workers=args.workers),
                DataLoader(images, **loader_options),
                DataLoader(images, 64, True, None, None, 4),
            ]
            """
        ),
        Good(
            """
            from project import Photos
            from torch.utils.data import DataLoader

            def make_loader(dataset):
                return DataLoader(dataset, batch_size=64)

            loader = DataLoader(Photos("data"), batch_size=64)
            """,
            why="what a sample costs is not to be seen here",
        ),
        Good(
            """
            from torch.utils.data import DataLoader
            from torchvision.datasets import CIFAR10, FakeData

            loader = DataLoader(FakeData(), batch_size=64)
            shown = DataLoader(CIFAR10("data", transform=transform), batch_size=16)
            images, labels = next(iter(shown))
            for images, _ in shown:
                plot(images)
                break
            for images, _ in DataLoader(FakeData()):
                print(images.shape)
            every = DataLoader(CIFAR10("data", transform=transform), batch_size=16)
            for images, labels in every:
                print(images.shape, labels.shape)
            """,
            why="made-up data, and loaders that are only shown",
        ),
        Good(
            """
            # %% [markdown]
            # # Data

            # %%
            from torch.utils.data import DataLoader
            from torchvision.datasets import CIFAR10

            train_loader = DataLoader(CIFAR10("data", transform=transform), batch_size=64)
            """,
            why="a notebook as a script",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_notebook(module) or is_test_or_benchmark(module):
            return
        idle = [
            loader
            for loader in loaders(module)
            if _has_no_workers(loader)
            and any(decodes_samples(module, each) for each in data_sets(module, loader))
            and not is_only_peeked_at(module, loader)
        ]
        if idle:
            yield self.finding(
                module,
                idle[0],
                "The main process also reads and decodes every sample of this loader, so the device waits for them. "
                "Let workers do it: pass `num_workers=4`, or what the machine has cores for.",
                fix=_with_workers(module, idle),
                also_at=idle[1:],
            )


def _has_no_workers(loader: ast.Call) -> bool:
    if passes_unseen_arguments(loader):
        return False
    match argument(loader, "num_workers", 5):
        case None | ast.Constant(value=0):
            return True
    return False


def _with_workers(module: Module, idle: list[ast.Call]) -> Fix | None:
    if any(module.enclosing_function(loader) is None for loader in idle):
        return None
    edits = [SetArgument(Span.of(loader), "num_workers", "4") for loader in idle if len(loader.args) <= 5]
    return suggested("Load with four workers", *edits) if len(edits) == len(idle) else None
