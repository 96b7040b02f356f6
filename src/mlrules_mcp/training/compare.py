"""How far two sets of tensors are apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def largest_difference(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> tuple[float, str]:
    """The largest difference between tensors of the same name, and that name.

    A tensor's difference is its largest absolute one over its largest magnitude, so 0.01 is 1 %. Values that
    are both NaN, or the same infinity, do not differ. What only one side has, or in another shape, and what is
    finite on one side only, differs by infinity.
    """
    worst = 0.0, ""
    for name in sorted(first.keys() | second.keys()):
        if name in first and name in second and first[name].shape == second[name].shape:
            difference = _difference(first[name], second[name])
        else:
            difference = math.inf
        if difference > worst[0]:
            worst = difference, name
    return worst


def _difference(first: Tensor, second: Tensor) -> float:
    if first.numel() == 0:
        return 0.0
    # In double precision the difference of two floats that are not equal is never rounded to zero.
    first, second = (value.detach().cpu() for value in (first, second))
    if not first.is_complex():
        first, second = first.double(), second.double()
    same = (first == second) | (first.isnan() & second.isnan())
    absolute = (first - second).abs().masked_fill(same, 0.0).nan_to_num(nan=math.inf, posinf=math.inf)
    largest, scale = absolute.max().item(), first.abs().nan_to_num(nan=0.0, posinf=0.0).max().item()
    return largest / scale if scale else (math.inf if largest else 0.0)
