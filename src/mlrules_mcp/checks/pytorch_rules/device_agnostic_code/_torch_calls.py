"""What calls of PyTorch's own functions, methods and classes make, and where."""

from __future__ import annotations

import ast

from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# Methods whose result is no tensor, or one on the CPU.
HOST_METHODS = frozenset(
    "cpu numpy tolist item size dim numel nelement ndimension stride get_device element_size storage_offset type "
    "is_contiguous is_floating_point data_ptr keys items values __len__".split()
)
FACTORIES = frozenset(
    f"torch.{name}"
    for name in "arange as_tensor empty eye from_numpy full linspace logspace ones rand randint randn randperm tensor "
    "tril_indices triu_indices zeros hann_window hamming_window blackman_window bartlett_window kaiser_window".split()
)
LEGACY_FACTORIES = frozenset(
    f"torch.{name}Tensor" for name in ("", "Float", "Double", "Half", "Long", "Int", "Short", "Byte", "Bool")
)
MOVES = frozenset({"to", "cuda", "type_as", "to_device", "xpu", "npu", "mps", "type", "pin_memory"})
REDUCTIONS = frozenset({"sum", "mean", "max", "min", "prod", "item", "squeeze", "norm", "std", "var", "any", "all"})
VIEW_ATTRIBUTES = frozenset({"T", "mT", "H", "data", "real", "imag"})
_NO_TENSOR_RESULT = frozenset(
    "torch.is_tensor torch.numel torch.is_floating_point torch.is_complex torch.device torch.Size torch.is_nonzero "
    "torch.equal torch.allclose torch.manual_seed torch.get_default_dtype torch.finfo torch.iinfo torch.load".split()
)
_TENSOR_NAMESPACES = frozenset({"torch", "torch.nn.functional", "torch.linalg", "torch.fft", "torch.special"})
_WEIGHTLESS = pattern(
    r"(ReLU6?|LeakyReLU|ELU|SELU|CELU|GELU|SiLU|Mish|GLU|Tanh|Sigmoid|Softmax(2d|in)?|LogSoftmax|Softplus|Softsign|"
    r"Hardtanh|Hardswish|Hardsigmoid|Softshrink|Hardshrink|Tanhshrink|Threshold|LogSigmoid|Identity|Flatten|Unflatten|"
    r"Upsample|UpsamplingNearest2d|UpsamplingBilinear2d|PixelShuffle|PixelUnshuffle|ChannelShuffle|Fold|Unfold|"
    r"CosineSimilarity|PairwiseDistance|(Adaptive|Fractional)?(Max|Avg)(Un)?[Pp]ool[123]d|LPPool[12]d|"
    r"(Reflection|Replication|Zero|Constant|Circular)Pad[123]d|"
    r"(L1|MSE|SmoothL1|Huber|KLDiv|PoissonNLL|GaussianNLL|CosineEmbedding|MarginRanking|HingeEmbedding|SoftMargin|"
    r"TripletMargin|CTC|MultiLabelMargin)Loss)$"
)


def is_tensor_function(name: str | None) -> bool:
    """Whether a qualified name is a function of tensors: `torch.cat`, `torch.nn.functional.relu`."""
    package, _, last = (name or "").rpartition(".")
    return package in _TENSOR_NAMESPACES and last[:1].islower() and name not in _NO_TENSOR_RESULT


def is_weightless(name: str | None) -> bool:
    """Whether a class of `torch.nn` never has parameters or buffers: `torch.nn.ReLU`, `torch.nn.MSELoss`."""
    package, _, last = (name or "").rpartition(".")
    return package == "torch.nn" and bool(_WEIGHTLESS.match(last))


def all_arguments(call: ast.Call) -> list[ast.expr]:
    """The values that a call passes, by position and by keyword."""
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def only_converts(module: Module, call: ast.Call) -> bool:
    """Whether a `.to(…)` or `.type(…)` changes the dtype alone."""
    arguments = all_arguments(call)
    return bool(arguments) and all(is_dtype(module, argument) for argument in arguments)


