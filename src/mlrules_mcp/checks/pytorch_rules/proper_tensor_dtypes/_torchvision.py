"""The models of torchvision that take `pretrained`, and which weights that stood for; as of torchvision 0.28."""

from __future__ import annotations

_CLASSIFICATION = (
    "alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121 densenet161 densenet169 densenet201 "
    "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 "
    "efficientnet_b7 googlenet inception_v3 mnasnet0_5 mnasnet1_0 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small "
    "regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf "
    "regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf "
    "resnet101 resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext50_32x4d shufflenet_v2_x0_5 "
    "shufflenet_v2_x1_0 squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn "
    "vit_b_16 vit_b_32 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2"
)
_DETECTION = (
    "fasterrcnn_mobilenet_v3_large_320_fpn fasterrcnn_mobilenet_v3_large_fpn fasterrcnn_resnet50_fpn "
    "fcos_resnet50_fpn keypointrcnn_resnet50_fpn maskrcnn_resnet50_fpn retinanet_resnet50_fpn ssd300_vgg16 "
    "ssdlite320_mobilenet_v3_large"
)
_SEGMENTATION = (
    "deeplabv3_mobilenet_v3_large deeplabv3_resnet101 deeplabv3_resnet50 fcn_resnet101 fcn_resnet50 "
    "lraspp_mobilenet_v3_large"
)
_VIDEO = "mc3_18 r2plus1d_18 r3d_18"

# The name of the weights that `pretrained=True` loads; "" where it depends on more than the model.
WEIGHTS: dict[str, str] = {
    **dict.fromkeys(_CLASSIFICATION.split(), "IMAGENET1K_V1"),
    **dict.fromkeys(_SEGMENTATION.split(), "COCO_WITH_VOC_LABELS_V1"),
    **dict.fromkeys(_VIDEO.split(), "KINETICS400_V1"),
    **dict.fromkeys(_DETECTION.split(), ""),
}
