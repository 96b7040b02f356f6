from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

# Packages whose samples can be varied without changing what they are.
_VARIABLE = frozenset(
    "torchvision PIL cv2 albumentations imgaug kornia torchaudio librosa audiomentations monai skimage torchio "
    "segmentation_models_pytorch timm mmcv detectron2".split()
)
_RANDOM = pattern(
    r"^(torchvision\.transforms\.(v2\.|transforms\.)?(Random\w+|ColorJitter|AutoAugment|RandAugment|TrivialAugmentWide|AugMix|"
    r"MixUp|CutMix|GaussianNoise|ElasticTransform|ScaleJitter)$|albumentations\.(?!pytorch|Compose|Resize|Normalize|"
    r"CenterCrop|PadIfNeeded|LongestMaxSize|SmallestMaxSize|Lambda|BasicTransform|DualTransform|to_)|imgaug\.augmenters\."
    r"|kornia\.augmentation\.|monai\.transforms\.Rand|torchaudio\.transforms\.(TimeMasking|FrequencyMasking|TimeStretch)|"
    r"audiomentations\.|torch_audiomentations\.|torch_geometric\.transforms\.Random(?!NodeSplit|LinkSplit)\w+|"
    r"(tensorflow\.)?keras\.layers\.Random\w+|(tensorflow\.)?keras\.preprocessing\.image\.ImageDataGenerator|"
    r"timm\.data\.(create_transform|Mixup)|torchio\.Random|tensorflow\.image\.random_|nlpaug\.|textattack\.augmentation\.)"
)
_FUNCTIONS = "augment mixup cutmix cutout random_crop random_flip random_erasing jitter specaugment spec_augment"


class DataAugmentation(Collector):
    """Training samples are varied in ways that do not change what they are.

    ## Met
    Random transforms of images, sound or graphs, functions of its own that augment; and no check finds them on
    evaluation data.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    Nothing is trained here, or what is trained on has no such variation: tables, text.

    ## Never counts
    Resizing and normalising.

    ## References
    - https://docs.pytorch.org/vision/stable/transforms.html
    """

    asks = Asked.of(definitions=_FUNCTIONS)
    needs = ("data",)
    would_count = "random transforms of torchvision, albumentations and the like in the training part"
    shown_by_examples = True
    examples = (
        Example(
            {
                "train.py": NETWORK,
                "data.py": """\
                from torchvision import transforms as T

                train_transform = T.Compose([T.RandomHorizontalFlip(), T.ToTensor()])
                """,
            },
            "met",
            ["data.py:3"],
        ),
        Example(
            {"train.py": NETWORK, "data.py": "from torchvision import transforms as T\n\nresize = T.Resize(32)\n"},
            "no_evidence",
            why="resizing is no variation",
        ),
        Example({"train.py": TABLE}, "not_applicable"),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Random transforms, and the first use of a package of images or sound."""
        variable = False
        for call in module.nodes(ast.Call):
            name = module.qualified_name(call.func) or ""
            if _RANDOM.match(name) and ("ImageDataGenerator" not in name or any(map(_varies, call.keywords))):
                yield fact_at(module, role, call, self.rule)
            elif not variable and name.partition(".")[0] in _VARIABLE:
                variable = True
                yield fact_at(module, role, call, f"{self.rule}:variable")

    def not_applicable(self, project: Facts) -> str | None:
        """Tables and text have no variation that keeps what they are."""
        if reason := super().not_applicable(project):
            return reason
        if project.notes(self.rule) or project.definitions(*_FUNCTIONS.split()):
            return None
        return f"Nothing is trained on images or sound here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Random transforms, then functions of the project."""
        yield from (of(fact) for fact in project.notes(self.rule) if fact.name == self.rule)
        for fact in project.definitions(*_FUNCTIONS.split()):
            if not any(word in fact.called.lower() for word in ("inverse", "un_", "arg")):
                yield of(fact)

    def next_step(self, project: Facts) -> NextStep:
        """Transforms for training beside those for evaluation."""
        found = project.notes(self.rule)
        content = (
            "from torchvision.transforms import v2\n\n"
            "# For training only. Leave out what changes the label: a flip turns a digit into something else.\n"
            "train_transform = v2.Compose([v2.RandomAffine(10, translate=(0.1, 0.1)), v2.ColorJitter(0.2)])\n"
        )
        if not found:
            return NextStep("Vary the training samples", "small", "transforms.py", content)
        return NextStep("Vary the training samples", "small", found[0].path, content, found[0].line, found[0].cell)


def _varies(keyword: ast.keyword) -> bool:
    """Whether an argument of Keras' generator makes it vary the images; others only rescale or split them."""
    return keyword.arg is not None and keyword.arg.endswith(("_range", "_flip"))
