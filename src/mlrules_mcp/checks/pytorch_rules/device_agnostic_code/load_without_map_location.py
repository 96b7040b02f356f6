from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._devices import device_in_scope, is_guarded, is_test_or_benchmark
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.findings import Finding, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_MESSAGE = (
    "What was saved on a GPU raises an error here on a machine without one, and fills the first GPU's memory on a "
    "machine with several. Pass `map_location`, and move the model to its device afterwards."
)
_MODEL_STATE = pattern(
    r"check_?point|ckpt|(^|_)state|weights?\b|model|(^|_)net\d*(_|\b)|net[A-Z]|pretrain|resume|\.pth\b|"
    r"encoder|decoder|generator|discriminator|backbone|actor|critic|policy",
    re.IGNORECASE,
)
# Their state is numbers, not tensors, or tensors that are made on the CPU.
_OTHER_STATE = pattern(
    r"sched|scaler|(^|_)rng|random|config|vocab|data|meta|feat|label|cache|triples|corpus|text|pred", re.I
)
# XLA, and FSDP for a whole state, copy to the CPU before they save.
_SAVED_FROM_CPU = ("torch_xla", "StateDictType")
_MOVES = pattern(r"\bcuda\b|\.to\([^)]*device|map_location")


class LoadWithoutMapLocation(Check[ast.Call]):
    """`torch.load` without `map_location`.

    ## What it does
    Finds calls of `torch.load` and `torch.jit.load` that read the state of a model or an optimizer and leave
    `map_location` out. In a file that never mentions a device it is advice.

    ## Why it matters
    Tensors are put back on the device they were saved from. A checkpoint written on a GPU raises a RuntimeError
    on a machine without one, and on a machine with several it fills the memory of the first.

    ## Do not flag
    - Calls that may pass it through `*args` or `**kwargs`.
    - Code that runs only where a device was asked for.
    - A checkpoint that the same run has written just before: after a training loop, `fit` or `save` in the same
      function.
    - Data sets, and other things that don't look like a model's state; tests; XLA and FSDP, which
      save from the CPU.

    ## Fix safety
    Suggested: the loaded tensors may be expected on the GPU by the code that follows.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """

    names = frozenset({"load"})
    examples = (
        Bad(
            """
            import torch

            model = Net().cuda()
            model.load_state_dict(«torch.load("model.pt")»)
            """,
            suggested_fix="""
            import torch

            model = Net().cuda()
            model.load_state_dict(torch.load("model.pt", map_location="cpu"))
            """,
        ),
        Bad(
            """
            import torch

            def resume(model, optimizer, device, path):
                checkpoint = «torch.load(path, weights_only=True)»
                model.load_state_dict(checkpoint["model"])
                model.to(device)
            """,
            suggested_fix="""
            import torch

            def resume(model, optimizer, device, path):
                checkpoint = torch.load(path, weights_only=True, map_location="cpu")
                model.load_state_dict(checkpoint["model"])
                model.to(device)
            """,
        ),
        Bad(
            """
            import torch

            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            model = «torch.jit.load("traced.pt")»
            output = model(x.to(device))
            """,
            suggested_fix="""
            import torch

            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            model = torch.jit.load("traced.pt", map_location=device)
            output = model(x.to(device))
            """,
        ),
        Bad(
            """
            from torch import load as read

            class Agent:
                def load(self, folder):
                    self.actor.load_state_dict(«read(folder + "actor.pth")»)

                def act(self, x):
                    return self.actor(x.to(self.device))
            """,
            suggested_fix="""
            from torch import load as read

            class Agent:
                def load(self, folder):
                    self.actor.load_state_dict(read(folder + "actor.pth", map_location="cpu"))

                def act(self, x):
                    return self.actor(x.to(self.device))
            """,
        ),
        Bad(
            """
            import torch

            state = «torch.load("model.pt")»
            """,
            suggested_fix="""
            import torch

            state = torch.load("model.pt", map_location="cpu")
            """,
            advice=True,
        ),
        Good(
            """
            import json
            import torch

            state = torch.load("model.pt", map_location=device)
            other = torch.load("model.pt", "cpu")
            third = torch.load("model.pt", **options)
            model = json.load(file)
            """
        ),
        Good(
            """
            import torch

            if torch.cuda.is_available():
                checkpoint = torch.load(path)
            else:
                checkpoint = torch.load(path, map_location="cpu")
            """
        ),
        Good(
            """
            import torch

            for x, y in loader:
                loss = criterion(model(x.cuda()), y)
                loss.backward()
                optimizer.step()
            model.load_state_dict(torch.load("best.pt"))

            def main():
                trainer.fit(system)
                state_dict = torch.load(checkpoint.best_model_path)
            """,
            "this run has written it",
        ),
        Good(
            """
            import io
            import torch

            def copy_of(model):
                buffer = io.BytesIO()
                torch.save(model.state_dict(), buffer)
                buffer.seek(0)
                return load_model(torch.load(buffer))
            """,
            "this run has written it",
        ),
        Good(
            """
            import io
            import torch
            from torch.utils.data import Dataset

            class Features(Dataset):
                def __init__(self, folder, device):
                    self.model_inputs = torch.load(folder + "/inputs.pt").to(device)

            train_features = torch.load("train.pth")
            scaler.load_state_dict(torch.load("scaler.pt"))
            block_state.prompt_embeds = torch.load(io.BytesIO(response.content))
            """,
            "data and random states are made on the CPU",
        ),
        Good(
            """
            import torch
            import torch_xla.core.xla_model as xm

            model.load_state_dict(torch.load("model.pt"))
            model.to(xm.xla_device())
            """
        ),
        Good(
            """
            import torch
            from torch.distributed.fsdp import FullyShardedDataParallel, StateDictType

            with FullyShardedDataParallel.state_dict_type(model, StateDictType.FULL_STATE_DICT):
                model.load_state_dict(torch.load("model.pt"))
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if (
            not module.is_call_to(node, "torch.load", "torch.jit.load")
            or passes_unseen_arguments(node)
            or argument(node, "map_location", 1) is not None
            or not _is_model_state(module, node)
            or _was_just_written(module, node)
            or module.fact(_is_saved_from_cpu)
            or is_test_or_benchmark(module)
            or is_guarded(module, node)
        ):
            return
        into_existing = _loading_call(module, node) is not None or module.is_call_to(node, "torch.load")
        device = device_in_scope(module, node)
        where = '"cpu"' if into_existing or device is None else device
        fix = suggested(f"Load to {where}", SetArgument(Span.of(node), "map_location", where))
        yield self.finding(module, node, _MESSAGE, fix=fix, advice=not module.fact(_mentions_device))


def _is_saved_from_cpu(module: Module) -> bool:
    return any(word in module.source.code for word in _SAVED_FROM_CPU)


def _mentions_device(module: Module) -> bool:
    return _MOVES.search(module.source.code) is not None


def _is_model_state(module: Module, load: ast.Call) -> bool:
    """Whether what is loaded goes into `load_state_dict`, or is called like the state of a model."""
    loading = _loading_call(module, load)
    if loading is not None:
        return not _OTHER_STATE.search(ast.unparse(loading.func))
    cls, function = module.enclosing_class(load), module.enclosing_function(load)
    if cls is not None and ("Dataset" in cls.name or any("Dataset" in name for name in module.base_names(cls))):
        return False
    target = _target(module, load)
    if _OTHER_STATE.search(target):
        return False
    words = [target, *map(ast.unparse, load.args[:1])]
    if not target and function is not None:
        words.append(function.name)
    return any(map(_MODEL_STATE.search, words))


def _loading_call(module: Module, load: ast.Call) -> ast.Call | None:
    """The call `model.load_state_dict(torch.load(…)["model"])` around a load."""
    for ancestor in module.ancestors(load):
        if isinstance(ancestor, ast.Call) and module.called_name(ancestor) == "load_state_dict":
            return ancestor
        if isinstance(ancestor, ast.stmt):
            return None
    return None


def _target(module: Module, load: ast.Call) -> str:
    """What the statement around a load assigns, without the object it is an attribute of; empty for nothing."""
    match module.statement(load):
        case ast.Assign(targets=[ast.Attribute(attr=name)]) | ast.AnnAssign(target=ast.Attribute(attr=name)):
            return name
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            return ast.unparse(target)
    return ""


def _was_just_written(module: Module, load: ast.Call) -> bool:
    """Whether the function around a load trains or saves before it."""
    function = module.enclosing_function(load)
    writers = [*module.training_loops, *module.calls("save", "fit")]
    return any(
        (writer.end_lineno or writer.lineno) < load.lineno and module.enclosing_function(writer) is function
        for writer in writers
    )
