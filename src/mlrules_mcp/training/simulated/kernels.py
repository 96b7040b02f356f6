"""Operations that PyTorch asks of an accelerator and that its CPU part lacks, in terms of those it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

aten = torch.ops.aten
Optional: TypeAlias = Tensor | None


def _lstm_cell(
    input_gates: Tensor, hidden_gates: Tensor, cx: Tensor, bias_ih: Optional = None, bias_hh: Optional = None
) -> tuple[Tensor, Tensor, Tensor]:
    """New hidden state, cell state and the gates that the backward pass needs, each (batch, 4 * hidden) of gates."""
    gates = input_gates + hidden_gates
    if bias_ih is not None and bias_hh is not None:
        gates = gates + bias_ih + bias_hh
    into, forget, cell, output = gates.chunk(4, 1)
    into, forget, cell, output = into.sigmoid(), forget.sigmoid(), cell.tanh(), output.sigmoid()
    cy = forget * cx + into * cell
    return output * cy.tanh(), cy, torch.cat([into, forget, cell, output], 1)


def _lstm_cell_backward(
    grad_hy: Optional, grad_cy: Optional, cx: Tensor, cy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Optional, Optional, Optional]:
    """Gradients of the gates, of the cell state and of each bias."""
    if grad_hy is None and grad_cy is None:
        return None, None, None
    into, forget, cell, output = workspace.chunk(4, 1)
    squashed = cy.tanh()
    grad_hy = torch.zeros_like(cy) if grad_hy is None else grad_hy
    grad_cell = grad_hy * output * (1 - squashed * squashed)
    if grad_cy is not None:
        grad_cell = grad_cell + grad_cy
    grad_gates = torch.cat(
        [
            grad_cell * cell * into * (1 - into),
            grad_cell * cx * forget * (1 - forget),
            grad_cell * into * (1 - cell * cell),
            grad_hy * squashed * output * (1 - output),
        ],
        1,
    )
    return grad_gates, grad_cell * forget, grad_gates.sum(0) if has_bias else None


def _gru_cell(
    input_gates: Tensor, hidden_gates: Tensor, hx: Tensor, bias_ih: Optional = None, bias_hh: Optional = None
) -> tuple[Tensor, Tensor]:
    """New hidden state, and what the backward pass needs."""
    if bias_ih is not None and bias_hh is not None:
        input_gates, hidden_gates = input_gates + bias_ih, hidden_gates + bias_hh
    (ir, iz, new_input), (hr, hz, new_hidden) = input_gates.chunk(3, 1), hidden_gates.chunk(3, 1)
    reset, update = (ir + hr).sigmoid(), (iz + hz).sigmoid()
    new = (new_input + reset * new_hidden).tanh()
    return (hx - new) * update + new, torch.cat([reset, update, new, hx, new_hidden], 1)


def _gru_cell_backward(
    grad_hy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Tensor, Tensor, Tensor, Optional, Optional]:
    """Gradients of the gates from the input, of those from the state, of the state and of each bias."""
    reset, update, new, hx, new_hidden = workspace.chunk(5, 1)
    grad_update = grad_hy * (hx - new) * update * (1 - update)
    grad_new = grad_hy * (1 - update) * (1 - new * new)
    grad_reset = grad_new * new_hidden * reset * (1 - reset)
    of_input = torch.cat([grad_reset, grad_update, grad_new], 1)
    of_hidden = torch.cat([grad_reset, grad_update, grad_new * reset], 1)
    biases = (of_input.sum(0), of_hidden.sum(0)) if has_bias else (None, None)
    return of_input, of_hidden, grad_hy * update, *biases


def _math_attention(*_: Any, **__: Any) -> int:
    """The choice of the plain formula for attention, which consists of operations that are simulated."""
    return 0


KERNELS: dict[Any, Callable[..., Any]] = {
    aten._thnn_fused_lstm_cell.default: _lstm_cell,
    aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_cell_backward,
    aten._thnn_fused_gru_cell.default: _gru_cell,
    aten._thnn_fused_gru_cell_backward.default: _gru_cell_backward,
    aten._fused_sdp_choice.default: _math_attention,
}
