from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.names import argument, passes_unseen_arguments

_COMMIT = pattern(r"[0-9a-f]{40}")
_REPOSITORY = pattern(r"[A-Za-z0-9][\w-]*/[\w.-]+")
_LOADERS = frozenset(
    {
        *("from_pretrained", "pipeline", "SentenceTransformer", "CrossEncoder", "LLM"),
        *("load_model", "HuggingFaceEmbedding", "HuggingFaceEmbeddings"),
    }
)


class RemoteCodeTrusted(Check[ast.Call]):
    """A model loaded with code from its repository that may change any day.

    ## What it does
    Advises against `trust_remote_code=True` for a repository that the code names, without a `revision` that is a
    commit, and, as a warning, finds Keras models loaded with `safe_mode=False`.

    ## Why it matters
    The Python files of the model's repository run with your rights. Whoever owns the repository, or takes it over, can
    change them after you looked: what was safe yesterday runs something else today.

    ## Do not flag
    Revisions pinned to a commit (40 hexadecimal digits), also in a variable; folders on the same machine; models and
    values that the caller chooses; tests.

    ## Fix safety
    No fix: somebody has to read the code of the commit that is pinned.

    ## References
    - https://huggingface.co/docs/transformers/models#custom-models
    - https://keras.io/api/models/model_saving_apis/model_saving_and_loading/
    """

    names = _LOADERS
    packages = TORCH | frozenset({"keras", "tensorflow", "sentence_transformers", "vllm"})
    examples = (
        Bad(
            """
            from transformers import AutoModelForCausalLM

            model = «AutoModelForCausalLM.from_pretrained("org/model", trust_remote_code=True)»
            """,
            advice=True,
        ),
        Bad(
            """
            from transformers import pipeline

            classify = «pipeline("text-classification", "org/model", revision="main", trust_remote_code=True)»
            """,
            advice=True,
        ),
        Bad(
            """
            from tensorflow import keras

            model = «keras.models.load_model("downloads/model.keras", safe_mode=False)»
            """
        ),
        Good(
            """
            from transformers import AutoModel, AutoTokenizer

            COMMIT = "7149d439536b3216fdaeeb975729fae923d5a4fd"
            model = AutoModel.from_pretrained("org/model", revision=COMMIT, trust_remote_code=True)
            tokenizer = AutoTokenizer.from_pretrained("org/model", trust_remote_code=args.trust_remote_code)
            chosen = AutoModel.from_pretrained(args.model, trust_remote_code=True)
            other = AutoModel.from_pretrained("org/other", trust_remote_code=False)
            local = AutoModel.from_pretrained("./checkpoints/mine", trust_remote_code=True)
            """,
            "pinned, chosen by the caller, or on the same machine",
        ),
        Good(
            """
            from tensorflow import keras

            model = keras.models.load_model("model.keras")
            """
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if _is_constant(argument(node, "safe_mode"), False) and module.called_name(node) == "load_model":
            message = (
                "`safe_mode=False` lets the file bring code of its own, which runs while the model is loaded. Leave it "
                "out, and register the layers that the model needs under their names."
            )
        elif _is_constant(argument(node, "trust_remote_code"), True) and not _is_known(node, module):
            message = (
                "This runs the Python files of the model's repository, in whatever state they are that day. Read them "
                "once, and pass `revision=` with the commit that you read."
            )
        else:
            return
        if not is_test(module):
            yield self.finding(module, node, message, advice=message.startswith("This"))


def _is_constant(value: ast.expr | None, wanted: bool) -> bool:
    return isinstance(value, ast.Constant) and value.value is wanted


def _is_known(call: ast.Call, module: Module) -> bool:
    """Whether the code is pinned to a commit, or where it comes from is not written here."""
    if passes_unseen_arguments(call):
        return True
    for name in ("revision", "code_revision"):
        given = argument(call, name)
        for origin in module.origins(given) if given is not None else ():
            # What is no constant was chosen somewhere else.
            if not isinstance(origin, ast.Constant) or _COMMIT.fullmatch(str(origin.value)):
                return True
    where = argument(call, "pretrained_model_name_or_path", 0)
    if last_name(call.func) == "pipeline":
        where = argument(call, "model", 1)
    return where is None or not all(map(_is_repository, module.origins(where)))


def _is_repository(origin: ast.expr) -> bool:
    """Whether a model's name is written in the code and that of a repository, `organisation/model`."""
    match origin:
        case ast.Constant(value=str(name)):
            return bool(_REPOSITORY.fullmatch(name))
    return False
