"""Facts about image transforms: which of torchvision 0.28, albumentations 2.0, MONAI 1.6 and kornia 0.8 are random, and
what data they are for. Names that older releases had are kept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS

# `RandomResize` and `RandomShortestSize` are left out: with one size, as in most evaluations, they are not random.
RANDOM_TRANSFORMS = frozenset(
    "RandomCrop RandomSizedCrop RandomResizedCrop RandomHorizontalFlip RandomVerticalFlip RandomRotation RandomAffine "
    "RandomPerspective RandomErasing RandomGrayscale RandomApply RandomChoice RandomOrder RandomAdjustSharpness "
    "RandomAutocontrast RandomEqualize RandomInvert RandomPosterize RandomSolarize RandomZoomOut RandomIoUCrop "
    "RandomPhotometricDistort RandomChannelPermutation RandomResizedCropAndInterpolation RandomFlip RandomScale "
    "RandomRotate90 RandomBrightnessContrast RandomBrightness RandomContrast RandomGamma RandomGaussianBlur "
    "RandomScaleCrop RandomRotate ColorJitter ScaleJitter AutoAugment RandAugment TrivialAugmentWide AugMix "
    "ElasticTransform".split()
)
_ALBUMENTATIONS = frozenset(
    "HorizontalFlip VerticalFlip Flip Transpose Rotate SafeRotate ShiftScaleRotate Affine D4 HueSaturationValue "
    "RGBShift GaussNoise ISONoise CoarseDropout Cutout GridDropout OneOf SomeOf OpticalDistortion GridDistortion "
    "MotionBlur GaussianBlur ImageCompression ChannelShuffle RandomSizedCrop RandomShadow RandomFog RandomRain "
    "Perspective PiecewiseAffine".split()
)
# These do the same each time when they are always applied.
_CERTAIN_WHEN_ALWAYS = frozenset(
    "HorizontalFlip VerticalFlip Transpose RandomHorizontalFlip RandomVerticalFlip".split()
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_EVALUATION = frozenset("val valid validation test testing eval evaluation dev".split())
_OTHERWISE = frozenset("train training trn trainval tta ttas both all devices device".split())
_JOINED = re.compile(r"(?i)^(test|val|valid|validation|eval)_?(set|data|dataset|transforms?|tfms?|loader)$")


def is_for_evaluation(name: str) -> bool:
    """Whether something is called after validation or test data: `val_transform`, `testset`."""
    if _JOINED.match(name):
        return True
    words = {word.lower() for word in _WORDS.findall(name)}
    return bool(words & _EVALUATION) and not words & _OTHERWISE


def random_steps(module: Module, transform: ast.AST, *, into_functions: bool = False) -> Iterator[ast.Call]:
    """The random transforms that stand in an expression, those under a condition left out."""
    for node in module.walk(transform, into_functions=into_functions):
        if isinstance(node, ast.Call) and _is_random(module, node) and not _is_conditional(module, node, transform):
            yield node


def all_random_steps(module: Module) -> list[ast.Call]:
    """The random transforms of a whole module, those under a condition left out."""
    return module.fact(_find_random_steps)


def _find_random_steps(module: Module) -> list[ast.Call]:
    calls = [call for call in module.nodes(ast.Call) if _is_random(module, call)]
    return [call for call in calls if not _is_conditional(module, call, module.tree)]


def _is_random(module: Module, call: ast.Call) -> bool:
    name = module.called_name(call) or ""
    if name not in RANDOM_TRANSFORMS:
        if name not in _ALBUMENTATIONS and not name.startswith("Rand"):
            return False
        package = (module.qualified_name(call.func) or "").partition(".")[0]
        of_albumentations = package == "albumentations" and name in _ALBUMENTATIONS
        if not of_albumentations and not (package in ("monai", "kornia") and name.startswith("Rand")):
            return False
    probability = argument(call, "p") or argument(call, "prob")
    if isinstance(probability, ast.Constant):
        return probability.value != 0 and (probability.value != 1 or name not in _CERTAIN_WHEN_ALWAYS)
    return True


def _is_conditional(module: Module, node: ast.AST, outer: ast.AST) -> bool:
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.IfExp | ast.BoolOp):
            return True
        if ancestor is outer:
            break
    return False


def data_role(module: Module, call: ast.Call) -> str | None:
    """Whether a data set that a call makes is for `train` or `evaluation`, by what the call says or what it is called.

    None where nothing shows, or where that depends on a value.
    """
    for said in (_by_arguments, _by_name, _by_function, _by_path):
        role = said(module, call)
        if role is not None:
            return role or None
    return None


def _by_arguments(module: Module, call: ast.Call) -> str | None:
    """The role by `train=` or `split=`; empty where they hold something that does not show."""
    train = argument(call, "train") or argument(call, "is_train") or argument(call, "training")
    if train is None and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
        train = call.args[1] if isinstance(call.args[1].value, bool) else None
    if train is not None:
        if not isinstance(train, ast.Constant):
            return ""
        return "train" if train.value else "evaluation"
    part = argument(call, "split") or argument(call, "image_set") or argument(call, "mode") or argument(call, "phase")
    if part is not None:
        if not (isinstance(part, ast.Constant) and isinstance(part.value, str)):
            return ""
        return "train" if "train" in part.value else "evaluation" if is_for_evaluation(part.value) else ""
    return None


def _by_name(module: Module, call: ast.Call) -> str | None:
    parent = module.parent(call)
    match parent:
        case ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)]):
            pass
        case ast.Dict(keys=keys, values=values):
            name = next(
                (
                    key.value
                    for key, value in zip(keys, values, strict=True)
                    if value is call and isinstance(key, ast.Constant) and isinstance(key.value, str)
                ),
                "",
            )
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))]):
            pass
        case _:
            return None
    if re.match(r"(?i)tr(ai)?n", name):
        return "train"
    return "evaluation" if is_for_evaluation(name) else None


def _by_function(module: Module, call: ast.Call) -> str | None:
    for ancestor in module.ancestors(call):
        if isinstance(ancestor, FUNCTIONS):
            name = ancestor.name
            if name in ("val_dataloader", "test_dataloader", "predict_dataloader"):
                return "evaluation"
            return "train" if name == "train_dataloader" else None
    return None


def _by_path(module: Module, call: ast.Call) -> str | None:
    if not call.args:
        return None
    texts = [
        node.value for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    parts = {part.lower() for text in texts for part in re.split(r"[/\\]", text)}
    if parts & {"train", "training"}:
        return "train"
    return "evaluation" if parts & _EVALUATION else None
