from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import CodeCollector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import TORCH
from mlrules_mcp.evidence.programs import NETWORK as NETWORK_PROGRAM
from mlrules_mcp.evidence.programs import PLAIN

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_CASTS = ".float .long .bfloat16 .half .bool"


class ProperTensorDtypes(CodeCollector):
    """Tensors have the dtype that training wants: float32 or less for values, int64 for class numbers, bool for masks.

    ## Met
    Dtypes that the code asks for (`dtype=torch.…`, `.float()`, `.long()`), or else a network that trains in PyTorch's
    default; and no check finds anything.

    ## Broken
    An error or warning of a static check.

    ## Not applicable
    There is no network of PyTorch here.

    ## Never counts
    Dtypes of NumPy and pandas.

    ## References
    - https://docs.pytorch.org/docs/stable/tensor_attributes.html
    """

    asks = Asked.of(calls=f"{_CASTS} torch.set_default_dtype", keywords="dtype")
    needs = ("pytorch",)
    nothing_there = "No network of PyTorch is trained here, and no dtype of a tensor is asked for."
    examples = (
        Example({"train.py": NETWORK_PROGRAM + "model(x.float())\n"}, "met", ["train.py:10", "train.py:8"]),
        Example(
            {"train.py": NETWORK_PROGRAM, "data.py": "import torch\n\nx = torch.FloatTensor([1, 2])\n"},
            "broken",
            ["data.py:3", "train.py:8"],
        ),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Dtypes that are asked for, then training in the default."""
        asked = (fact for fact in project.keywords("dtype") if "torch." in (fact.keyword("dtype") or ""))
        yield from (of(fact) for fact in asked)
        yield from (of(fact) for fact in project.calls(*_CASTS.split()) if not fact.arguments)
        yield from (of(fact) for fact in project.calls("torch.set_default_dtype"))
        for fact in project.landmarks(TORCH)[:1]:
            yield of(fact, f"in PyTorch's default dtype, which nothing widens: `{fact.text}`")
