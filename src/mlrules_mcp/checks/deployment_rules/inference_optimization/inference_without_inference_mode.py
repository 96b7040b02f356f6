from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._models import runs_model
from mlrules_mcp.checks.check import Bad, Check, Good, suggested
from mlrules_mcp.checks.deployment_rules.inference_optimization._serving import is_server
from mlrules_mcp.checks.pytorch_rules.gradient_management._evaluations import (
    Evaluation,
    evaluations,
    is_test_file,
    is_wanted,
)
from mlrules_mcp.checks.pytorch_rules.gradient_management._modes import gradients_off
from mlrules_mcp.findings import AddImport, Edit, Finding, Fix, Span, WrapInWith
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import LOOPS
from mlrules_mcp.source.values import MODULE

_LOADS = ("from_pretrained", "load_state_dict", "load_from_checkpoint", "load", "create_model")
_TRAINS = (
    "fit",
    "train",
    "train_model",
    "training_step",
    "optimizers",
    "Trainer",
    "SFTTrainer",
    "Seq2SeqTrainer",
    "finetune",
)
_TRAINS_BY = pattern(
    r"\boptim\b|\boptimizer\b|\.backward\(|requires_grad|autograd|Trainer\(|\.fit\(|adversarial|attack|saliency|captum"
)
_OTHER_MAKERS = pattern(
    r"(^|\.)(TF|Flax|ORT|OV|Llama|AutoGPTQ)\w*\.from_pretrained$|ultralytics|onnxruntime|openvino|vllm|spacy|"
    r"^(transformers|diffusers|sentence_transformers)\.\w*(pipeline|Pipeline|SentenceTransformer|CrossEncoder)"
)
_SAME_MODEL = frozenset("to cuda cpu eval half float bfloat16 requires_grad_".split())
# What is asked of results that nobody differentiates.
_USED_AS_NUMBERS = frozenset(
    "argmax topk item tolist numpy cpu detach softmax sigmoid max cosine_similarity logits last_hidden_state "
    "pooler_output".split()
)


