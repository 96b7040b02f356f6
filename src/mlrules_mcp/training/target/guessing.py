"""Works out inputs that a module accepts from its layers, by trying them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mlrules_mcp.training.target import batches, wrapper

BATCH = 8
MOST_TRIALS = 48
LENGTHS = (64, 128, 256, 1024, 16)
IMAGES = (32, 64, 28, 224, 96, 128, 256)
VOLUMES = (16, 32)
SEQUENCE = 16


def input_specs(module: nn.Module) -> Iterator[dict[str, Any]]:
    """Specifications of one input tensor that the module's layers suggest, the likeliest first."""
    seen: set[str] = set()
    for layer in module.modules():
        for spec in _of_layer(layer):
            if str(spec) not in seen:
                seen.add(str(spec))
                yield spec
                if len(seen) == MOST_TRIALS:
                    return


def _of_layer(layer: nn.Module) -> Iterator[dict[str, Any]]:
    match layer:
        case nn.Conv1d():
            yield from (_floats(BATCH, layer.in_channels, length) for length in LENGTHS)
        case nn.Conv2d():
            yield from (_floats(BATCH if s < 100 else 2, layer.in_channels, s, s) for s in IMAGES)
        case nn.Conv3d():
            yield from (_floats(2, layer.in_channels, size, size, size) for size in VOLUMES)
        case nn.Embedding():
            yield _integers(layer.num_embeddings, BATCH, SEQUENCE)
            yield _integers(layer.num_embeddings, BATCH)
        case nn.EmbeddingBag():
            yield _integers(layer.num_embeddings, BATCH, SEQUENCE)
        case nn.RNNBase():
            first = (BATCH, SEQUENCE) if layer.batch_first else (SEQUENCE, BATCH)
            yield _floats(*first, layer.input_size)
        case nn.MultiheadAttention():
            yield _floats(BATCH, SEQUENCE, layer.embed_dim)
        case nn.Linear():
            yield _floats(BATCH, layer.in_features)
            for channels in (1, 3):
                side = math.isqrt(layer.in_features // channels)
                if side > 3 and channels * side * side == layer.in_features:
                    yield _floats(BATCH, channels, side, side)
            yield _floats(BATCH, SEQUENCE, layer.in_features)


def _floats(*shape: int) -> dict[str, Any]:
    return {"shape": list(shape)}


def _integers(high: int, *shape: int) -> dict[str, Any]:
    return {"shape": list(shape), "dtype": "int64", "high": high}


def accepted_input(module: nn.Module) -> tuple[dict[str, Any], Any] | None:
    """The first suggested input that `forward` takes, and what it returns for it; None if it takes none of them."""
    if not takes_one_input(module.forward):
        return None
    was_training = module.training
    module.eval()
    try:
        for spec in input_specs(module):
            outputs = outputs_for(module, batches.make(spec, torch.Generator().manual_seed(0)))
            if outputs is not None:
                return spec, outputs
    finally:
        module.train(was_training)
    return None


def outputs_for(module: nn.Module, value: Any) -> Any:
    """What `forward` returns; None if it raises or returns no tensor."""
    try:
        with torch.no_grad():
            outputs = module(value)
    except Exception:  # whatever a user's module raises for an input that it is not made for
        return None
    return outputs if next(iter(wrapper.all_tensors(outputs)), None) is not None else None


def takes_one_input(forward: Callable[..., Any]) -> bool:
    """Whether one positional argument is enough for `forward`."""
    kinds = inspect.Parameter
    parameters = inspect.signature(forward).parameters.values()
    if any(each.kind is kinds.VAR_POSITIONAL for each in parameters):
        return True
    required = [each for each in parameters if each.default is each.empty and each.kind is not kinds.VAR_KEYWORD]
    return len(required) == 1 and required[0].kind is not kinds.KEYWORD_ONLY


def target_specs(output: Tensor) -> Iterator[dict[str, Any]]:
    """Specifications of targets that losses of this output may take, the likeliest first."""
    size = len(output) if output.dim() else BATCH
    if output.dim() == 3:  # of a sequence, where classes come last
        yield _integers(output.shape[2], *output.shape[:2])
    if output.dim() >= 2 and output.shape[1] > 1:
        yield _integers(output.shape[1], size, *output.shape[2:])
    if output.dim():
        yield {"shape": list(output.shape), "low": 0.0, "high": 1.0}
    yield {"shape": [size], "low": 0.0, "high": 1.0}
    yield _integers(2, size)


def target_for(loss: str, output: Tensor) -> dict[str, Any]:
    """The specification of targets for a loss of `request.LOSSES` and an output."""
    if loss in {"cross_entropy", "nll"}:
        return next(spec for spec in target_specs(output) if spec.get("dtype") == "int64")
    return {"shape": list(output.shape), "low": 0.0, "high": 1.0}
