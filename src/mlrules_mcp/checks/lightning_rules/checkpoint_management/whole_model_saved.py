from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import is_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, Replace, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.bindings import start
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.tree import FUNCTIONS

_MESSAGE = (
    "This pickles the module's code by its import path: `torch.load` refuses it by default since torch 2.6, and no "
    "longer finds the class once a file moves. Save `state_dict()`, and load it into a model that the code makes."
)
_SAME_OBJECT = frozenset({"cpu", "cuda", "eval", "half", "float", "to", "train"})


class WholeModelSaved(Check[ast.Call]):
    """A module that is pickled as a whole.

    ## What it does
    Finds `torch.save(model, path)`, also in a dictionary or a list (`{"model": model, "epoch": epoch}`), where a
    module is saved and not its `state_dict()`.

    ## Why it matters
    A pickled module holds the import path of its class and all of its Python state. It can't be loaded after the
    code was moved or renamed, `torch.load` refuses it unless told `weights_only=False`, and loading it runs code.

    ## Do not flag
    State dictionaries, tensors, data and what only is called like a model; exported programs and scripted modules;
    buffers in memory; tests.

    ## Fix safety
    Suggested: what loads the file has to make the model first and call `load_state_dict`.

    ## References
    - https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html
    - https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """

    names = frozenset({"save"})
    examples = (
        Bad(
            """
            import torch

            torch.save(«model», "model.pt")
            """,
            suggested_fix="""
            import torch

            torch.save(model.state_dict(), "model.pt")
            """,
        ),
        Bad(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def save(self, path):
                    torch.save(«self», path)

            best = Net().to(device)
            torch.save(obj=«best.cpu()», f="best.pt")
            best = torch.load("best.pt")
            """,
            suggested_fix="""
            import torch
            from torch import nn

            class Net(nn.Module):
                def save(self, path):
                    torch.save(self.state_dict(), path)

            best = Net().to(device)
            torch.save(obj=best.cpu().state_dict(), f="best.pt")
            best = torch.load("best.pt")
            """,
        ),
        Bad(
            """
            from torch import save

            def checkpoint(net, optimizer, epoch):
                state = {"net": «net.module», "optimizer": optimizer.state_dict(), "epoch": epoch}
                save(state, f"checkpoint_{epoch}.pt")
            """,
            suggested_fix="""
            from torch import save

            def checkpoint(net, optimizer, epoch):
                state = {"net": net.module.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
                save(state, f"checkpoint_{epoch}.pt")
            """,
        ),
        Good(
            """
            import io
            import pickle
            import torch
            from sklearn.linear_model import LogisticRegression

            model = model.state_dict()
            torch.save(model, "model.pt")
            torch.save({"model": net.state_dict(), "epoch": 3}, "checkpoint.pt")
            torch.save(data, "data.pt")
            torch.jit.save(torch.jit.script(net), "scripted.pt")
            buffer = io.BytesIO()
            torch.save(net, buffer)
            classifier = LogisticRegression()
            torch.save(classifier, "classifier.pt")
            """
        ),
        Good(
            """
            import torch

            class Run:
                def save(self):
                    model = {name: value.cpu() for name, value in self.weights.items()}
                    network = [layer.weight for layer in self.layers]
                    torch.save(model, self.path)
                    torch.save({"network": network, "model": "resnet18"}, self.path)
            """,
            "called like a model",
        ),
        Good(
            """
            import torch

            def save_checkpoint(info, model, optim, path):
                torch.save(info, path + "/info.pt")
                torch.save(model, path + "/model.pt")

            save_checkpoint({"epoch": epoch}, net.module.state_dict(), optimizer.state_dict(), folder)

            def publish(path):
                model = torch.load(path)
                model = add_author(model)
                torch.save(model, "published.pt")

            def upload(model):
                torch.save(model, "upload.pt")
                return send(model["name"])
            """,
            "states under the name of a model",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not module.is_call_to(node, "torch.save") or is_test(module):
            return
        saved, target = argument(node, "obj", 0), argument(node, "f", 1)
        if saved is None or (target is not None and _is_in_memory(module, target)):
            return
        for place in _parts(module, saved):
            if _is_whole_model(module, place):
                fix = suggested("Save the state", Replace(Span.of(place), f"{module.text(place)}.state_dict()"))
                yield self.finding(module, place, _MESSAGE, fix=fix)


def _is_in_memory(module: Module, target: ast.expr) -> bool:
    return any(module.is_call_to(origin, "io.BytesIO") for origin in module.origins(target))


def _parts(module: Module, saved: ast.expr) -> Iterator[ast.expr]:
    """What is saved, or the values of the dictionaries and lists that are."""
    for origin in module.origins(saved):
        match origin:
            case ast.Dict(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
                yield from parts
            case _:
                yield saved
                return


def _is_whole_model(module: Module, value: ast.expr) -> bool:
    """Whether a value is a module: made as one, or called like one and nothing in the file says otherwise."""
    match value:
        case ast.Call(func=ast.Attribute(value=model, attr=attr)) if attr in _SAME_OBJECT:
            return _is_whole_model(module, model)
        case ast.Attribute(value=ast.Name() | ast.Attribute() as wrapped, attr="module"):
            return _is_whole_model(module, wrapped)
        case ast.Name() | ast.Attribute():
            return is_model(module, value) and not any(_is_no_module(module, each) for each in _sources(module, value))
    return False


def _sources(module: Module, value: ast.Name | ast.Attribute) -> Iterator[ast.expr]:
    """Where a value comes from: assignments of the variable, and what the file passes for a parameter."""
    yield from module.origins(value)
    if isinstance(value, ast.Attribute):
        return
    for binding in module.bindings_in_scope(value):
        if binding.value is not None and binding.end < start(value):
            yield binding.value
        function = binding.scope
        if binding.kind == "parameter" and isinstance(function, FUNCTIONS):
            positions = [arg.arg for arg in function.args.args]
            for call in module.calls(function.name):
                passed = argument(call, value.id, positions.index(value.id) if value.id in positions else None)
                if passed is not None and module.local_function(call) is function:
                    yield from module.origins(passed)
    for subscript in module.nodes(ast.Subscript):
        match subscript:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())) if name == value.id:
                if module.enclosing_function(subscript) is module.enclosing_function(value):
                    yield subscript


def _is_no_module(module: Module, origin: ast.expr) -> bool:
    match origin:
        case ast.Dict() | ast.DictComp() | ast.List() | ast.ListComp() | ast.Constant() | ast.Subscript():
            return True
        case ast.Call(func=func):
            last = func.attr if isinstance(func, ast.Attribute) else ""
            return "state" in last or (module.qualified_name(func) or "").startswith(
                ("collections.", "torch.jit.", "torch.load", "torch.export.", "torch.fx.", "builtins.")
            )
    return False
