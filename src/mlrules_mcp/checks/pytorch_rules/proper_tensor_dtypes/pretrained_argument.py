from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import TORCH, Bad, Check, Good, safe
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._fallbacks import is_fallback
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._torchvision import WEIGHTS
from mlrules_mcp.findings import Finding, Fix, RemoveArgument, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_SINCE = "0.13"


class PretrainedArgument(Check[ast.Call]):
    """A torchvision model that is asked for as `pretrained`, without a word on which weights.

    ## What it does
    Finds `pretrained` and `pretrained_backbone` in calls of torchvision's models, by keyword or as `True` or `False`
    in the first place.

    ## Why it matters
    The arguments are deprecated since torchvision 0.13: each call warns that they may be removed. `True` stands for
    the oldest weights of the model; the argument `weights` names them, and the preprocessing that they need
    (`ResNet50_Weights.IMAGENET1K_V2.transforms()`).

    ## Do not flag
    Models of other libraries (timm takes `pretrained`), own wrappers, and projects that declare an older torchvision.

    ## Fix safety
    Safe for `True` and `False` where the model has one set of weights that `True` stood for: the same weights are
    loaded. There is none for detection models, whose backbone has weights of its own, and for other values.

    ## References
    - https://docs.pytorch.org/vision/stable/models.html
    """

    names = frozenset(WEIGHTS)
    packages = TORCH

    examples = (
        Bad(
            """
            import torchvision.models as models
            from torchvision.models import vgg16

            net = «models.resnet18(pretrained=True)»
            features = ‹vgg16(True)›.features
            """,
            safe_fix="""
            import torchvision.models as models
            from torchvision.models import vgg16

            net = models.resnet18(weights="IMAGENET1K_V1")
            features = vgg16(weights="IMAGENET1K_V1").features
            """,
        ),
        Bad(
            """
            import torchvision

            segmenter = «torchvision.models.segmentation.fcn_resnet50(pretrained=False, num_classes=5)»
            """,
            safe_fix="""
            import torchvision

            segmenter = torchvision.models.segmentation.fcn_resnet50(num_classes=5, weights=None)
            """,
        ),
        Bad(
            """
            from torchvision import models

            def build(pretrained):
                return «models.resnet50(pretrained=pretrained)»

            detector = «models.detection.ssdlite320_mobilenet_v3_large(pretrained_backbone=True)»
            """
        ),
        Good(
            """
            from torchvision import models
            from torchvision.models import ResNet50_Weights

            net = models.resnet50(weights=ResNet50_Weights.IMAGENET1K_V2)
            plain = models.vgg16(weights=None)
            small = models.resnet18()
            """
        ),
        Good(
            """
            import timm
            from torchvision import models
            from torchvision.models.vgg import make_layers
            from networks import resnet18

            net = timm.create_model("resnet50", pretrained=True)
            other = resnet18(pretrained=True)
            layers = make_layers(cfg, False)
            """,
            "other libraries and own functions",
        ),
        Good(
            """
            import torchvision
            from torchvision import models

            if torchvision.__version__ < "0.13":
                net = models.resnet18(pretrained=True)
            try:
                net = models.resnet18(weights="DEFAULT")
            except Exception:
                pass
            """,
            "it asks for the release",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func) or ""
        given = [k.arg for k in node.keywords if k.arg in {"pretrained", "pretrained_backbone"}]
        if not given and _first(node) is not None:
            given = ["pretrained"]
        if not given or not name.startswith("torchvision.models.") or is_fallback(module, node):
            return
        if not module.may_run_on("torchvision", _SINCE):
            return
        new = str(given[0]).replace("pretrained", "weights")
        message = (
            f"`{given[0]}` is deprecated since torchvision {module.named_release('torchvision', _SINCE)}, and says "
            f"not which weights are loaded. Write `{new}=…`, such as `weights=ResNet50_Weights.IMAGENET1K_V1`."
        )
        yield self.finding(module, node, message, fix=_fix(node, name.rpartition(".")[2]))


def _first(call: ast.Call) -> bool | None:
    """The constant `True` or `False` in the first place of a call."""
    match call.args:
        case [ast.Constant(value=bool() as value), *_]:
            return value
    return None


def _fix(call: ast.Call, model: str) -> Fix | None:
    value = argument(call, "pretrained", 0)
    if not isinstance(value, ast.Constant) or not WEIGHTS[model] or argument(call, "pretrained_backbone"):
        return None
    if len(call.args) > 1:
        return None
    weights = f'"{WEIGHTS[model]}"' if value.value else "None"
    span = Span.of(call)
    old = RemoveArgument(span, 0 if call.args else "pretrained")
    return safe("Name the weights", old, SetArgument(span, "weights", weights))
