from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# Files that can train with one process a device as well.
_ALTERNATIVE = pattern(r"DistributedDataParallel|\bDDP\b|_DDP\b|init_process_group")
_NO_TRAINING = pattern(r"eval|infer|valid|test|predict|demo|export|(^|/)(dp|data_parallel)\.py$", re.IGNORECASE)


class DataParallel(Check[ast.Call]):
    """Training with `nn.DataParallel`.

    ## What it does
    Finds models that are wrapped in `torch.nn.DataParallel` in a file that trains. In other files it is advice.

    ## Why it matters
    DataParallel copies the model to every device in every step and runs them in threads of one process, which Python
    lets run one at a time. The first device holds more than the others, and only the devices of one machine are used.
    DistributedDataParallel is faster even on one machine, and what Lightning uses.

    ## Do not flag
    Files that also know DistributedDataParallel or use it by Lightning; classes that inherit from it; files that wrap
    a model only to load a checkpoint's state into it, evaluation scripts, one device; tests.

    ## Fix safety
    No fix: DistributedDataParallel needs one process a device, and a sampler that splits the data.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html
    - https://docs.pytorch.org/docs/stable/notes/ddp.html
    """

    names = frozenset({"DataParallel"})
    examples = (
        Bad(
            """
            import torch
            from torch import nn

            model = Net().to(device)
            if torch.cuda.device_count() > 1:
                model = «nn.DataParallel(model)»
            for batch in loader:
                optimizer.zero_grad()
                model(batch).mean().backward()
                optimizer.step()
            """
        ),
        Bad(
            """
            from torch.nn.parallel import DataParallel as Parallel

            class Agent:
                def __init__(self, net, optimizer):
                    self.net = «Parallel(net.cuda(), device_ids=[0, 1])»
                    self.optimizer = optimizer

                def learn(self, batch):
                    self.net(batch).mean().backward()
                    self.optimizer.step()
            """
        ),
        Bad(
            """
            import torch

            def make(net, gpus):
                return «torch.nn.DataParallel(net, gpus)»
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            from torch import nn

            model = nn.parallel.DistributedDataParallel(net) if distributed else nn.DataParallel(net)
            """,
            "the other one is there",
        ),
        Good(
            """
            import torch
            from torch import nn

            model = nn.DataParallel(net)
            model.load_state_dict(torch.load("model.pt", map_location="cpu"))
            output = model.module(inputs)
            """,
            "a checkpoint's keys start with `module.`",
        ),
        Good(
            """
            import torch

            net = torch.nn.DataParallel(convert(caffe_model))
            torch.save({"model_state": net.state_dict()}, "converted.pth")
            """,
            "it only gives the names of the weights their prefix",
        ),
        Good(
            """
            from torch import nn

            class Wrapper(nn.DataParallel):
                pass

            if isinstance(model, nn.DataParallel):
                model = model.module
            alone = nn.DataParallel(net, device_ids=[args.gpu])
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if not module.is_call_to(node, "torch.nn.DataParallel", "torch.nn.parallel.DataParallel"):
            return
        trains = bool(module.backward_calls or module.optimizer_steps)
        if _ALTERNATIVE.search(module.source.code) or _has_one_device(node) or is_test(module):
            return
        converts = module.calls("load_state_dict") or any(
            module.is_call_to(call, "torch.save") for call in module.calls("save")
        )
        if not trains and (converts or _NO_TRAINING.search(module.source.path)):
            return
        yield self.finding(
            module,
            node,
            "`DataParallel` copies the model to every device in every step and shares one Python process, so that "
            "devices wait. Use `DistributedDataParallel`, or Lightning's Trainer with `devices=…`.",
            advice=not trains,
        )


def _has_one_device(call: ast.Call) -> bool:
    devices = argument(call, "device_ids", 1)
    return isinstance(devices, ast.List) and len(devices.elts) == 1
