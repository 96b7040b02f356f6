from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe, suggested
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._dtypes import converts_to, names_dtype
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._torch_name import torch_name
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._uses import reads
from mlrules_mcp.findings import Edit, Finding, Replace, SetArgument, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_BYTE = frozenset({"torch.uint8", "torch.ByteTensor"})
_FACTORIES = frozenset(f"torch.{name}" for name in "empty full full_like ones ones_like zeros zeros_like".split())
_MASKED = frozenset("masked_fill masked_fill_ masked_scatter masked_scatter_ masked_select".split())
_MASK_ARGUMENTS = frozenset(
    "attn_mask key_padding_mask mask memory_key_padding_mask memory_mask src_key_padding_mask src_mask "
    "tgt_key_padding_mask tgt_mask".split()
)
# What gives the same for a bool mask, and what gives a mask again.
_SAME = frozenset("all any device nonzero numel shape size sum".split())
_MASKS = frozenset(
    "clone contiguous cuda expand expand_as flatten reshape squeeze t to transpose unsqueeze view".split()
)


class ByteMaskIndexing(Check[ast.Call]):
    """A mask of uint8 that selects elements.

    ## What it does
    Finds masks made with `.byte()`, `torch.uint8` or `torch.ByteTensor` that index a tensor, or are the mask of
    `masked_fill`, `masked_select`, `torch.where` and attention.

    ## Why it matters
    Reading `x[mask]` warns that uint8 masks are deprecated; assigning to `x[mask]`, `masked_fill`, `masked_select` and
    the masks of attention raise an error since PyTorch 2.1. And `~mask` of uint8 turns 1 into 254, which still selects.

    ## Do not flag
    uint8 images and buffers, NumPy arrays, masks that are computed with (`1 - mask`) get a suggestion only.

    ## Fix safety
    Safe where the mask only selects. Suggested where it is also computed with: subtraction is not defined for bool.

    ## References
    - https://docs.pytorch.org/docs/stable/tensor_attributes.html#torch.dtype
    - https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill_.html
    """

    names = frozenset("byte to type ByteTensor tensor empty full full_like ones ones_like zeros zeros_like".split())
    examples = (
        Bad(
            """
            import torch

            positive = x[«(x > 0).byte()»]
            scores = scores.masked_fill(‹(lengths == 0).byte()›, -1e9)
            kept = torch.masked_select(x, ‹valid.to(torch.uint8)›)
            """,
            safe_fix="""
            import torch

            positive = x[(x > 0).bool()]
            scores = scores.masked_fill((lengths == 0).bool(), -1e9)
            kept = torch.masked_select(x, valid.to(torch.bool))
            """,
        ),
        Bad(
            """
            import torch

            def train_part(data, indices):
                mask = «torch.zeros(data.size(0), dtype=torch.uint8, device=data.device)»
                mask[indices] = 1
                return data[mask], data[~mask], mask.sum()
            """,
            safe_fix="""
            import torch

            def train_part(data, indices):
                mask = torch.zeros(data.size(0), dtype=torch.bool, device=data.device)
                mask[indices] = 1
                return data[mask], data[~mask], mask.sum()
            """,
        ),
        Bad(
            """
            import torch

            mask = «torch.ones(5, dtype=torch.uint8)»
            rest = 1 - mask
            chosen = x[mask.unsqueeze(0)]
            """,
            suggested_fix="""
            import torch

            mask = torch.ones(5, dtype=torch.bool)
            rest = 1 - mask
            chosen = x[mask.unsqueeze(0)]
            """,
        ),
        Bad(
            """
            import torch

            class Encoder(torch.nn.Module):
                def forward(self, x, lengths):
                    padding = «torch.ByteTensor([[0, 0, 1], [0, 1, 1]])»
                    output, _ = self.attention(x, x, x, key_padding_mask=padding)
                    return output
            """,
            safe_fix="""
            import torch

            class Encoder(torch.nn.Module):
                def forward(self, x, lengths):
                    padding = torch.BoolTensor([[0, 0, 1], [0, 1, 1]])
                    output, _ = self.attention(x, x, x, key_padding_mask=padding)
                    return output
            """,
        ),
        Good(
            """
            import numpy as np
            import torch

            mask = torch.zeros(5, dtype=torch.bool)
            chosen = x[mask]
            chosen = x[(x > 0).bool()]
            image = (image * 255).byte()
            first = image[0]
            picture = torch.zeros((3, 32, 32), dtype=torch.uint8)
            picture[0] = 255
            color = palette[np.zeros(4, dtype=np.uint8)]
            shade = palette[torch.tensor([3, 200], dtype=torch.uint8)]
            """,
            "bool masks, images, NumPy, and numbers that are no mask",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        edits = _as_bool(module, node)
        if not edits:
            return
        uses = set(_uses(module, node))
        if "mask" in uses:
            make = safe if uses <= {"mask", "same"} else suggested
            yield self.finding(
                module,
                node,
                "A uint8 mask is deprecated as an index, and since PyTorch 2.1 an error in assignments, `masked_fill`, "
                "`masked_select` and attention. Make the mask `torch.bool`.",
                fix=make("Make the mask bool", *edits),
            )


def _as_bool(module: Module, call: ast.Call) -> tuple[Edit, ...]:
    """The edits that make a uint8 tensor a bool one; none where a call makes no uint8 mask."""
    if isinstance(call.func, ast.Attribute) and converts_to(module, call, "byte", _BYTE):
        return _converted_to_bool(module, call)
    dtype = argument(call, "dtype")
    if dtype is None and module.called_name(call) != "ByteTensor":
        return ()
    qualified = module.qualified_name(call.func)
    holds_mask = bool(call.args) and _is_zeros_and_ones(call.args[0])
    torch, imports = torch_name(module, call.func)
    if qualified == "torch.ByteTensor" and len(call.args) == 1 and holds_mask:
        return (Replace(Span.of(call.func), f"{torch}.BoolTensor"), *imports)
    if (qualified in _FACTORIES or (qualified == "torch.tensor" and holds_mask)) and names_dtype(module, dtype, _BYTE):
        return (SetArgument(Span.of(call), "dtype", f"{torch}.bool"), *imports)
    return ()


def _converted_to_bool(module: Module, call: ast.Call) -> tuple[Edit, ...]:
    if module.called_name(call) == "byte":
        return (Replace(Span.of(call.func), module.text(call.func).removesuffix("byte") + "bool"),)
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    dtypes = [value for value in given if names_dtype(module, value, _BYTE)]
    return tuple(Replace(Span.of(dtype), f"{torch_name(module, dtype)[0]}.bool") for dtype in dtypes)


def _is_zeros_and_ones(data: ast.expr) -> bool:
    match data:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return all(map(_is_zeros_and_ones, items))
        case ast.Constant(value=0 | 1):
            return True
    return False


def _uses(module: Module, value: ast.expr, *, hops: int = 1) -> Iterator[str]:
    """What a tensor is used for: `mask`, `same` (gives the same for bool), `other`."""
    whole: ast.expr = value
    while True:
        match parent := module.parent(whole):
            case ast.Attribute(attr=name) if name in _SAME:
                yield "same"
                return
            case ast.Attribute(attr=name) if name not in _MASKS:
                yield "other"
                return
            case ast.Attribute():
                whole = parent
            case ast.Call(func=func) if func is whole:
                whole = parent
            case ast.UnaryOp(op=ast.Invert()) | ast.BinOp(op=ast.BitAnd() | ast.BitOr() | ast.BitXor()) | ast.Tuple():
                whole = parent
            case ast.Subscript(slice=index):
                yield "mask" if index is whole else "same"
                return
            case ast.Assign(targets=[ast.Name() as target]) if hops:
                for read in reads(module, target):
                    yield from _uses(module, read, hops=hops - 1)
                return
            case ast.Call() | ast.keyword():
                yield "mask" if _takes_mask(module, parent, whole) else "other"
                return
            case _:
                yield "other"
                return


def _takes_mask(module: Module, parent: ast.Call | ast.keyword, value: ast.expr) -> bool:
    if isinstance(parent, ast.keyword):
        return parent.arg in _MASK_ARGUMENTS
    name = module.called_name(parent)
    if name in _MASKED:
        return value in parent.args[:2]
    return name == "where" and module.qualified_name(parent.func) == "torch.where" and value is parent.args[0]
