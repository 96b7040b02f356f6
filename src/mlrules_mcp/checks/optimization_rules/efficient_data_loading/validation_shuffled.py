from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.efficient_data_loading._loaders import (
    data_sets,
    loaders,
    peeks,
    uses,
)
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS

_EVALUATION = pattern(
    r"(^|_)(?i:val|valid|validation|test|testing|eval|evaluation)(_|\d*$|(?=[A-Z]))"
    r"|(^|_)(?i:val|valid|validation|test|eval|dev)_?(?i:data|set|loader|iter|dl|ds)|^x_?(?i:test|val)"
)
_TRAINING = pattern(r"train|fit|adapt|unlabel|target_|_target|support|query|episod|attack|shuffl", re.IGNORECASE)
_FEW_SHOT = pattern(r"n_?way|k_?shot|episode")


class ValidationShuffled(Check[ast.Module]):
    """A loader of validation or test data that shuffles.

    ## What it does
    Finds `DataLoader(…, shuffle=True)` over data that its names, its function or `train=False` say is for validation
    or test.

    ## Why it matters
    Shuffling does nothing for a model that is only evaluated, and takes away what the order is good for: predictions
    no longer stand beside their samples, the pictures and errors that are logged are others in each epoch, and the
    figures of the last, smaller batch or of batch-wise averages change from run to run.

    ## Do not flag
    Loaders that give a single random batch somewhere; test data that is trained on, as in domain adaptation, or drawn
    as tasks of few-shot learning; what a comment says is shuffled on purpose; a `shuffle` that is a variable; tests and
    benchmarks.

    ## Fix safety
    Suggested: a seed set once gives other random numbers to what follows, as shuffling no longer draws any.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader
    - https://lightning.ai/docs/pytorch/stable/common/evaluation_intermediate.html
    """

    words = ("DataLoader",)
    examples = (
        Bad(
            """
            from torch.utils.data import DataLoader

            train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
            val_loader = «DataLoader(val_set, batch_size=64, shuffle=True)»
            evaluate(model, val_loader)
            """,
            suggested_fix="""
            from torch.utils.data import DataLoader

            train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
            val_loader = DataLoader(val_set, batch_size=64, shuffle=False)
            evaluate(model, val_loader)
            """,
        ),
        Bad(
            """
            import torch
            from torchvision import datasets

            def load():
                data = datasets.MNIST("data", train=False, transform=transform)
                return «torch.utils.data.DataLoader(data, batch_size=1000, shuffle=True)»
            """,
            suggested_fix="""
            import torch
            from torchvision import datasets

            def load():
                data = datasets.MNIST("data", train=False, transform=transform)
                return torch.utils.data.DataLoader(data, batch_size=1000, shuffle=False)
            """,
        ),
        Bad(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            class Digits(L.LightningDataModule):
                def train_dataloader(self):
                    return DataLoader(self.data, shuffle=True)

                def val_dataloader(self):
                    return «DataLoader(self.data, 32, True)»
            """
        ),
        Bad(
            """
            from torch.utils import data

            loaders = {
                "train": data.DataLoader(sets["train"], shuffle=True),
                "val": «data.DataLoader(sets["val"], shuffle=True)»,
            }
            testLoader = ‹data.DataLoader(sets[2], shuffle=True)›
            """,
            suggested_fix="""
            from torch.utils import data

            loaders = {
                "train": data.DataLoader(sets["train"], shuffle=True),
                "val": data.DataLoader(sets["val"], shuffle=False),
            }
            testLoader = data.DataLoader(sets[2], shuffle=False)
            """,
        ),
        Bad(
            """
            import torch

            dataloaders = {
                phase: «torch.utils.data.DataLoader(image_sets[phase], batch_size=4, shuffle=True)»
                for phase in ["train", "val"]
            }
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader
            from torchvision import datasets

            latest_loader = DataLoader(latest, shuffle=True)
            trainval_loader = DataLoader(trainval_set, shuffle=True)
            train_test_loader = DataLoader(data, shuffle=True)
            val_loader = DataLoader(val_set, shuffle=shuffle)
            test_loader = DataLoader(test_set)
            loader = DataLoader(datasets.CIFAR10("data", train=True), shuffle=True)
            device_loader = DataLoader(devices, shuffle=True)
            invalid_loader = DataLoader(broken, shuffle=True)
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader

            val_loader = DataLoader(val_set, batch_size=5, shuffle=True)

            def sample_images(step):
                images = next(iter(val_loader))
                save(generator(images), step)

            class Run:
                def __init__(self, test_set):
                    self.test_loader = DataLoader(test_set, shuffle=True)

                def quick_test(self):
                    number, batch = next(enumerate(self.test_loader))
                    return self.model(batch)

            testloader = DataLoader(test_set, shuffle=True)
            batches = iter(testloader)
            show(next(batches))

            # a random part of the shuffled data is drawn
            val_loader = DataLoader(val_set, shuffle=True)
            """,
            why="another few samples each time are wanted",
        ),
        Good(
            """
            from torch.utils.data import DataLoader

            test_loader = DataLoader(test_set, shuffle=True)
            for (images, labels), (target_images, _) in zip(train_loader, test_loader):
                loss = criterion(model(images), labels) + discrepancy(model(images), model(target_images))
                loss.backward()
                optimizer.step()

            loader = DataLoader(support_set_of_test, shuffle=True)
            test_train_loader = DataLoader(tasks, shuffle=True)
            mini_test = MiniImageNet("test", n_way=5, k_shot=1)
            test_tasks = DataLoader(mini_test, shuffle=True)
            """,
            why="trained on, as in domain adaptation and few-shot learning",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_or_benchmark(module):
            return
        for loader in loaders(module):
            match argument(loader, "shuffle", 2):
                case ast.Constant(value=True):
                    pass
                case _:
                    continue
            if not _evaluates(module, loader) or _is_sampled(module, loader) or _is_trained_on(module, loader):
                continue
            is_keyword = any(keyword.arg == "shuffle" for keyword in loader.keywords)
            in_order = suggested("Keep the order", SetArgument(Span.of(loader), "shuffle", "False"))
            yield self.finding(
                module,
                loader,
                "Evaluation data is shuffled here, so predictions no longer stand beside their samples, and what is "
                "logged differs from run to run. Leave `shuffle` off for validation and test data.",
                fix=in_order if is_keyword and not _is_for_both(module, loader) else None,
            )


def _evaluates(module: Module, loader: ast.Call) -> bool:
    """Whether a loader's data is for validation or test, by what it is called or made with."""
    names = list(_names(module, loader))
    if any(_TRAINING.search(name) for name in names):
        return False
    made = (keyword.arg or "" for each in data_sets(module, loader) for keyword in each.keywords)
    if any(map(_FEW_SHOT.search, made)):
        return False
    return any(map(_EVALUATION.search, names)) or _is_for_both(module, loader) or _is_test_part(module, loader)


def _names(module: Module, loader: ast.Call) -> Iterator[str]:
    """What a loader and its data are called: the variable, the key, the function that returns it."""
    dataset = argument(loader, "dataset", 0)
    match dataset:
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            yield key
        case ast.Name() | ast.Attribute():
            yield last_name(dataset) or ""
    parent = module.parent(loader)
    match parent:
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]):
            yield last_name(target) or ""
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str() as key))]):
            yield key
        case ast.Dict(keys=keys, values=values):
            key_node = keys[values.index(loader)]
            if isinstance(key_node, ast.Constant) and isinstance(key_node.value, str):
                yield key_node.value
        case ast.Return():
            function = next((a for a in module.ancestors(loader) if isinstance(a, FUNCTIONS)), None)
            if function is not None:
                yield function.name


