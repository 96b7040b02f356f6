from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import is_model
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.pytorch_rules.proper_tensor_dtypes._dtypes import HALF, converts_to
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.values import OPTIMIZER

# They keep a float32 copy of the parameters for the update.
_MASTER_PARAMETERS = pattern(r"FP16_Optimizer|FP16Optimizer|master_params|loss_scaler|prep_param_lists|network_to_half")
_MIXED_PACKAGES = frozenset({"apex", "deepspeed", "fairscale", "megatron", "bitsandbytes"})


class HalfModelTraining(Check[ast.Call]):
    """A model that is converted to float16 and then trained.

    ## What it does
    Finds `model.half()`, `model.to(torch.float16)` and the like where the same function, or the script, goes on to
    train this model.

    ## Why it matters
    The parameters themselves are float16 then: updates smaller than a thousandth of a parameter round to nothing,
    gradients underflow, and the moments of Adam overflow to infinity and NaN. Mixed precision keeps float32 parameters
    and computes in half precision only where that is enough.

    ## Do not flag
    Inference, copies that are saved, frozen parts, models that go back to float32, bfloat16, and optimizers with a
    float32 copy of the parameters (apex, DeepSpeed).

    ## Fix safety
    There is no fix: mixed precision changes the training loop.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html
    - https://docs.pytorch.org/docs/stable/notes/amp_examples.html
    """

    names = frozenset({"half", "to", "type"})
    examples = (
        Bad(
            """
            import torch

            model = Net().cuda()
            «model.half()»
            optimizer = torch.optim.Adam(model.parameters())
            for inputs, targets in loader:
                optimizer.zero_grad()
                loss = criterion(model(inputs.half()), targets)
                loss.backward()
                optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            def train(loader, args):
                net = «Net().to("cuda", dtype=torch.float16)»
                optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
                for inputs, targets in loader:
                    criterion(net(inputs), targets).backward()
                    optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            class Trainer:
                def run(self):
                    if self.fp16:
                        self.model = «self.model.half()»
                    for batch in self.loader:
                        self.model(batch).mean().backward()
                        self.optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            def train(model, loader, optimizer):
                for batch in loader:
                    model(batch.half()).mean().backward()
                    optimizer.step()

            def main(args):
                model = Net()
                if args.half:
                    «model.half()»
                train(model, loader, torch.optim.SGD(model.parameters(), lr=0.1))
            """
        ),
        Good(
            """
            import torch

            def train(model, loader):
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = model(batch).mean()
                    scaler.scale(loss).backward()
                    scaler.step(optimizer)

            def predict(model, batch):
                model.half()
                with torch.inference_mode():
                    return model(batch.half())
            """,
            "inference",
        ),
        Good(
            """
            import copy
            import torch

            model = Net()
            teacher = Net().half()
            teacher.requires_grad_(False)
            model.half().float()
            for batch in loader:
                loss = (model(batch) - teacher(batch.half())).abs().mean()
                loss.backward()
                optimizer.step()
            torch.save(copy.deepcopy(model).half().state_dict(), "model.pt")
            model.half()
            """,
            "a frozen teacher; rounded and back; a copy that is saved; after the training",
        ),
        Good(
            """
            import torch
            from apex.fp16_utils import FP16_Optimizer

            model = Net().half()
            optimizer = FP16_Optimizer(torch.optim.SGD(model.parameters(), lr=0.1))
            for batch in loader:
                optimizer.backward(model(batch).mean())
                optimizer.step()
            """,
            "the optimizer keeps float32 parameters",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not module.step_regions or not converts_to(module, node, "half", HALF):
            return
        if _keeps_master_parameters(module):
            return
        model = _converted(module, node)
        if model is not None and _is_trained(module, node, model):
            yield self.finding(
                module,
                node,
                "This model's parameters are float16, so that small updates round to nothing and gradients underflow. "
                "Leave it in float32 and compute the loss under `torch.autocast`, with a GradScaler for float16.",
            )


def _keeps_master_parameters(module: Module) -> bool:
    return bool(module.imported_packages & _MIXED_PACKAGES) or bool(_MASTER_PARAMETERS.search(module.source.code))


def _converted(module: Module, call: ast.Call) -> str | None:
    """The variable that holds a converted model, as text; None where it is none or does not stay converted."""
    assert isinstance(call.func, ast.Attribute)
    receiver = call.func.value
    for ancestor in module.ancestors(call):
        match ancestor:
            case ast.Attribute(attr="float" | "bfloat16" | "state_dict"):
                return None
            case ast.Attribute() | ast.Call(func=ast.Attribute(attr="to" | "cuda" | "train")):
                continue
            case ast.Assign(targets=[(ast.Name() | ast.Attribute()) as target]):
                return ast.unparse(target) if is_model(module, receiver) or is_model(module, target) else None
            case ast.Expr() if isinstance(receiver, ast.Name | ast.Attribute) and is_model(module, receiver):
                return ast.unparse(receiver)
        return None
    return None


def _is_trained(module: Module, conversion: ast.Call, model: str) -> bool:
    """Whether the function that converts a model gives it to an optimizer, or runs it in a training step later on."""
    function = module.enclosing_function(conversion)
    trained = False
    for call in module.nodes(ast.Call):
        if module.enclosing_function(call) is not function:
            continue
        is_later = (call.lineno, call.col_offset) > (conversion.lineno, conversion.col_offset)
        match call.func:
            case ast.Attribute(value=value, attr="float" | "requires_grad_" | "bfloat16"):
                if is_later and ast.unparse(value) == model:
                    return False
            case ast.Attribute(value=value, attr="parameters" | "named_parameters"):
                trained = trained or (ast.unparse(value) == model and _reaches_optimizer(module, call))
            case func if is_later and ast.unparse(func) == model:
                trained = trained or (module.step_region(call) is not None and not module.under_no_grad(call))
    return trained


def _reaches_optimizer(module: Module, parameters: ast.Call) -> bool:
    return any(
        isinstance(ancestor, ast.Call) and module.is_instance(ancestor, OPTIMIZER)
        for ancestor in module.ancestors(parameters)
    )
