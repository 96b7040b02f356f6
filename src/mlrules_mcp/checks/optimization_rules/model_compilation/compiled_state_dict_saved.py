from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.optimization_rules.model_compilation._compiled import compilation
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

_SAVES = frozenset({"torch.save", "safetensors.torch.save_file", "safetensors.torch.save", "lightning.fabric.save"})


class CompiledStateDictSaved(Check[ast.Call]):
    """The state of a compiled model that is saved under the names of the compiled model.

    ## What it does
    Finds `torch.save` and `save_file` of a `state_dict()` that is asked of what `torch.compile` returned.

    ## Why it matters
    A compiled model holds the original as `_orig_mod`, and so does every name in its state: `_orig_mod.fc.weight`. A
    checkpoint like that doesn't load into the model where it is not compiled, as in a notebook or in deployment: every
    key is reported as missing.

    ## Do not flag
    The state of the original model, under its own name or as `model._orig_mod`; `model.compile()`, which keeps the
    names; files that deal with `_orig_mod` themselves; a state that is kept in memory.

    ## Fix safety
    Suggested: checkpoints that exist already have the longer names.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    - https://github.com/pytorch/pytorch/issues/101107
    """

    names = frozenset({"save", "save_file"})
    examples = (
        Bad(
            """
            import torch

            model = Net()
            model = torch.compile(model)
            train(model)
            torch.save(«model.state_dict()», "model.pt")
            """,
            suggested_fix="""
            import torch

            model = Net()
            model = torch.compile(model)
            train(model)
            torch.save(model._orig_mod.state_dict(), "model.pt")
            """,
        ),
        Bad(
            """
            import torch

            def main(args):
                net = Net().to(args.device)
                if args.compile:
                    net = torch.compile(net, mode="max-autotune")
                for epoch in range(args.epochs):
                    train(net)
                    checkpoint = {"model": «net.state_dict()», "epoch": epoch}
                    torch.save(checkpoint, "last.pt")
                    torch.save({"model": ‹net.state_dict()›}, f"{epoch}.pt")
            """,
            suggested_fix="""
            import torch

            def main(args):
                net = Net().to(args.device)
                if args.compile:
                    net = torch.compile(net, mode="max-autotune")
                for epoch in range(args.epochs):
                    train(net)
                    checkpoint = {"model": getattr(net, "_orig_mod", net).state_dict(), "epoch": epoch}
                    torch.save(checkpoint, "last.pt")
                    torch.save({"model": getattr(net, "_orig_mod", net).state_dict()}, f"{epoch}.pt")
            """,
        ),
        Bad(
            """
            import torch
            from safetensors.torch import save_file

            class Trainer:
                def __init__(self, model):
                    self.model = torch.compile(model.cuda())

                def save(self, path):
                    state = «self.model.state_dict()»
                    save_file(state, path)
            """,
            suggested_fix="""
            import torch
            from safetensors.torch import save_file

            class Trainer:
                def __init__(self, model):
                    self.model = torch.compile(model.cuda())

                def save(self, path):
                    state = self.model._orig_mod.state_dict()
                    save_file(state, path)
            """,
        ),
        Bad(
            """
            import torch
            from torch.nn.parallel import DistributedDataParallel as DDP

            def save(model, path):
                torch.save(«model.module.state_dict()», path)

            net = torch.compile(Net())
            wrapped = DDP(net, device_ids=[rank])
            save(wrapped, "model.pt")
            """,
            suggested_fix="""
            import torch
            from torch.nn.parallel import DistributedDataParallel as DDP

            def save(model, path):
                torch.save(getattr(model.module, "_orig_mod", model.module).state_dict(), path)

            net = torch.compile(Net())
            wrapped = DDP(net, device_ids=[rank])
            save(wrapped, "model.pt")
            """,
        ),
        Bad(
            """
            import torch

            class Trainer:
                def __init__(self, model, compile):
                    self.model = model
                    if compile:
                        self.model = torch.compile(self.model)

                def checkpoint(self):
                    checkpoint = {}
                    checkpoint["model"] = «self.model.state_dict()»
                    checkpoint["optimizer"] = self.optimizer.state_dict()
                    torch.save(checkpoint, "last.pt")
            """,
            suggested_fix="""
            import torch

            class Trainer:
                def __init__(self, model, compile):
                    self.model = model
                    if compile:
                        self.model = torch.compile(self.model)

                def checkpoint(self):
                    checkpoint = {}
                    checkpoint["model"] = getattr(self.model, "_orig_mod", self.model).state_dict()
                    checkpoint["optimizer"] = self.optimizer.state_dict()
                    torch.save(checkpoint, "last.pt")
            """,
        ),
        Good(
            """
            import copy
            import torch

            model = Net()
            compiled = torch.compile(model)
            best = copy.deepcopy(compiled.state_dict())
            compiled.load_state_dict(best)
            torch.save(model.state_dict(), "model.pt")
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.pt")
            """
        ),
        Good(
            """
            import torch

            model = torch.compile(Net())
            state = {name.removeprefix("_orig_mod."): value for name, value in model.state_dict().items()}
            torch.save(state, "model.pt")
            torch.save(model.state_dict(), "compiled.pt")
            """,
            why="the file deals with the names",
        ),
        Good(
            """
            import torch

            model = Net()
            model.compile()
            torch.save(model.state_dict(), "model.pt")

            step = torch.compile(train_step)
            torch.save(optimizer.state_dict(), "optimizer.pt")

            model = torch.compile(model)
            model = Net()
            torch.save(model.state_dict(), "other.pt")
            """,
            why="compiled in place, a compiled function, another model of that name",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        code = module.source.code
        if "compile(" not in code or "_orig_mod" in code or module.qualified_name(node.func) not in _SAVES:
            return
        saved = argument(node, "obj", 0) or argument(node, "tensors", 0)
        for part in _parts(module, saved) if saved else ():
            match part:
                case ast.Call(func=ast.Attribute(value=model, attr="state_dict")):
                    call = compilation(module, model)
                    if call is not None:
                        yield self._finding(module, part, model, call)

    def _finding(self, module: Module, state: ast.Call, model: ast.expr, compiled: ast.Call) -> Finding:
        text = module.text(model)
        surely = module.origins(model) == [compiled]
        original = f"{text}._orig_mod" if surely else f'getattr({text}, "_orig_mod", {text})'
        return self.finding(
            module,
            state,
            "This model is compiled, so every key is saved with `_orig_mod.` in front and doesn't load into the model "
            f"itself. Save `{original}.state_dict()`, or compile in place with `{text}.compile()`.",
            fix=suggested("Save the original model's state", Replace(Span.of(model), original)),
            related=[(compiled, "the compilation")],
        )


def _parts(module: Module, saved: ast.expr) -> Iterator[ast.expr]:
    """The expressions that are saved, with the values of dictionaries, also those that are put into one by key."""
    for origin in origins_through_calls(module, saved):
        match origin:
            case ast.Dict(values=values):
                yield from values
            case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
                yield from (keyword.value for keyword in keywords)
            case _:
                yield origin
    if isinstance(saved, ast.Name):
        function = module.enclosing_function(saved)
        for assignment in module.nodes(ast.Assign):
            match assignment.targets:
                case [ast.Subscript(value=ast.Name(id=name))] if name == saved.id:
                    if module.enclosing_function(assignment) is function:
                        yield assignment.value