def _is_for_both(module: Module, loader: ast.Call) -> bool:
    """Whether one comprehension makes the loaders of all parts: `for phase in ["train", "val"]`."""
    match module.parent(loader):
        case ast.DictComp(generators=[ast.comprehension(iter=ast.List(elts=parts) | ast.Tuple(elts=parts))]):
            return any(isinstance(part, ast.Constant) and part.value in ("val", "valid", "test") for part in parts)
    return False


def _is_test_part(module: Module, loader: ast.Call) -> bool:
    """Whether a loader's data sets are all made as the test part: `CIFAR10(…, train=False)`."""
    parts = [argument(made, "train") for made in data_sets(module, loader)]
    return bool(parts) and all(isinstance(part, ast.Constant) and part.value is False for part in parts)


def _is_sampled(module: Module, loader: ast.Call) -> bool:
    """Whether a random batch is wanted somewhere, or a comment says that the data is shuffled on purpose."""
    above = module.source.lines[max(loader.lineno - 4, 0) : loader.lineno]
    if any("shuffl" in line.partition("#")[2].lower() for line in above):
        return True
    return any(peeks(module, use) or _is_iterated(module.parent(use)) for use in uses(module, loader))


def _is_iterated(parent: ast.AST | None) -> bool:
    """Whether batches are taken one by one: `batches = iter(loader)`."""
    return isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "iter"


def _is_trained_on(module: Module, loader: ast.Call) -> bool:
    """Whether a training loop takes batches of a loader."""
    for use in uses(module, loader):
        for ancestor in module.ancestors(use):
            if (
                isinstance(ancestor, ast.For)
                and ancestor in module.step_regions
                and module.is_inside(use, ancestor.iter)
            ):
                return True
    return False
