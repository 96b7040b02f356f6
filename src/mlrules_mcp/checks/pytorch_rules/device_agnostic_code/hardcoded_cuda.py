from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._devices import is_cuda_only, is_guarded
from mlrules_mcp.checks.check import Check, suggested
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._cuda_strings import (
    CudaString,
    choice_fix,
    cuda_strings,
    text_fix,
)
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._hardcoded_cuda_bad import BAD
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._hardcoded_cuda_good import GOOD
from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._moves import (
    cuda_calls,
    in_lightning,
    needless_move_fix,
    to_device_fix,
)
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

_IF_AVAILABLE = '"cuda" if torch.cuda.is_available() else "cpu"'
_CALL = (
    "`.cuda()` raises an error on a machine without CUDA and passes other accelerators by. "
    f"Choose the device once, `device = {_IF_AVAILABLE}`, and write `.to(device)`."
)
_CALL_IN_LIGHTNING = (
    "`.cuda()` passes over the device that the Trainer chose and raises an error on a machine without CUDA. "
    "Write `.to(self.device)`."
)
_NEEDLESS = (
    "Lightning moves the batch and the module to the Trainer's device; moving them to CUDA as well raises an error "
    "on a machine without it. Leave the move out."
)
_TEXT = (
    "A fixed CUDA device raises an error on a machine without CUDA and passes other accelerators by. "
    f"Choose the device once, `device = {_IF_AVAILABLE}`, and pass that."
)
_DEFAULT = f"This default raises an error on a machine without CUDA. Let the default be `{_IF_AVAILABLE}`."
_IN_GROUP = (
    "Of all backends only NCCL takes CUDA tensors; with Gloo, on machines without CUDA, this raises an error. "
    "Put the tensor on the device of the model."
)
_PROCESS_GROUP = pattern(r"\bdist\b|is_dist|distributed|world_size|\b(local_)?rank\b|get_rank", re.IGNORECASE)
_TRAINER = (
    'This Trainer raises an error on a machine without a GPU. Write `accelerator="auto"`, which takes the best '
    "device there is."
)


class HardcodedCuda(Check[ast.Module]):
    """A device that is CUDA whatever the machine has.

    ## What it does
    Finds `.cuda()`, `.to("cuda")`, `device="cuda"`, `map_location="cuda"`, `torch.device("cuda:0")` and
    `device = "cuda"` where nothing asks first whether there is CUDA. Defaults that a caller or the command line can
    choose otherwise, `Trainer(accelerator="gpu")`, and what runs only in a process group, are advice.

    ## Why it matters
    On a machine without an NVIDIA GPU (a laptop, a CI runner, a Mac, a TPU host) the code raises an error at this
    line. In a LightningModule it also moves tensors away from the device that the Trainer chose.

    ## Do not flag
    - Code under a condition, decorator or skip mark that has to do with devices; a `try` that catches the failure;
      a script that ends at once without CUDA; a function that is called only from such places.
    - One side of a choice whose other side is the CPU.
    - A comparison with `device.type`, and `device_type="cuda"` of autocast, which switches itself off.
    - Code that is about CUDA: graphs, streams, events, kernels (triton, C++ extensions), packages that need it, an
      NCCL process group, functions named for the GPU, and devices numbered by a rank.
    - Tests and benchmarks, by their path.

    ## Fix safety
    Safe in a LightningModule for a batch, or a module that is an attribute: the move is left out, because Lightning
    makes it. Otherwise suggested, where a device is in scope or the device is chosen at this place.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#device-agnostic-code
    - https://lightning.ai/docs/pytorch/stable/accelerators/accelerator_prepare.html
    """

    words = ("cuda", "gpu")
    examples = (*BAD, *GOOD)

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if "cuda" in module.source.code:
            yield from self._calls(module)
            yield from self._texts(module)
        yield from self._trainers(module)

    def _calls(self, module: Module) -> Iterator[Finding]:
        for call in cuda_calls(module):
            if _is_meant(module, call) or module.fact(_joins_group):
                continue
            if _is_in_process_group(module, call):
                yield self.finding(module, call, _IN_GROUP, fix=to_device_fix(module, call), advice=True)
            elif not in_lightning(module, call):
                yield self.finding(module, call, _CALL, fix=to_device_fix(module, call))
            elif (fix := needless_move_fix(module, call)) is not None:
                yield self.finding(module, call, _NEEDLESS, fix=fix)
            else:
                yield self.finding(module, call, _CALL_IN_LIGHTNING, fix=to_device_fix(module, call))

    def _texts(self, module: Module) -> Iterator[Finding]:
        for text in cuda_strings(module):
            if _is_meant(module, text.node):
                continue
            if text.use == "default":
                yield self.finding(module, text.node, _DEFAULT, fix=choice_fix(module, text), advice=True)
            elif module.fact(_joins_group):
                continue
            elif _is_in_process_group(module, text.node):
                yield self.finding(module, text.node, _IN_GROUP, fix=text_fix(module, text), advice=True)
            elif (move := _lightning_move(module, text)) and (fix := needless_move_fix(module, move)):
                yield self.finding(module, move, _NEEDLESS, fix=fix)
            else:
                yield self.finding(module, text.node, _TEXT, fix=text_fix(module, text))

    def _trainers(self, module: Module) -> Iterator[Finding]:
        for call in module.calls("Trainer", "Fabric"):
            if _wants_one_gpu(module, call) and not _is_meant(module, call):
                fix = suggested("Take the device there is", SetArgument(Span.of(call), "accelerator", '"auto"'))
                yield self.finding(module, call, _TRAINER, fix=fix, advice=True)


def _is_meant(module: Module, node: ast.expr) -> bool:
    return is_guarded(module, node) or is_cuda_only(module, node)


def _joins_group(module: Module) -> bool:
    """Whether a script joins a process group through the helper of its project that everyone names the same: NCCL's."""
    return any(module.local_function(call) is None for call in module.calls("init_distributed_mode"))


def _is_in_process_group(module: Module, node: ast.expr) -> bool:
    """Whether a node runs only with other processes, so that its device is that of the group's backend."""
    return any(_PROCESS_GROUP.search(ast.unparse(guard.test)) for guard in module.guards(node))


def _lightning_move(module: Module, text: CudaString) -> ast.Call | None:
    """The call `x.to("cuda")` of a LightningModule that a text is the only argument of."""
    match module.parent(text.node):
        case ast.Call(func=ast.Attribute(attr="to"), args=[_], keywords=[]) as call if in_lightning(module, call):
            return call
    return None


def _wants_one_gpu(module: Module, call: ast.Call) -> bool:
    """Whether a call makes a Lightning Trainer or Fabric for a GPU, and not for several."""
    if not (module.qualified_name(call.func) or "").startswith("lightning."):
        return False
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    match given.get("accelerator"), given.get("devices", ast.Constant(1)):
        case ast.Constant(value="gpu" | "cuda"), ast.Constant(value=1 | "auto"):
            return "strategy" not in given and None not in given
    return False