class InferenceWithoutInferenceMode(Check[ast.Module]):
    """A trained model that predicts while gradients are recorded.

    ## What it does
    In files that load a trained model (`from_pretrained`, `load_state_dict`, a checkpoint) or serve one, and train
    nothing, finds calls of the model outside `torch.inference_mode()` and `torch.no_grad()`. Where the model is
    switched with `eval()` or goes over test data, `evaluation-without-no-grad` says so instead.

    ## Why it matters
    Loaded weights require gradients, so each call keeps every activation for a backward pass that never comes: a
    prediction takes several times the memory, and results that are kept hold on to all of it. `inference_mode` also
    leaves out the bookkeeping of `no_grad`.

    ## Do not flag
    Files that train, attack or explain models; gradients switched off by a context manager, a decorator, or up the
    calls of the module; `generate` and pipelines, which do so themselves; frozen models; `forward` methods; models
    of other libraries; tests.

    ## Fix safety
    Suggested: a caller in another module may want the gradients, and tensors made in inference mode can't be used in
    training later.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
    - https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
    """

    packages = frozenset({"torch", "transformers", "timm", "torchvision"})
    examples = (
        Bad(
            """
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained("org/model")
            model = AutoModelForSequenceClassification.from_pretrained("org/model").to(device)
            outputs = «model(**tokenizer(text, return_tensors="pt"))»
            print(outputs.logits.argmax(-1).item())
            """,
            suggested_fix="""
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained("org/model")
            model = AutoModelForSequenceClassification.from_pretrained("org/model").to(device)
            with torch.inference_mode():
                outputs = model(**tokenizer(text, return_tensors="pt"))
            print(outputs.logits.argmax(-1).item())
            """,
        ),
        Bad(
            """
            from fastapi import FastAPI
            from torch import load

            app = FastAPI()
            model = Net()
            model.load_state_dict(load("model.pt"))

            @app.post("/predict")
            async def predict(features: list[float]):
                scores = «model(prepare(features))»
                return {"label": scores.argmax().item()}
            """,
            suggested_fix="""
            from fastapi import FastAPI
            from torch import load
            import torch

            app = FastAPI()
            model = Net()
            model.load_state_dict(load("model.pt"))

            @app.post("/predict")
            async def predict(features: list[float]):
                with torch.inference_mode():
                    scores = model(prepare(features))
                return {"label": scores.argmax().item()}
            """,
        ),
        Bad(
            """
            import torch
            from transformers import CLIPModel

            class Embedder:
                def __init__(self):
                    self.model = CLIPModel.from_pretrained("org/clip")

                def similarity(self, inputs):
                    return «self.model(**inputs)».logits_per_image.softmax(dim=1).tolist()
            """,
            suggested_fix="""
            import torch
            from transformers import CLIPModel

            class Embedder:
                def __init__(self):
                    self.model = CLIPModel.from_pretrained("org/clip")

                def similarity(self, inputs):
                    with torch.inference_mode():
                        return self.model(**inputs).logits_per_image.softmax(dim=1).tolist()
            """,
        ),
        Good(
            """
            import torch
            from transformers import AutoModel

            model = AutoModel.from_pretrained("org/model")
            with torch.inference_mode():
                hidden = model(**inputs).last_hidden_state.numpy()

            @torch.no_grad()
            def embed(texts):
                return model(**tokenize(texts)).pooler_output.cpu()
            """
        ),
        Good(
            """
            import torch
            from transformers import AutoModelForCausalLM, pipeline

            model = AutoModelForCausalLM.from_pretrained("org/model")
            tokens = model.generate(**inputs).tolist()
            classifier = pipeline("sentiment-analysis")
            print(classifier("good"))
            """,
            "they switch gradients off themselves",
        ),
        Good(
            """
            import torch
            from transformers import AutoModel

            model = AutoModel.from_pretrained("org/model")
            optimizer = torch.optim.AdamW(model.parameters())
            loss = model(**batch).loss
            loss.backward()
            print(model(**batch).logits.argmax())
            """,
            "it trains",
        ),
        Good(
            """
            import torch
            from torch import nn
            from transformers import AutoModel

            class Classifier(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.encoder = AutoModel.from_pretrained("org/model")

                def forward(self, x):
                    return self.encoder(x).last_hidden_state.softmax(-1)
            """,
            "part of a model, which others train",
        ),
        Good(
            """
            import torch
            from transformers import TFAutoModel, AutoModel

            model = TFAutoModel.from_pretrained("org/model")
            hidden = model(**inputs).last_hidden_state.numpy()

            features = AutoModel.from_pretrained("org/other")(**inputs)
            """,
            "not of PyTorch, or nothing says what becomes of the result",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if module.calls(*_TRAINS) or not (module.calls(*_LOADS) or is_server(module)) or is_test_file(module):
            return
        candidates = [call for call in module.nodes(ast.Call) if runs_model(module, call)]
        found = [evaluation for call in candidates if (evaluation := _inference(call, module)) is not None]
        if not found or _TRAINS_BY.search(module.source.code):
            return
        elsewhere = {part for other in evaluations(module) for part in module.walk(other.statement)}
        for evaluation in found:
            if evaluation.run not in elsewhere:
                yield self.finding(
                    module,
                    evaluation.run,
                    "The model predicts while gradients are recorded, which keeps every activation in memory for a "
                    "backward pass that never comes. Run it under `with torch.inference_mode():`.",
                    fix=_fix(evaluation.statement, module),
                )


def _inference(call: ast.Call, module: Module) -> Evaluation | None:
    """The prediction that a call of a trained model makes, where nobody wants gradients of it."""
    if not (call.args or call.keywords) or (last_name(call.func) or "")[:1].isupper():
        return None  # it makes a model
    cls = module.enclosing_class(call)
    if cls is not None and (module.is_subclass(cls, MODULE) or module.method(cls, "forward") is not None):
        return None
    origins = [origin for origin in module.origins(call.func) if isinstance(origin, ast.Call)]
    if any(_OTHER_MAKERS.search(module.qualified_name(_made(origin).func) or "") for origin in origins):
        return None
    if not is_server(module) and not _is_loaded(call.func, origins, module):
        return None
    statement = module.statement(call)
    block = module.block(statement)
    region = [statement, *(each for each in block[block.index(statement) + 1 :] if not isinstance(each, LOOPS))]
    names = {last_name(node) for each in region for node in module.walk(each) if isinstance(node, ast.expr)}
    evaluation = Evaluation(statement, call, region)
    if names.isdisjoint(_USED_AS_NUMBERS) or gradients_off(call, module) or not is_wanted(evaluation, module):
        return None
    return evaluation


def _is_loaded(model: ast.expr, origins: list[ast.Call], module: Module) -> bool:
    """Whether a model is made by loading a trained one, or gets a trained one's state."""
    if any(last_name(_made(origin).func) in ("from_pretrained", "load_from_checkpoint", "load") for origin in origins):
        return True
    name = last_name(model)
    return any(
        isinstance(call.func, ast.Attribute) and last_name(call.func.value) == name
        for call in module.calls("load_state_dict")
    )


def _made(call: ast.Call) -> ast.Call:
    """The call that makes a model, before it is moved or switched: `Net()` of `Net().to(device).eval()`."""
    while (
        isinstance(call.func, ast.Attribute) and call.func.attr in _SAME_MODEL and isinstance(call.func.value, ast.Call)
    ):
        call = call.func.value
    return call


def _fix(statement: ast.stmt, module: Module) -> Fix | None:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return None
    imports: tuple[Edit, ...] = () if "torch" in module.bindings else (AddImport("torch"),)
    return suggested(
        "Run the model in inference mode", WrapInWith(Span.of(statement), "torch.inference_mode()"), *imports
    )
