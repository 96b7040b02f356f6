from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import IMAGES, is_test_file
from mlrules_mcp.checks._transforms import RANDOM_TRANSFORMS, data_role
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._trainers import fits
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# Data sets of pictures that stay what they are when flipped or cropped (torchvision 0.28). Digits do not.
_PICTURES = (
    "CIFAR10",
    "CIFAR100",
    "ImageFolder",
    "ImageNet",
    "STL10",
    "Flowers102",
    "OxfordIIITPet",
    "StanfordCars",
    "Food101",
    "Caltech101",
    "Caltech256",
    "FGVCAircraft",
    "Places365",
    "EuroSAT",
    "DTD",
)
_CLASSIFIES = ("CrossEntropyLoss", "cross_entropy", "NLLLoss", "nll_loss")
_AUGMENTS = pattern(r"(?i)augment|mix_?up|cut_?mix|cut_?out|\bflip|rand_?aug|noise|albumentations|kornia|jitter")
_FIXED = frozenset(
    "ToTensor ToImage PILToTensor ToDtype ConvertImageDtype Normalize Resize Scale CenterCrop Grayscale Pad Lambda "
    "Compose".split()
)


class ImageTrainingWithoutAugmentation(Check[ast.Module]):
    """A classifier of pictures that sees each picture the same way in every epoch.

    ## What it does
    Points at a data set of photographs (`CIFAR10`, `ImageFolder` …) for training whose transform only resizes and
    normalizes, in a file that trains a classifier on it and augments nowhere. Always advice, given once a file.

    ## Why it matters
    Networks learn small sets of pictures by heart. Flips and crops that keep the label are worth several points of
    accuracy there, and cost little.

    ## Do not flag
    Digits and characters, which flips change, transforms that don't show, any augmentation in the file, generative
    models.

    ## Fix safety
    No fix: which changes keep the label is known to the author.

    ## References
    - https://docs.pytorch.org/vision/stable/auto_examples/transforms/plot_transforms_getting_started.html
    """

    packages = IMAGES
    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torchvision
            from torch import nn
            from torchvision import transforms

            transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
            trainset = «torchvision.datasets.CIFAR10("data", train=True, transform=transform)»
            criterion = nn.CrossEntropyLoss()
            for images, labels in DataLoader(trainset):
                criterion(model(images), labels).backward()
                optimizer.step()
            """,
            advice=True,
        ),
        Good(
            """
            import torchvision
            from torch import nn
            from torchvision import transforms

            transform = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
            trainset = torchvision.datasets.CIFAR10("data", train=True, transform=transform)
            criterion = nn.CrossEntropyLoss()
            for images, labels in DataLoader(trainset):
                criterion(model(images), labels).backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import torchvision
            from torch import nn
            from torchvision import transforms

            digits = torchvision.datasets.MNIST("data", train=True, transform=transforms.ToTensor())
            criterion = nn.CrossEntropyLoss()
            for images, labels in DataLoader(digits):
                criterion(model(images), labels).backward()
                optimizer.step()
            """,
            why="a flipped digit is another one, or none",
        ),
        Good(
            """
            import torchvision
            from torchvision import transforms

            trainset = torchvision.datasets.CIFAR10("data", train=True, transform=transforms.ToTensor())
            for images, _ in DataLoader(trainset):
                loss = ((autoencoder(images) - images) ** 2).mean()
                loss.backward()
                optimizer.step()
            """,
            why="no labels are learnt",
        ),
        Good(
            """
            import torchvision
            from torch import nn
            from torchvision import transforms
            from torchvision.transforms.v2 import CutMix

            trainset = torchvision.datasets.CIFAR10("data", train=True, transform=transforms.ToTensor())
            criterion, cutmix = nn.CrossEntropyLoss(), CutMix(num_classes=10)
            for images, labels in DataLoader(trainset):
                images, labels = cutmix(images, labels)
                criterion(model(images), labels).backward()
                optimizer.step()
            """
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        calls = module.calls(*_PICTURES)
        if not calls or is_test_file(module) or module.calls(*RANDOM_TRANSFORMS) or not module.calls(*_CLASSIFIES):
            return
        if _AUGMENTS.search(module.source.code) or not (module.training_loops or fits(module)):
            return
        for call in calls:
            name = module.qualified_name(call.func) or ""
            if (
                name.startswith("torchvision.datasets")
                and data_role(module, call) == "train"
                and _is_plain(module, call)
            ):
                yield self.finding(
                    module,
                    call,
                    "The network sees the same pictures in every epoch, which it soon knows by heart. Add changes that "
                    "keep the label to the training transform, such as `RandomHorizontalFlip` and `RandomCrop` with "
                    "padding.",
                    advice=True,
                )
                return


def _is_plain(module: Module, call: ast.Call) -> bool:
    """Whether the transform of a data set is seen to do nothing but resize, convert and normalize."""
    transform = argument(call, "transform")
    if transform is None:
        return False
    origins = module.origins(transform)
    return all(
        isinstance(origin, ast.Call) and all(_is_fixed(module, node) for node in ast.walk(origin)) for origin in origins
    )


def _is_fixed(module: Module, node: ast.AST) -> bool:
    if isinstance(node, ast.Name | ast.Lambda | ast.Starred):
        # A step that is made elsewhere may be anything; a module (`transforms.ToTensor`) or a number is none.
        return not (isinstance(node, ast.Name) and isinstance(module.parent(node), ast.List))
    return not isinstance(node, ast.Call) or module.called_name(node) in _FIXED
