"""Autocast on the simulated device: which operations run in the lower precision, by CUDA's lists.

Source: https://docs.pytorch.org/docs/stable/amp.html#cuda-op-specific-behavior
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_map

from mlrules_mcp.training.simulated.device import NAME

_LOWER = (
    "matmul linear mm mv bmm addmm addmv addr baddbmm addbmm chain_matmul linalg_multi_dot linalg_vecdot prelu "
    "conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d.input conv_transpose3d.input convolution "
    "_convolution scaled_dot_product_attention gru_cell lstm_cell rnn_tanh_cell rnn_relu_cell"
)
_FLOAT32 = (
    "acos asin cosh erfinv exp expm1 log log10 log1p log2 reciprocal rsqrt sinh tan pow.Tensor_Scalar "
    "pow.Tensor_Tensor pow.Scalar softplus layer_norm group_norm cosine_similarity poisson_nll_loss "
    "cosine_embedding_loss nll_loss nll_loss2d hinge_embedding_loss kl_div l1_loss smooth_l1_loss huber_loss mse_loss "
    "margin_ranking_loss multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss "
    "binary_cross_entropy_with_logits cross_entropy_loss dist pdist cdist renorm logsumexp "
    "softmax.int log_softmax.int cumprod cumsum prod prod.dim_int sum sum.dim_IntList norm.Scalar norm.ScalarOpt_dim "
    "linalg_vector_norm linalg_matrix_norm"
)
_WIDEST = "addcdiv addcmul atan2 bilinear cross dot grid_sampler index_put tensordot scatter_add"


@cache
def register_autocast() -> tuple[torch.library.Library, torch.library.Library]:
    """Teach PyTorch's dispatcher what autocast does on the simulated device, for as long as the result is kept."""
    others = torch.library.Library("_", "IMPL", "AutocastPrivateUse1")  # type: ignore[no-untyped-call]
    others.fallback(torch.library.fallthrough_kernel)  # type: ignore[no-untyped-call]
    library = torch.library.Library("aten", "IMPL", "AutocastPrivateUse1")  # type: ignore[no-untyped-call]
    for names, cast in ((_LOWER, _to_lower), (_FLOAT32, _to_float32), (_WIDEST, _to_widest)):
        for name in names.split():
            packet, _, overload = name.partition(".")
            func = getattr(getattr(torch.ops.aten, packet), overload or "default")
            library.impl(name, _casting(func, cast))  # type: ignore[no-untyped-call]
    library.impl("binary_cross_entropy", _refused)  # type: ignore[no-untyped-call]
    return library, others


def _casting(func: Any, cast: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
            args, kwargs = cast(args, kwargs)
            return func(*args, **kwargs)

    return run


_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)  # type: ignore[attr-defined]


def _is_floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype is not torch.float64


def _on_device(value: torch.Tensor) -> bool:
    return hasattr(value, "held")


def _to(dtype: torch.dtype) -> Callable[[Any], Any]:
    return lambda value: value.to(dtype) if _is_floating(value) and _on_device(value) else value


def _to_lower(args: Any, kwargs: Any) -> Any:
    return tree_map(_to(torch.get_autocast_dtype(NAME)), (args, kwargs))


def _to_float32(args: Any, kwargs: Any) -> Any:
    return tree_map(_to(torch.float32), (args, kwargs))


def _to_widest(args: Any, kwargs: Any) -> Any:
    dtypes = {value.dtype for value in torch.utils._pytree.tree_leaves((args, kwargs)) if _is_floating(value)}
    return _to_float32(args, kwargs) if torch.float32 in dtypes else (args, kwargs)


def _refused(*_: Any, **__: Any) -> Any:
    raise RuntimeError(
        "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
        "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
        "In this case, combine the two layers using torch.nn.functional.binary_cross_entropy_with_logits\n"
        "or torch.nn.BCEWithLogitsLoss."
    )
