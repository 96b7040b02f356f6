from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import is_test_file
from mlrules_mcp.checks._loaders import Loader, loaders
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.names import argument

_MADE_UP = pattern(r"(?i)random|fake|dummy|synthetic|toy|boring|overfit|mock|debug|zeros|lightly")
_TRANSFORM = pattern(r"(?i)transform|tfm|aug|preproc")
_TRANSFORMS = frozenset({"transform", "transforms", "target_transform", "download", "augment"})


class SameDataInBothLoaders(Check[ast.Module]):
    """One data set for training and for validation or testing.

    ## What it does
    Finds loaders for training and for validation or testing that load the same data set: the same variable, the same
    arguments of a data set twice (`train=True`), or one loader given to `trainer.fit` as both.

    ## Why it matters
    The score is of what the model has learnt by heart: it goes up while the model gets worse on anything else, and
    early stopping never stops.

    ## Do not flag
    Loaders with samplers or different indices, made-up data, loaders for measuring the training error
    (`train_eval_loader`), tests.

    ## Fix safety
    No fix: which data was meant is not known.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html
    """

    packages = frozenset({"torch", "lightning", "torchvision", "torch_geometric"})
    examples = (
        Bad(
            """
            from torch.utils.data import DataLoader

            train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
            val_loader = «DataLoader(train_set, batch_size=32)»
            """
        ),
        Bad(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            class Digits(L.LightningDataModule):
                def train_dataloader(self):
                    return DataLoader(self.digits, shuffle=True)

                def val_dataloader(self):
                    return «DataLoader(self.digits)»
            """
        ),
        Bad(
            """
            from torch.utils.data import DataLoader
            from torchvision import datasets, transforms

            train_set = datasets.MNIST("data", train=True, download=True, transform=augment)
            test_set = datasets.MNIST("data", train=True, transform=transforms.ToTensor())
            train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
            test_loader = «DataLoader(test_set, batch_size=64)»
            """
        ),
        Bad(
            """
            import pandas as pd
            from torch.utils.data import DataLoader

            df = pd.read_csv("reviews.csv")
            train_set = ReviewDataset(df, tokenizer, transform=augment)
            val_set = ReviewDataset(df, tokenizer)
            train_loader, val_loader = DataLoader(train_set, shuffle=True), «DataLoader(val_set)»
            """
        ),
        Bad(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            loader = DataLoader(dataset)
            trainer = L.Trainer()
            trainer.fit(model, loader, «loader»)
            """
        ),
        Bad(
            """
            from torch.utils import data

            loaders = {
                "train": data.DataLoader(corpus["train"], batch_size=8),
                "val": «data.DataLoader(corpus["train"], batch_size=8)»,
            }
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader, Subset, SubsetRandomSampler
            from torchvision import datasets

            train_loader = DataLoader(train_set, shuffle=True)
            train_eval_loader = DataLoader(train_set)
            val_loader = DataLoader(val_set)
            first_train_loader = DataLoader(dataset, sampler=SubsetRandomSampler(train_indices))
            first_val_loader = DataLoader(dataset, sampler=SubsetRandomSampler(val_indices))
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader, Subset
            from torchvision import datasets

            plain = datasets.CIFAR10("data", train=True)
            augmented = datasets.CIFAR10("data", train=True, transform=augment)
            train_loader = DataLoader(Subset(augmented, train_indices))
            val_loader = DataLoader(Subset(plain, val_indices))
            """
        ),
        Good(
            """
            import pandas as pd
            from torch.utils.data import DataLoader

            df = pd.read_csv("train.csv")
            train_set = ReviewDataset(df, "train")
            train_loader = DataLoader(train_set, shuffle=True)
            val_loader = DataLoader(ReviewDataset(df, "val"))
            late_train_loader = DataLoader(RoadDataset(roads, train=True))
            late_test_loader = DataLoader(RoadDataset(roads, test=True))
            df = pd.read_csv("test.csv")
            test_loader = DataLoader(ReviewDataset(df, "train"))
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader

            dataset = load("train")
            train_loader = DataLoader(dataset)
            dataset = load("val")
            val_loader = DataLoader(dataset)
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader

            train_loader = DataLoader(train_set, shuffle=True)
            test_loader = DataLoader(train_set)
            for pictures, labels in test_loader:
                break
            """,
            why="one batch to look at",
        ),
        Good(
            """
            import lightning as L
            from torch.utils.data import DataLoader

            class Boring(L.LightningModule):
                def train_dataloader(self):
                    return DataLoader(RandomDataset(32, 64))

                def val_dataloader(self):
                    return DataLoader(RandomDataset(32, 64))

            random_set = RandomDataset(32, 64)
            train_loader, val_loader = DataLoader(random_set), DataLoader(random_set)
            """,
            why="made-up numbers, to see whether it runs",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module):
            return
        parts = [loader for loader in loaders(module) if not loader.sampled]
        trainings = [loader for loader in parts if loader.role == "train"]
        others = [loader for loader in parts if loader.role != "train"]
        for other in others if trainings else ():
            same = (each for each in trainings if _in_one_place(module, each, other) and _is_same(module, each, other))
            if (training := next(same, None)) is not None and not _is_looked_into(module, other.call):
                first, second = sorted((training.call, other.call), key=start)
                yield self._finding(module, second, first, "the other loader")
        for call in module.calls("fit"):
            yield from self._both_of_fit(module, call)

    def _both_of_fit(self, module: Module, call: ast.Call) -> Iterator[Finding]:
        training = argument(call, "train_dataloaders", 1)
        validation = argument(call, "val_dataloaders", 2)
        match training, validation:
            case ast.Name(id=name), ast.Name(id=other) if name == other and not _MADE_UP.search(name):
                if any(
                    module.is_call_to(origin, "torch.utils.data.DataLoader") for origin in module.origins(validation)
                ):
                    yield self._finding(module, validation, training, "the loader for training")

    def _finding(self, module: Module, place: ast.expr, other: ast.expr, what: str) -> Finding:
        return self.finding(
            module,
            place,
            "The model is judged by the very data it is trained on, so that the score says how well it remembers. "
            "Split off a part, and load only that here.",
            related=[(other, what)],
        )


def _is_loader(module: Module, expression: ast.expr) -> bool:
    return any(module.is_call_to(origin, "torch.utils.data.DataLoader") for origin in module.origins(expression))


def _in_one_place(module: Module, first: Loader, second: Loader) -> bool:
    """Whether two loaders are made in one function, or in hooks of one class."""
    functions = [module.enclosing_function(loader.call) for loader in (first, second)]
    if functions[0] is functions[1]:
        return True
    cls = module.enclosing_class(first.call)
    return cls is not None and cls is module.enclosing_class(second.call)


def _is_looked_into(module: Module, call: ast.Call) -> bool:
    """Whether a loader is used for nothing but a look at one batch."""
    match module.parent(call):
        case ast.Assign(targets=[ast.Name() as target]):
            uses = [
                module.parent(name)
                for name in module.nodes(ast.Name)
                if name.id == target.id
                and name is not target
                and any(binding.node is target for binding in module.reaching(name))
            ]
            loops = [use for use in uses if isinstance(use, ast.For) and isinstance(use.body[-1], ast.Break)]
            return bool(loops) and len(loops) == len(uses)
    return False


def _is_same(module: Module, first: Loader, second: Loader) -> bool:
    """Whether two loaders load the same rows."""
    if _MADE_UP.search(module.text(first.dataset)) or _excludes(module, first, second):
        return False
    if _is_same_expression(module, first.dataset, second.dataset):
        return not any(_is_made_up(module, origin) for origin in module.origins(first.dataset))
    origins = [module.origins(loader.dataset) for loader in (first, second)]
    if [len(each) for each in origins] != [1, 1]:
        return False
    one, other = origins[0][0], origins[1][0]
    return isinstance(one, ast.Call) and isinstance(other, ast.Call) and _makes_the_same(module, one, other)


def _is_made_up(module: Module, origin: ast.expr) -> bool:
    return isinstance(origin, ast.Call) and bool(_MADE_UP.search(module.text(origin.func)))


def _excludes(module: Module, first: Loader, second: Loader) -> bool:
    """Whether two loaders are made in branches that exclude each other."""
    tests = [{(guard.test, guard.holds) for guard in module.guards(loader.call)} for loader in (first, second)]
    return any((test, not holds) in tests[1] for test, holds in tests[0])


def _is_same_expression(module: Module, first: ast.expr, second: ast.expr) -> bool:
    match first, second:
        case ast.Name(), ast.Name():
            return first.id == second.id and module.reaching(first) == module.reaching(second)
        case ast.Attribute(value=ast.Name(id="self")), ast.Attribute(value=ast.Name(id="self")):
            return first.attr == second.attr
        case ast.Subscript(slice=ast.Constant(value=str(key))), ast.Subscript(slice=ast.Constant(value=other)):
            return key == other and _is_same_expression(module, first.value, second.value) and isinstance(other, str)
    return False


def _makes_the_same(module: Module, first: ast.Call, second: ast.Call) -> bool:
    """Whether two calls make the same rows of a data set, whatever they transform them with."""
    name = module.qualified_name(first.func) or ""
    if ast.unparse(first.func) != ast.unparse(second.func) or _MADE_UP.search(ast.unparse(first.func)):
        return False
    if not name.startswith("torchvision.datasets.") and "Dataset" not in ast.unparse(first.func):
        return False
    rows, others = _rows(first), _rows(second)
    return (
        bool(rows)
        and [(name, ast.dump(value)) for name, value in rows] == [(name, ast.dump(value)) for name, value in others]
        and all(_is_still_the_same(module, one, other) for (_, one), (_, other) in zip(rows, others, strict=True))
    )


def _is_still_the_same(module: Module, first: ast.expr, second: ast.expr) -> bool:
    """Whether two expressions of one text have one value: no call in them, and no name bound anew in between."""
    names, others = ([node for node in ast.walk(each) if isinstance(node, ast.Name)] for each in (first, second))
    if any(isinstance(node, ast.Call) for node in ast.walk(first)):
        return False
    return all(module.reaching(name) == module.reaching(other) for name, other in zip(names, others, strict=True))


def _rows(call: ast.Call) -> list[tuple[str, ast.expr]]:
    """The arguments of a data set that say which rows it has, each with its keyword."""
    given = [("", value) for value in call.args]
    given += sorted(((each.arg or "", each.value) for each in call.keywords), key=lambda pair: pair[0])
    return [
        (name, value) for name, value in given if name not in _TRANSFORMS and not _TRANSFORM.search(ast.unparse(value))
    ]
