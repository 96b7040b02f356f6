from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Check, suggested
from mlrules_mcp.checks.deployment_rules.model_serialization._downloads import is_downloaded
from mlrules_mcp.checks.deployment_rules.model_serialization._pickle_load_examples import EXAMPLES
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding, Fix, SetArgument, Span
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments
from mlrules_mcp.source.tree import code_of

_UNPICKLES = frozenset(
    f"{package}.{name}"
    for package in (
        "pickle",
        "_pickle",
        "cPickle",
        "dill",
        "cloudpickle",
        "joblib",
        "sklearn.externals.joblib",
        "six.moves.cPickle",
        "pickle5",
    )
    for name in ("load", "loads")
) | {"pandas.read_pickle", "pandas.io.pickle.read_pickle"}
_FROM_URL = frozenset({"torch.hub.load_state_dict_from_url", "torch.utils.model_zoo.load_url"})
_CHECKSUM = pattern(r"md5|sha256|sha1|sha512|check_integrity|hashlib|known_hash|file_hash")
_OWN_DATA = pattern(
    r"processed|cache|dataset|(^|[_.\"'/])(data|train|test|val|feat\w*|labels?|queue|outputs?|results?|preds?\w*)\b",
    re.IGNORECASE,
)
_MODEL_STATE = pattern(
    r"check_?point|ckpt|state|weight|model|(^|_)net(_|\b)|pretrain|resume|\.pth|encoder|generator|unet", re.IGNORECASE
)
_TRUST = pattern(r"trust", re.IGNORECASE)


class PickleLoad(Check[ast.Call]):
    """Unpickling what others may have written.

    ## What it does
    Finds `torch.load` with `weights_only=False` or a `pickle_module`, and `pickle`, `joblib`, `dill`, pandas or NumPy
    (`allow_pickle=True`) loading what was downloaded or came with a web request. `load_state_dict_from_url`, which
    unpickles by default, is advised against. Where the project declares a PyTorch below 2.6, whose default was
    `weights_only=False`, it finds `torch.load` without the argument too.

    ## Why it matters
    A pickle is a program: loading one runs what its writer put into it, with your rights. A checkpoint from a hub, or
    one that somebody else could change, then takes over the machine.

    ## Do not flag
    A bare `torch.load`, safe since PyTorch 2.6; files that the same code writes; what is no model's state, such as
    data that a project has processed itself; a second try after a safe one, and what asks whether a file may be
    trusted; downloads whose checksum is compared or whose revision is pinned to a commit; tests.

    ## Fix safety
    Suggested, where only a state dictionary is read: a checkpoint that holds other objects no longer loads.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only
    - https://docs.python.org/3/library/pickle.html
    - https://huggingface.co/docs/hub/security-pickle
    """

    names = frozenset({"load", "loads", "read_pickle", "load_state_dict_from_url", "load_url"})
    packages = (
        TORCH
        | SKLEARN
        | frozenset("pandas numpy joblib dill cloudpickle pickle keras tensorflow flask fastapi".split())
    )
    examples = EXAMPLES

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        name = module.qualified_name(node.func)
        if name == "torch.load":
            yield from self._torch_load(node, module)
        elif name in _FROM_URL:
            yield from self._from_url(node, module)
        elif (name in _UNPICKLES or _is_object_array(node, name)) and node.args and not is_test(module):
            if _is_of_request(node.args[0], module):
                yield self.finding(
                    module,
                    node,
                    "This unpickles what a request brought, so that whoever can reach the service can run code on it. "
                    "Take JSON, or arrays in a format that holds no code, and validate them.",
                    error=True,
                )
            elif is_downloaded(node.args[0], module) and not _CHECKSUM.search(module.source.code):
                yield self.finding(
                    module,
                    node,
                    "This unpickles a download, which runs whatever code its writer, or whoever replaced it, put in. "
                    "Use a format without code (safetensors, ONNX, skops, Parquet), or compare a checksum first.",
                )

    def _torch_load(self, call: ast.Call, module: Module) -> Iterator[Finding]:
        how = _unsafe_argument(call, module)
        if how is None or is_test(module) or not _is_model_state(call, module) or _is_trusted(call, module):
            return
        yield self.finding(
            module,
            call,
            f"{how} lets a file run any code while it is loaded: a checkpoint that others can change takes over the "
            "machine. Pass `weights_only=True`, and save what is no tensor as plain numbers, strings and dictionaries.",
            fix=_fix(call, module),
        )

    def _from_url(self, call: ast.Call, module: Module) -> Iterator[Finding]:
        alike = [each for each in _url_loads(module) if _is_explicit(each) == _is_explicit(call)]
        if not alike or alike[0] is not call or is_test(module):
            return  # one finding for all of a file
        edits = (SetArgument(Span.of(each), "weights_only", "True") for each in alike)
        yield self.finding(
            module,
            call,
            "This unpickles a download: unlike `torch.load`, it has `weights_only=False` as its default, so that "
            "the file may run any code. Pass `weights_only=True`, or `check_hash=True` for a name with a hash.",
            fix=suggested("Load tensors only", *edits),
            advice=not _is_explicit(call),
            also_at=alike[1:],
        )


