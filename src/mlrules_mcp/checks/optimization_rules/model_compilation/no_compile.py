from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.checks.optimization_rules._training import (
    is_entry_script,
    large_model_runs,
    may_run_large_model,
    uses_cuda,
)
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module

# Who computes in a reduced precision cares for speed, and these names are of torch 1.10 and later.
_TUNED = pattern(
    r"\btorch\.autocast\(|torch\.amp\.|from torch\.amp|from torch import autocast|set_float32_matmul_precision"
)
_COMPILES = pattern(r"compil|dynamo|\.jit\b|jit\.|onnx|tensorrt|deepspeed|fsdp|fully_shard", re.IGNORECASE)


class NoCompile(Check[ast.Module]):
    """Training of a large model that is tuned for speed and not compiled.

    ## What it does
    Finds scripts that train a model of torchvision, timm, segmentation_models_pytorch or transformers on CUDA, in mixed
    precision by the present interface, and never compile anything. Always advice, and once a file.

    ## Why it matters
    `torch.compile` joins the many small operations around the matrix products into few kernels. For networks of this
    kind, a step then takes 10 to 50 % less time, most of all in mixed precision, where memory traffic is what is left.

    ## Do not flag
    Scripts that train in float32, where `no-mixed-precision` has more to say; small models and those whose size is not
    to be seen; projects whose torch is older than 2.0; library modules, inference, CPU, tests and benchmarks; whatever
    mentions compiling, TorchScript, ONNX, FSDP or DeepSpeed.

    ## Fix safety
    No fix: the first step takes up to minutes, and inputs that change their shape compile anew.

    ## References
    - https://docs.pytorch.org/tutorials/intermediate/torch_compile_tutorial.html
    """

    speaks_of_absence = True
    examples = (
        Bad(
            """
            import timm
            import torch

            model = timm.create_model("vit_base_patch16_224", num_classes=10).to("cuda")
            for images, labels in loader:
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(«model(images.to("cuda"))», labels.to("cuda"))
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            from torchvision.models import convnext_small

            def main():
                torch.set_float32_matmul_precision("high")
                model = convnext_small(weights="DEFAULT").cuda()
                for images, labels in loader:
                    outputs = «model(images.cuda())»
                    loss = criterion(outputs, labels.cuda())
                    loss.backward()
                    optimizer.step()

            if __name__ == "__main__":
                main()
            """,
            advice=True,
        ),
        Good(
            """
            import timm
            import torch

            model = torch.compile(timm.create_model("vit_base_patch16_224").to("cuda"))
            for images, labels in loader:
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(images.to("cuda")), labels.to("cuda"))
                loss.backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import timm
            import torch

            model = timm.create_model("resnet50").cuda()
            for images, labels in loader:
                loss = criterion(model(images.cuda()), labels.cuda())
                loss.backward()
                optimizer.step()
            """,
            why="mixed precision comes first",
        ),
        Good(
            """
            import torch

            model = Net().cuda()
            for images, labels in loader:
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(images.cuda()), labels.cuda())
                loss.backward()
                optimizer.step()
            """,
            why="how large the model is can't be seen",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not may_run_large_model(module) or not uses_cuda(module):
            return
        code = module.source.code
        if not _TUNED.search(code) or _COMPILES.search(code):
            return
        if not is_entry_script(module) or not module.may_run_on("torch", "2.0"):
            return
        run = next(large_model_runs(module), None)
        if run is not None:
            yield self.finding(
                module,
                run,
                "This training is tuned for speed and runs its model uncompiled, kernel by kernel. "
                "Try `model.compile()` before the loop, and compare the time of a step after the first few.",
                advice=True,
            )
