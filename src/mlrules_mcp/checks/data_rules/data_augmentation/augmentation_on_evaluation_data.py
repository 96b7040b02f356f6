from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlrules_mcp.checks._data import IMAGES, is_test_file
from mlrules_mcp.checks._transforms import all_random_steps, data_role, is_for_evaluation, random_steps
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS

_SEQUENCES = ("Compose", "Sequential", "ImageClassificationBase", "AugmentationSequential")
_TRANSFORM_ARGUMENTS = ("transform", "transforms", "augmentation", "augmentations", "preprocess")
_MAKES_TRANSFORM = pattern(r"(?i)(transform|tfm|augment|preprocess)")


class _Use(NamedTuple):
    """A random transform of data for evaluation.

    Attributes:
        steps: the random transforms.
        dataset: the call that puts them on the data, where that is another place.
    """

    steps: tuple[ast.Call, ...]
    dataset: ast.Call | None = None


class AugmentationOnEvaluationData(Check[ast.Module]):
    """Random augmentation of the data that a model is judged by.

    ## What it does
    Finds random transforms (`RandomCrop`, `RandomHorizontalFlip`, `ColorJitter` …) in a transform that is called after
    validation or test data, is given to such a data set, or reaches a validation part by `random_split`.

    ## Why it matters
    Each evaluation sees other pictures: scores differ from run to run and from epoch to epoch, the best checkpoint is
    chosen by luck, and they are too low, since flipped and cropped pictures are harder than those in use.

    ## Do not flag
    Transforms of training data, test-time augmentation (`tta`), flips that are always applied (`p=1`), data sets whose
    part depends on a flag.

    ## Fix safety
    No fix: a random crop has to give way to one of the same size in the centre.

    ## References
    - https://docs.pytorch.org/vision/stable/transforms.html
    """

    packages = IMAGES
    examples = (
        Bad(
            """
            from torchvision import transforms

            train_transform = transforms.Compose([transforms.RandomResizedCrop(224), transforms.ToTensor()])
            val_transform = transforms.Compose([
                «transforms.RandomResizedCrop(224)»,
                ‹transforms.RandomHorizontalFlip()›,
                transforms.ToTensor(),
            ])
            """
        ),
        Bad(
            """
            from torchvision import transforms

            data_transforms = {
                "train": transforms.Compose([transforms.RandomResizedCrop(224), transforms.ToTensor()]),
                "val": transforms.Compose([«transforms.ColorJitter(0.2)», transforms.ToTensor()]),
            }
            """
        ),
        Bad(
            """
            from torchvision import datasets
            from torchvision.transforms import v2

            transform = v2.Compose([v2.ToImage(), «v2.RandomHorizontalFlip()»])
            trainset = datasets.CIFAR10("data", train=True, transform=transform)
            testset = datasets.CIFAR10("data", train=False, transform=transform)
            """
        ),
        Bad(
            """
            from torchvision import transforms
            from torchvision.datasets import ImageFolder

            both = {
                part: transforms.Compose([«transforms.RandomHorizontalFlip()», transforms.ToTensor()])
                for part in ["train", "val"]
            }
            augment = transforms.Compose([«transforms.RandomRotation(10)», transforms.ToTensor()])
            holdout = ImageFolder("data/val", augment)
            """
        ),
        Bad(
            """
            import albumentations as A

            class Pictures:
                def train_dataloader(self):
                    return DataLoader(Folder(self.root, transform=A.Compose([A.RandomCrop(224, 224), A.Normalize()])))

                def val_dataloader(self):
                    augment = A.Compose([«A.HorizontalFlip(p=0.5)», A.Normalize()])
                    return DataLoader(Folder(self.root, transform=augment))
            """
        ),
        Bad(
            """
            from torch.utils.data import random_split
            from torchvision import datasets, transforms

            augment = transforms.Compose([«transforms.RandomRotation(10)», transforms.ToTensor()])
            dataset = datasets.ImageFolder("flowers", transform=augment)
            train_set, val_set = random_split(dataset, [0.8, 0.2], generator=generator)
            """
        ),
        Bad(
            """
            from torchvision import transforms

            def get_train_transform(size):
                return transforms.Compose([transforms.RandomCrop(size), transforms.ToTensor()])

            def get_test_transform(size):
                return transforms.Compose([«transforms.RandomCrop(size)», transforms.ToTensor()])
            """
        ),
        Good(
            """
            from torchvision import datasets, transforms

            train_transform = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.ToTensor()])
            test_transform = transforms.Compose([transforms.CenterCrop(32), transforms.ToTensor()])
            trainset = datasets.CIFAR10("data", train=True, transform=train_transform)
            testset = datasets.CIFAR10("data", train=False, transform=test_transform)
            """
        ),
        Good(
            """
            from torchvision import transforms

            tta_test_transforms = [transforms.RandomHorizontalFlip(p=0.5), transforms.ColorJitter(0.1)]
            test_flip = transforms.Compose([transforms.RandomHorizontalFlip(p=1), transforms.ToTensor()])
            """,
            why="test-time augmentation",
        ),
        Good(
            """
            from torchvision import datasets, transforms

            train_transform = transforms.ToTensor()
            test_transform = transforms.Compose([transforms.ToTensor(), transforms.RandomRotation([0, 360])])
            test_set = datasets.MNIST("data", train=False, transform=test_transform)
            """,
            why="only the evaluation is random: a test of what the model makes of rotated pictures",
        ),
        Good(
            """
            from torchvision import datasets, transforms

            def build(is_train):
                crop = transforms.RandomResizedCrop(224) if is_train else transforms.CenterCrop(224)
                transform = transforms.Compose([crop, transforms.ToTensor()])
                return datasets.CIFAR10("data", train=is_train, transform=transform)
            """,
            why="which part it is depends on a flag",
        ),
        Good(
            """
            from torch.utils.data import random_split
            from torchvision import datasets, transforms

            dataset = datasets.ImageFolder("flowers")
            train_set, val_set = random_split(dataset, [0.8, 0.2], generator=generator)
            train_set = Transformed(train_set, transforms.Compose([transforms.RandomRotation(10)]))
            """
        ),
        Good(
            """
            import torch
            import transforms as T

            def make_transforms(image_set):
                if image_set == "train":
                    return T.Compose([T.RandomHorizontalFlip(), T.RandomResize([480, 512])])
                if image_set == "val":
                    return T.Compose([T.RandomResize([800], max_size=1333)])
            """,
            why="of one size there is nothing to choose",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not all_random_steps(module) or is_test_file(module):
            return
        seen: set[ast.Call] = set()
        for use in _uses(module):
            steps = [step for step in use.steps if step not in seen]
            if not steps:
                continue
            seen.update(steps)
            yield self.finding(
                module,
                steps[0],
                f"`{module.called_name(steps[0])}` changes the pictures of each evaluation at random, so that scores "
                "differ from run to run and are of distorted data. Transform validation and test data in a fixed way: "
                "resize, crop in the centre, normalize.",
                also_at=steps[1:],
                related=[(use.dataset, "the data it is used on")] if use.dataset is not None else (),
            )


def _uses(module: Module) -> Iterator[_Use]:
    named = [call for call in module.calls(*_SEQUENCES) if _is_named_for_evaluation(module, call)]
    if _augments_elsewhere(module, named):
        yield from (_Use(steps) for call in named if (steps := tuple(random_steps(module, call))))
    for call in module.nodes(ast.Call):
        given = [keyword.value for keyword in call.keywords if keyword.arg in _TRANSFORM_ARGUMENTS]
        if len(call.args) > 1 and module.called_name(call) == "ImageFolder":
            given.append(call.args[1])
        for transform in given:
            if data_role(module, call) != "evaluation" or not (steps := tuple(_steps_of(module, transform))):
                continue
            if _is_shared(module, transform) or _augments_elsewhere(module, steps):
                yield _Use(steps, None if module.is_inside(steps[0], call) else call)
    for each in module.nodes(ast.DictComp):
        if _is_for_each_part(each) and (steps := tuple(random_steps(module, each.value))):
            yield _Use(steps)
    for call in module.calls("random_split"):
        yield from _of_split(module, call)


def _is_for_each_part(comprehension: ast.DictComp) -> bool:
    """Whether a dictionary is made for all parts of the data: `for x in ["train", "val"]`."""
    parts = comprehension.generators[0].iter
    names = parts.elts if isinstance(parts, ast.List | ast.Tuple) else []
    texts = [name.value for name in names if isinstance(name, ast.Constant) and isinstance(name.value, str)]
    return "train" in texts and any(map(is_for_evaluation, texts))


def _is_shared(module: Module, transform: ast.expr) -> bool:
    """Whether several data sets get a transform."""
    uses = [
        name
        for name in module.nodes(ast.Name)
        if isinstance(transform, ast.Name) and name.id == transform.id and isinstance(name.ctx, ast.Load)
    ]
    return len(uses) > 1


def _augments_elsewhere(module: Module, sequences: Sequence[ast.Call]) -> bool:
    """Whether there is augmentation outside of some transforms, so that it was taken over from there."""
    return any(not any(module.is_inside(step, sequence) for sequence in sequences) for step in all_random_steps(module))


def _is_named_for_evaluation(module: Module, sequence: ast.Call) -> bool:
    """Whether a sequence of transforms stands in what is called after validation or test data."""
    child: ast.AST = sequence
    for ancestor in module.ancestors(sequence):
        match ancestor:
            case ast.Assign(targets=[target, *_]) | ast.AnnAssign(target=target):
                return _is_target_for_evaluation(target)
            case ast.Dict(keys=keys, values=values):
                key = next((key for key, value in zip(keys, values, strict=True) if value is child), None)
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    return is_for_evaluation(key.value)
            case ast.Return():
                function = module.enclosing_function(ancestor)
                return function is not None and _is_function_for_evaluation(module, function.name, ancestor)
            case ast.IfExp() | ast.stmt() | ast.Lambda():
                return False
            case ast.Call() if child is not ancestor and not _is_sequence(module, ancestor):
                return False
        child = ancestor
    return False


def _is_sequence(module: Module, call: ast.Call) -> bool:
    return module.called_name(call) in _SEQUENCES


def _is_target_for_evaluation(target: ast.expr) -> bool:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return is_for_evaluation(name)
    return False


def _is_function_for_evaluation(module: Module, name: str, statement: ast.stmt) -> bool:
    """Whether a function makes transforms for evaluation, whatever it is given."""
    unconditional = isinstance(module.parent(statement), FUNCTIONS)
    return bool(_MAKES_TRANSFORM.search(name)) and is_for_evaluation(name) and unconditional


def _steps_of(module: Module, transform: ast.expr) -> Iterator[ast.Call]:
    """The random steps of a transform, followed to where it is made; none where it may be another one."""
    origins = module.origins(transform)
    if len(origins) == 1 and isinstance(origins[0], ast.Call | ast.List):
        yield from random_steps(module, origins[0])


def _of_split(module: Module, split: ast.Call) -> Iterator[_Use]:
    """The random transforms of a data set of torchvision that a validation part is split off from."""
    match module.parent(split):
        case ast.Assign(targets=[ast.Tuple(elts=parts)]) if any(_is_target_for_evaluation(part) for part in parts):
            pass
        case _:
            return
    data = argument(split, "dataset", 0)
    if data is None or _sets_transform(module):
        return
    for origin in module.origins(data):
        if not isinstance(origin, ast.Call) or not (module.qualified_name(origin.func) or "").startswith(
            "torchvision."
        ):
            continue
        transform = argument(origin, "transform")
        steps = tuple(_steps_of(module, transform)) if transform is not None else ()
        if steps:
            yield _Use(steps, split)


def _sets_transform(module: Module) -> bool:
    """Whether a module gives a part of the data another transform later."""
    return any(
        isinstance(target, ast.Attribute) and target.attr in _TRANSFORM_ARGUMENTS
        for statement in module.nodes(ast.Assign)
        for target in statement.targets
        if not (isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self")
    )