def _is_object_array(call: ast.Call, name: str | None) -> bool:
    """Whether a call loads NumPy arrays that may hold pickled objects."""
    allowed = argument(call, "allow_pickle", 2)
    return name == "numpy.load" and isinstance(allowed, ast.Constant) and allowed.value is True


def _url_loads(module: Module) -> list[ast.Call]:
    """The calls that download a state and unpickle it unchecked."""
    return [
        call
        for call in module.calls("load_state_dict_from_url", "load_url")
        if module.qualified_name(call.func) in _FROM_URL
        and (argument(call, "weights_only", 6) is None or _is_explicit(call))
        and _is_false(argument(call, "check_hash", 4))
        and not passes_unseen_arguments(call)
    ]


def _is_explicit(call: ast.Call) -> bool:
    given = argument(call, "weights_only", 6)
    return given is not None and _is_false(given)


def _is_false(given: ast.expr | None) -> bool:
    return given is None or (isinstance(given, ast.Constant) and given.value is False)


def _unsafe_argument(call: ast.Call, module: Module) -> str | None:
    """What makes a `torch.load` unpickle everything, in the words of a message."""
    weights_only = argument(call, "weights_only")
    if weights_only is not None:
        values = module.origins(weights_only)
        always_off = all(isinstance(value, ast.Constant) and value.value is False for value in values)
        return "`weights_only=False`" if always_off else None
    if passes_unseen_arguments(call):
        return None
    if argument(call, "pickle_module", 2) is not None:
        return "A `pickle_module`"
    if not module.may_run_on("torch", "2.6"):
        return "`torch.load` below PyTorch 2.6"
    return None


def _is_model_state(call: ast.Call, module: Module) -> bool:
    """Whether what is loaded is called like the state of a model, or goes into one, and is no data of one's own."""
    path = argument(call, "f", 0)
    if path is None or any(module.is_call_to(origin, "io.BytesIO") for origin in module.origins(path)):
        return False
    places = [module.text(each) for each in (path, *module.origins(path))]
    if any(map(_OWN_DATA.search, places)) and not any(map(_MODEL_STATE.search, places)):
        return False
    words = list(places)
    match module.statement(call):
        case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
            words.append(module.text(target))
        case ast.Return():
            function = module.enclosing_function(call)
            words.append(function.name if function else "")
        case statement:
            words += [
                name
                for each in module.walk(statement)
                if isinstance(each, ast.Call) and (name := module.called_name(each))
            ]
    return any(map(_MODEL_STATE.search, words))


def _is_trusted(call: ast.Call, module: Module) -> bool:
    """Whether the module writes the file itself, has tried to load it safely, or asks whether it may be trusted."""
    path = argument(call, "f", 0)
    if path is not None:
        saved = [target for save in module.calls("save") if (target := argument(save, "f", 1)) is not None]
        written = {code_of(each) for target in saved for each in (target, *module.origins(target))}
        if any(code_of(each) in written for each in (path, *module.origins(path))):
            return True
    if any(isinstance(ancestor, ast.ExceptHandler) for ancestor in module.ancestors(call)):
        return True
    return any(_TRUST.search(ast.unparse(guard.test)) for guard in module.guards(call))


def _is_of_request(expression: ast.expr, module: Module, depth: int = 0) -> bool:
    """Whether a value is part of what a web request brought: `request.data`, the content of an `UploadFile`."""
    for origin in module.origins(expression):
        base: ast.expr = origin
        while isinstance(base, ast.Attribute | ast.Subscript | ast.Call):
            if isinstance(base, ast.Call) and base.args and depth < 3 and not isinstance(base.func, ast.Attribute):
                return _is_of_request(base.args[0], module, depth + 1)
            base = base.func if isinstance(base, ast.Call) else base.value
        if isinstance(base, ast.Name):
            if (module.qualified_name(base) or "").startswith("flask.request"):
                return True
            for binding in module.reaching(base):
                annotation = getattr(binding.node, "annotation", None)
                if annotation is not None and "UploadFile" in ast.unparse(annotation):
                    return True
    return False


def _fix(call: ast.Call, module: Module) -> Fix | None:
    """Pass `weights_only=True`, where nothing but a state dictionary is read from the file."""
    if argument(call, "pickle_module", 2) is not None:
        return None
    for ancestor in module.ancestors(call):
        if isinstance(ancestor, ast.Call) and module.called_name(ancestor) == "load_state_dict":
            return suggested("Load tensors only", SetArgument(Span.of(call), "weights_only", "True"))
        if isinstance(ancestor, ast.stmt):
            break
    return None
