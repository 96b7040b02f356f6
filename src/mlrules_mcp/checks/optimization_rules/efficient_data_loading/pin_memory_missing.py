from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules._training import (
    is_entry_script,
    large_model_runs,
    may_run_large_model,
    uses_cuda,
)
from mlrules_mcp.checks.optimization_rules.efficient_data_loading._loaders import loaders
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments
from mlrules_mcp.source.tree import Loop

_MOVES = frozenset({"to", "cuda"})


class PinMemoryMissing(Check[ast.Module]):
    """A loader with workers, made for training on CUDA, whose batches are not pinned.

    ## What it does
    Finds `DataLoader(…, num_workers=…)` without `pin_memory`, where a training loop of the same script takes its
    batches, moves them to CUDA and trains a model of torchvision, timm, segmentation_models_pytorch or transformers.
    Always advice, and once a file.

    ## Why it matters
    Batches in ordinary memory are copied twice on their way to the GPU, and the copy holds the program up. From pinned
    memory they are copied directly, and with `.to(device, non_blocking=True)` while the GPU works.

    ## Do not flag
    Loaders without workers (`loader-without-workers` has more to say), loaders that other files train with, models
    that are small or whose size the file does not show, evaluation, conversions to another type, CPU, tests and
    benchmarks.

    ## Fix safety
    Suggested: pinned memory can't be swapped out, which a machine with little memory may feel.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#memory-pinning
    - https://docs.pytorch.org/tutorials/intermediate/pinmem_nonblock.html
    """

    words = ("num_workers",)
    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader
            from torchvision.models import resnet50

            model = resnet50().cuda()
            train_loader = «DataLoader(train_set, batch_size=64, shuffle=True, num_workers=8)»
            for images, labels in train_loader:
                images, labels = images.cuda(), labels.cuda()
                loss = criterion(model(images), labels)
                loss.backward()
                optimizer.step()
            """,
            suggested_fix="""
            import torch
            from torch.utils.data import DataLoader
            from torchvision.models import resnet50

            model = resnet50().cuda()
            train_loader = DataLoader(train_set, batch_size=64, shuffle=True, num_workers=8, pin_memory=True)
            for images, labels in train_loader:
                images, labels = images.cuda(), labels.cuda()
                loss = criterion(model(images), labels)
                loss.backward()
                optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            import timm
            import torch
            from tqdm import tqdm

            def train(model, loader, device):
                for step, batch in enumerate(tqdm(loader)):
                    loss = model(batch.to(device)).mean()
                    loss.backward()
                    optimizer.step()

            def main(args):
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
                loader = «torch.utils.data.DataLoader(Photos(args.data), num_workers=args.workers)»
                train(timm.create_model("resnet50").to(device), loader, device)

            if __name__ == "__main__":
                main(parser.parse_args())
            """,
            suggested_fix="""
            import timm
            import torch
            from tqdm import tqdm

            def train(model, loader, device):
                for step, batch in enumerate(tqdm(loader)):
                    loss = model(batch.to(device)).mean()
                    loss.backward()
                    optimizer.step()

            def main(args):
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
                loader = torch.utils.data.DataLoader(Photos(args.data), num_workers=args.workers, pin_memory=True)
                train(timm.create_model("resnet50").to(device), loader, device)

            if __name__ == "__main__":
                main(parser.parse_args())
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader
            from torchvision.models import resnet50

            model = resnet50().cuda()
            pinned = DataLoader(train_set, num_workers=8, pin_memory=True)
            alone = DataLoader(train_set, batch_size=64)
            options = DataLoader(train_set, num_workers=8, **kwargs)
            for batch in pinned:
                loss = model(batch.cuda()).mean()
                loss.backward()
            for batch in alone:
                loss = model(batch.cuda()).mean()
                loss.backward()
            for batch in options:
                loss = model(batch.cuda()).mean()
                loss.backward()
            optimizer.step()
            other = DataLoader(train_set, num_workers=8)
            for batch in other:
                loss = model(batch.to(torch.float32)).mean()
                loss.backward()
            optimizer.step()
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader
            from torchvision.models import resnet50

            model = resnet50()
            train_loader = DataLoader(train_set, num_workers=8)
            val_loader = DataLoader(val_set, num_workers=8)
            for batch in train_loader:
                loss = model(batch).mean()
                loss.backward()
                optimizer.step()
            for batch in val_loader:
                evaluate(batch.cuda())
            """,
            why="trained on the CPU, and evaluation",
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader

            class Trainer:
                def __init__(self, data):
                    self.loader = DataLoader(data, num_workers=8)

                def train(self):
                    for batch in self.loader:
                        loss = self.model(batch.cuda()).mean()
                        loss.backward()
                        self.optimizer.step()
            """,
            why="a library module",
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader

            model = torch.nn.Linear(784, 10).cuda()
            train_loader = DataLoader(train_set, num_workers=8)
            for images, labels in train_loader:
                loss = criterion(model(images.cuda()), labels.cuda())
                loss.backward()
                optimizer.step()
            """,
            why="a small model",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not may_run_large_model(module):
            return
        unpinned = dict.fromkeys(loader for loader in loaders(module) if _has_workers_and_pins_nothing(loader))
        if not unpinned or not uses_cuda(module) or not is_entry_script(module):
            return
        for loop in module.training_loops:
            loader = next((each for each in _batches_from(module, loop) if each in unpinned), None)
            if isinstance(loader, ast.Call) and _moves_batches(module, loop) and any(large_model_runs(module)):
                yield self.finding(
                    module,
                    loader,
                    "Batches of this loader are copied twice on their way to the GPU, and the copy holds the training "
                    "up. Pass `pin_memory=True`, and move them with `.to(device, non_blocking=True)`.",
                    fix=suggested("Pin the memory", SetArgument(Span.of(loader), "pin_memory", "True")),
                    advice=True,
                )
                return


def _has_workers_and_pins_nothing(loader: ast.Call) -> bool:
    workers = argument(loader, "num_workers", 5)
    if workers is None or (isinstance(workers, ast.Constant) and not workers.value):
        return False
    return argument(loader, "pin_memory", 7) is None and not passes_unseen_arguments(loader)


def _batches_from(module: Module, loop: Loop) -> list[ast.expr]:
    """What a loop may take its batches from, through `enumerate` and progress bars."""
    if isinstance(loop, ast.While) or loop not in module.step_regions:
        return []
    source = loop.iter
    while isinstance(source, ast.Call) and source.args and module.local_function(source) is None:
        source = source.args[0]
    return origins_through_calls(module, source)


def _moves_batches(module: Module, loop: Loop) -> bool:
    """Whether a loop moves something of what it takes to a device."""
    taken = (
        {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
        if isinstance(loop, ast.For)
        else set()
    )
    for call in module.calls(*_MOVES):
        if isinstance(call.func, ast.Attribute) and module.is_inside(call, loop):
            base: ast.expr = call.func.value
            while isinstance(base, ast.Subscript | ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in taken and _names_device(call):
                return True
    return False


def _names_device(move: ast.Call) -> bool:
    """Whether a move is one to a device, and none to another type."""
    if isinstance(move.func, ast.Attribute) and move.func.attr == "cuda":
        return True
    target = argument(move, "device", 0)
    return target is not None and any(word in ast.unparse(target).lower() for word in ("device", "cuda", "gpu", "rank"))
