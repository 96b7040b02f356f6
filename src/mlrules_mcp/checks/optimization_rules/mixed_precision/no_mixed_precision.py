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

_REDUCED = pattern(
    r"autocast|(?<![a-z])amp(?![a-z])|bf16|float16|fp16|fp8|(?<![a-z])half(?![a-z])|apex|accelerat|deepspeed|fabric"
    r"|mixed.?precision|matmul_precision|allow_tf32|quantiz|load_in_",
    re.IGNORECASE,
)


class NoMixedPrecision(Check[ast.Module]):
    """Training of a large model on CUDA that computes everything in float32.

    ## What it does
    Finds scripts that train a model of torchvision, timm, segmentation_models_pytorch or transformers on CUDA and say
    nothing of any precision. Always advice, and once a file.

    ## Why it matters
    GPUs since 2017 multiply matrices in half precision several times as fast as in float32. Under autocast, models of
    this size train one and a half to three times as fast, with about half the memory for activations, to the same
    accuracy.

    ## Do not flag
    Small models, models whose size the file does not show, library modules, inference, CPU, tests and benchmarks, and
    files that mention any reduced precision: autocast, TF32, bfloat16, Apex, Accelerate, DeepSpeed, quantization.

    ## Fix safety
    No fix: forward pass and loss go under `autocast`, and float16 wants a GradScaler.

    ## References
    - https://docs.pytorch.org/docs/stable/amp.html
    - https://docs.pytorch.org/tutorials/recipes/recipes/amp_recipe.html
    """

    speaks_of_absence = True
    examples = (
        Bad(
            """
            import torch
            from torchvision import models

            model = models.resnet50(weights="DEFAULT")
            model.fc = torch.nn.Linear(2048, 10)
            model = model.cuda()
            for epoch in range(10):
                for images, labels in loader:
                    optimizer.zero_grad()
                    loss = criterion(«model(images.cuda())», labels.cuda())
                    loss.backward()
                    optimizer.step()
            """,
            advice=True,
        ),
        Bad(
            """
            import torch
            from transformers import AutoModelForSequenceClassification

            def train(model, loader, device):
                for batch in loader:
                    loss = «model(**batch.to(device))».loss
                    loss.backward()
                    optimizer.step()
                    optimizer.zero_grad()

            def main():
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
                model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased").to(device)
                train(model, loader, device)

            if __name__ == "__main__":
                main()
            """,
            advice=True,
        ),
        Good(
            """
            import torch
            from torchvision import models

            model = models.resnet50().cuda()
            for images, labels in loader:
                with torch.autocast("cuda", dtype=torch.bfloat16):
                    loss = criterion(model(images.cuda()), labels.cuda())
                loss.backward()
                optimizer.step()
            """
        ),
        Good(
            """
            import torch

            model = Net().cuda()
            for images, labels in loader:
                loss = criterion(model(images.cuda()), labels.cuda())
                loss.backward()
                optimizer.step()
            """,
            why="how large the model is can't be seen",
        ),
        Good(
            """
            import torch
            from torchvision import models

            features = models.vgg16().cuda().eval()
            head = torch.nn.Linear(25088, 2).cuda()
            for images, labels in loader:
                with torch.no_grad():
                    inputs = features(images.cuda())
                loss = criterion(head(inputs), labels.cuda())
                loss.backward()
                optimizer.step()
            """,
            why="the large model is not trained",
        ),
        Good(
            """
            import torch
            from torchvision import models

            model = models.resnet50().cuda() if args.large else Probe().cuda()
            for images, labels in loader:
                model = model.train()
                loss = criterion(model(images.cuda()), labels.cuda())
                loss.backward()
                optimizer.step()
            """,
            why="the model may be a small one",
        ),
        Good(
            """
            import timm
            import torch

            torch.set_float32_matmul_precision("high")
            model = timm.create_model("vit_base_patch16_224").to("cuda")
            for images, labels in loader:
                loss = criterion(model(images.to("cuda")), labels.to("cuda"))
                loss.backward()
                optimizer.step()
            """,
            why="TF32 is a choice too",
        ),
        Good(
            """
            import torch
            from torchvision import models

            model = models.resnet18()
            for images, labels in loader:
                loss = criterion(model(images), labels)
                loss.backward()
                optimizer.step()
            """,
            why="on the CPU",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if not may_run_large_model(module) or not uses_cuda(module) or _REDUCED.search(module.source.code):
            return
        run = next(large_model_runs(module), None) if is_entry_script(module) else None
        if run is not None:
            yield self.finding(
                module,
                run,
                "This model is large enough to train 1.5 to 3 times as fast in mixed precision, which needs about half "
                'the memory too. Run it and the loss under `torch.autocast("cuda", dtype=torch.bfloat16)`.',
                advice=True,
            )