def keeps_dimensions(index: ast.expr) -> bool:
    """Whether indexing surely leaves at least one dimension: a slice, `None` or `...` is in it."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(
        isinstance(part, ast.Slice) or (isinstance(part, ast.Constant) and part.value in (None, ...)) for part in parts
    )


def makes_scalar(module: Module, call: ast.Call) -> bool:
    """Whether a factory call makes, or may make, a tensor of no dimensions, which may meet any device."""
    name = (module.qualified_name(call.func) or "").rpartition(".")[2]
    first = argument(call, "size", 0)
    if name in {"tensor", "as_tensor"}:
        first = argument(call, "data", 0)
        return first is None or not all(
            isinstance(origin, ast.List | ast.ListComp | ast.Tuple) for origin in module.origins(first)
        )
    match first:
        case ast.Tuple(elts=[]) | ast.List(elts=[]):
            return name not in {"Tensor", "FloatTensor", "LongTensor"}
    return False


def made_on_cpu(module: Module, call: ast.expr) -> bool:
    """Whether an expression is a call that makes a new tensor and leaves the device to the default."""
    if not isinstance(call, ast.Call) or any(
        keyword.arg in (None, "device", "out", "pin_memory") for keyword in call.keywords
    ):
        return False
    name = module.qualified_name(call.func)
    if name in {"torch.tensor", "torch.as_tensor"}:  # of a tensor, it stays on its device
        data = argument(call, "data", 0)
        return data is not None and all(map(_is_no_tensor, module.origins(data))) and not _is_empty(call)
    return name in LEGACY_FACTORIES or (name in FACTORIES and not _is_empty(call))


def _is_no_tensor(data: ast.expr) -> bool:
    match data:
        case ast.Constant() | ast.List() | ast.ListComp() | ast.Tuple():
            return True
        case ast.Call(func=ast.Name(id="float" | "int" | "len") | ast.Attribute(attr="item" | "tolist")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math" | "np"))):
            return True
        case ast.UnaryOp(operand=operand):
            return _is_no_tensor(operand)
        case ast.BinOp(left=left, right=right):
            return _is_no_tensor(left) and _is_no_tensor(right)
    return False


def _is_empty(call: ast.Call) -> bool:
    """Whether a factory call makes a tensor without elements, which some operations take from anywhere."""
    match call:
        case ast.Call(func=ast.Attribute(attr="tensor") | ast.Name(id="tensor"), args=[ast.List(elts=[]), *_]):
            return True
        case ast.Call(func=ast.Attribute(attr="zeros" | "ones" | "empty" | "rand" | "randn"), args=sizes):
            return any(isinstance(size, ast.Constant) and size.value == 0 for size in sizes)
    return False


def goes_to_cpu(module: Module, call: ast.Call) -> bool:
    """Whether a `.to(…)` names the CPU, and nothing else."""
    device = argument(call, "device", 0)
    return device is not None and is_cpu(module, device)


def is_cpu(module: Module, device: ast.expr) -> bool:
    """Whether a device is the CPU wherever the code runs: `"cpu"`, or a variable that always is."""
    origins = module.origins(device)
    for origin in origins:
        match origin:
            case ast.Constant(value="cpu"):
                continue
            case ast.Call(args=[ast.Constant(value="cpu"), *_]) if module.is_call_to(origin, "torch.device"):
                continue
        return False
    return bool(origins)


def is_dtype(module: Module, expression: ast.expr) -> bool:
    """Whether an argument of `.to(…)` is a dtype rather than a device."""
    name = module.qualified_name(expression) or ""
    if name.startswith("torch.") and name.rpartition(".")[2][:1].islower():
        return True
    return isinstance(expression, ast.Attribute) and expression.attr == "dtype"
