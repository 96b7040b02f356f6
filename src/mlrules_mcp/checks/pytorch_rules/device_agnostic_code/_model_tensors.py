"""What the checks of device-agnostic code share: which values in a module's methods lie on the model's device."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

from mlrules_mcp.checks.pytorch_rules.device_agnostic_code._torch_calls import (
    FACTORIES,
    HOST_METHODS,
    goes_to_cpu,
    is_tensor_function,
    is_weightless,
)
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import STEP_METHODS
from mlrules_mcp.source.names import argument
from mlrules_mcp.source.scopes import Binding
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

# What a tensor has and a number has not.
_TENSOR_MEMBERS = frozenset(
    "abs argmax bmm chunk clamp contiguous cpu cuda detach device dim dtype expand expand_as exp flatten float gather "
    "is_cuda log long masked_fill matmul mean mul ndim new_empty new_full new_ones new_tensor new_zeros norm numel "
    "permute pow repeat requires_grad reshape scatter shape sigmoid size softmax split sqrt squeeze sum tanh to "
    "transpose type_as unbind unfold unsqueeze view view_as".split()
)
# Members of a tensor, or of a batch of tensors, that are no tensors.
_NOT_TENSORS = frozenset(
    "shape device dtype ndim is_cuda requires_grad layout names nbytes itemsize is_sparse is_leaf grad_fn training "
    "keys values items num_graphs num_nodes num_edges batch_size".split()
)
_COUNT = pattern(r"^(n|num|max|min|is|has|len)_|_(size|len|length|dim|dims|shape|id|name)$|^(size|len|length|dim)s?$")
_MODEL_MAKERS = ("torchvision.models.", "timm.", "segmentation_models_pytorch.", "torchmetrics.", "torch_geometric.nn.")
_OF_DATA = frozenset({"torch.tensor", "torch.as_tensor", "torch.from_numpy"})
_NUMBER_NAME = pattern(
    r"^(t|i|idx|index|step|steps|epoch|n|num|length|size|batch_size|shape|device)$|_(len|size|dim)$|^(n|num)_"
)
_NUMBER_TYPE = pattern(r"(typing\.)?(Optional\[)?(int|float|bool|str|torch\.(Size|dtype|device))\b|None$")


class ModelTensors:
    """The methods of a file's `nn.Module` classes that run on the model's device, and the tensors in them."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._on_model: dict[ast.expr, bool] = {}
        self._modules: dict[ast.expr, bool] = {}

    @cached_property
    def _model_functions(self) -> frozenset[Function]:
        """The step methods of the modules, and what these call of their own methods and of the file's functions."""
        module = self.module
        pending = [
            method
            for cls in module.nodes(ast.ClassDef)
            if module.is_subclass(cls, MODULE)
            for name in sorted(STEP_METHODS)
            if (method := module.method(cls, name))
        ]
        reached: set[Function] = set()
        while pending:
            function = pending.pop()
            if function in reached or function.name == "__init__":
                continue
            reached.add(function)
            for node in module.walk(function.body, into_functions=True):
                if isinstance(node, ast.Call) and (called := module.local_function(node)):
                    pending.append(called)  # noqa: PERF401 - while it is read
        return frozenset(reached)

    def runs_in_model(self, node: ast.AST) -> bool:
        """Whether a node runs when a module is applied to a batch: in a step method, or in what one calls."""
        return self.module.enclosing_function(node) in self._model_functions

    def on_model(self, expression: ast.expr) -> bool:
        """Whether a value is seen to be a tensor on the model's device, or a collection that holds such tensors.

        What a step method is given, what the module's layers return, its parameters and buffers, and what is
        computed from these.
        """
        if expression not in self._on_model:
            self._on_model[expression] = False  # what is computed from itself alone is no evidence
            self._on_model[expression] = self._is_on_model(expression)
        return self._on_model[expression]

    def _is_on_model(self, expression: ast.expr) -> bool:
        match expression:
            case ast.Name():
                return any(self._binding_on_model(binding) for binding in self.module.reaching(expression))
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                return self._is_registered(expression, attribute)
            case ast.Attribute(value=value, attr=attribute):
                if attribute in {"weight", "bias"} and self.is_layer(value):
                    return True
                return attribute not in _NOT_TENSORS and not _COUNT.search(attribute) and self.on_model(value)
            case ast.Call():
                return self._call_on_model(expression)
            case ast.BinOp(left=left, right=right):
                return self.on_model(left) or self.on_model(right)
            case ast.Compare(left=left, comparators=others, ops=operators):
                if any(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in operators):
                    return False
                return any(map(self.on_model, (left, *others)))
            case ast.IfExp(body=body, orelse=orelse):
                return self.on_model(body) or self.on_model(orelse)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return any(map(self.on_model, parts))
            case ast.UnaryOp(operand=value, op=ast.USub() | ast.Invert() | ast.UAdd()):
                return self.on_model(value)
            case (
                ast.Subscript(value=value)
                | ast.Starred(value=value)
                | ast.NamedExpr(value=value)
                | ast.ListComp(elt=value)
                | ast.GeneratorExp(elt=value)
            ):
                return self.on_model(value)
        return False

    def _binding_on_model(self, binding: Binding) -> bool:
        match binding:
            case Binding(kind="parameter", node=ast.arg() as arg):
                return self.is_tensor_parameter(arg, binding.value)
            case Binding(kind="loop", value=ast.Call(func=ast.Name(id="enumerate"), args=[first, *_]), index=index):
                return index == 1 and self.on_model(first)
            case Binding(kind="loop", value=ast.Call(func=ast.Name(id="zip"), args=args), index=int() as index):
                return index < len(args) and self.on_model(args[index])
            case Binding(kind="assignment" | "unpacking" | "augmented" | "loop", value=ast.expr() as value):
                return self.on_model(value)
        return False

    def is_tensor_parameter(self, arg: ast.arg, default: ast.expr | None) -> bool:
        """Whether a parameter of a model method is a tensor on the model's device.

        That of a step method is one where it is annotated or used like a tensor, or is a Lightning batch; that of
        another function, where all calls in the model pass such a tensor for it.
        """
        function = self.module.enclosing_function(arg)
        if function not in self._model_functions or function is None:
            return False
        if arg not in parameters(self.module, function) or arg.arg == "batch_idx":
            return False
        if isinstance(default, ast.Constant) and default.value is not None:
            return False
        annotation = ast.unparse(arg.annotation) if arg.annotation is not None else ""
        if _NUMBER_TYPE.match(annotation):
            return False
        if function.name not in STEP_METHODS:  # other methods and functions, which are reached only by calls
            passed = list(self._passed_for(arg, function))
            return bool(passed) and all(map(self.on_model, passed))
        cls = self.module.enclosing_class(function)
        if cls and function.name.endswith("_step") and self.module.is_subclass(cls, LIGHTNING_MODULE):
            return function.args.args[1:2] == [arg]
        if "Tensor" in annotation or self._is_input(arg, function):
            return True
        return any(map(self._shows_tensor, self.uses(arg.arg, function)))

    def _is_input(self, arg: ast.arg, function: Function) -> bool:
        """Whether a parameter is the first of `forward`, and neither its name nor its use says that it is a number."""
        if function.name != "forward" or arg is not parameters(self.module, function)[0] or arg.annotation is not None:
            return False
        return not _NUMBER_NAME.search(arg.arg) and not any(map(self._shows_number, self.uses(arg.arg, function)))

    def _shows_number(self, use: ast.Name) -> bool:
        """Whether a variable is used as a count: in `range(n)`, or as the size of a new tensor."""
        match self.module.parent(use):
            case ast.Call(func=func, args=args) if use in args:
                name = self.module.qualified_name(func)
                return name == "builtins.range" or name in FACTORIES - _OF_DATA
        return False

    def _passed_for(self, arg: ast.arg, function: Function) -> Iterator[ast.expr]:
        """What the model's functions pass for a parameter of another."""
        for call in self.module.calls(function.name):
            if self.module.local_function(call) is function and self.runs_in_model(call):
                for parameter, value in passed_arguments(self.module, call, function):
                    if parameter is arg:
                        yield value

    def _shows_tensor(self, use: ast.Name) -> bool:
        parent = self.module.parent(use)
        match parent:
            case ast.Attribute(attr=attribute):
                return attribute in _TENSOR_MEMBERS
            case ast.Call(func=func, args=args) if use in args:
                name = self.module.qualified_name(func)
                if is_tensor_function(name):
                    return args[0] is use and name not in FACTORIES
                return self.is_layer(func) or self._is_unseen_member(func)
        return False

    def uses(self, name: str, function: ast.AST) -> Iterator[ast.Name]:
        """Every place in a function that reads a variable."""
        for use in self._loads.get(name, ()):
            if self.module.is_inside(use, function):
                yield use

    @cached_property
    def _loads(self) -> dict[str, list[ast.Name]]:
        loads: dict[str, list[ast.Name]] = {}
        for name in self.module.nodes(ast.Name):
            if isinstance(name.ctx, ast.Load):
                loads.setdefault(name.id, []).append(name)
        return loads

    def _is_registered(self, expression: ast.expr, attribute: str) -> bool:
        """Whether `self.<attribute>` is a parameter or a buffer of the class around it."""
        module = self.module
        cls = module.enclosing_class(expression)
        if cls is None or not module.is_subclass(cls, MODULE):
            return False
        if any(module.is_call_to(v, "torch.nn.Parameter", "torch.nn.Buffer") for v in self.assigned(cls, attribute)):
            return True
        return any(
            isinstance(first := argument(call, "name", 0), ast.Constant) and first.value == attribute
            for call in module.calls("register_buffer", "register_parameter")
            if module.enclosing_class(call) is cls
        )

    def assigned(self, cls: ast.ClassDef, attribute: str) -> list[ast.expr]:
        """The values that `self.<attribute>` is seen to have, followed through variables."""
        return [
            origin for value in self.module.attribute_values(cls, attribute) for origin in self.module.origins(value)
        ]

    def _call_on_model(self, call: ast.Call) -> bool:
        module = self.module
        func = call.func
        name = module.qualified_name(func)
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if is_tensor_function(name):
            return name not in FACTORIES and any(map(self.on_model, arguments))
        if (function := module.local_function(call)) is not None:
            return any(map(self.on_model, returned_values(module, function)))
        match func:
            case ast.Attribute(attr="forward", value=ast.Call(func=ast.Name(id="super"))):
                return any(map(self.on_model, arguments))
            case ast.Attribute(attr="to", value=value):
                return self.on_model(value) and not goes_to_cpu(module, call)
        if name is not None or self.is_layer(func):
            return self.is_layer(func)
        if self._is_unseen_member(func):
            return any(map(self.on_model, arguments))
        match func:
            case ast.Attribute(value=value, attr=attribute):
                return attribute not in HOST_METHODS and self.on_model(value)
        return False

    def _is_unseen_member(self, func: ast.expr) -> bool:
        """Whether it is `self.<attribute>` that a class got from outside: a backbone, most likely."""
        match func:
            case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                cls = self.module.enclosing_class(func)
                return cls is not None and bool(self.module.attribute_values(cls, attribute))
        return False

    def is_layer(self, expression: ast.expr) -> bool:
        """Whether a value is seen to be a module: `self` of one, a layer in its attributes or in a list of layers."""
        if expression not in self._modules:
            self._modules[expression] = False
            self._modules[expression] = any(map(self._is_layer, self.module.origins(expression)))
        return self._modules[expression]

    def has_weights(self, layer: ast.expr) -> bool:
        """Whether a layer may have parameters or buffers: all but the activations, losses and such of `torch.nn`."""
        return any(not self._is_weightless(origin) for origin in self.module.origins(layer))

    def _is_weightless(self, origin: ast.expr) -> bool:
        return isinstance(origin, ast.Call) and is_weightless(self.module.qualified_name(origin.func))

    def _is_layer(self, origin: ast.expr) -> bool:
        module = self.module
        match origin:
            case ast.Name(id="self"):
                cls = module.enclosing_class(origin)
                return cls is not None and module.is_subclass(cls, MODULE)
            case ast.Name():
                return any(
                    binding.kind == "loop" and binding.value is not None and self._yields_layers(binding)
                    for binding in module.reaching(origin)
                )
            case ast.Subscript(value=value) | ast.ListComp(elt=value):
                return self.is_layer(value)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return any(map(self.is_layer, parts))
            case ast.Call() as call:
                return self._makes_layer(call)
        return False

    def _yields_layers(self, binding: Binding) -> bool:
        match binding:
            case Binding(value=ast.Call(func=ast.Name(id="enumerate"), args=[first, *_]), index=1):
                return self.is_layer(first)
            case Binding(value=ast.Call(func=ast.Name(id="zip"), args=args), index=int() as index):
                return index < len(args) and self.is_layer(args[index])
        return binding.value is not None and self.is_layer(binding.value)

    def _makes_layer(self, call: ast.Call) -> bool:
        module = self.module
        if module.is_instance(call, MODULE):
            return True
        name = module.qualified_name(call.func) or ""
        if name.startswith(_MODEL_MAKERS) or name.rpartition(".")[2] == "from_pretrained":
            return True
        # self.encoder = Encoder(…), imported from a file that isn't seen
        inside = module.enclosing_class(call)
        last = name.rpartition(".")[2]
        return (
            inside is not None
            and module.is_subclass(inside, MODULE)
            and isinstance(module.parent(call), ast.Assign)
            and last[:1].isupper()
            and not last.endswith(("Config", "Params", "Args", "Scheduler", "Tokenizer", "Processor"))
            and not name.startswith(("torch.", "builtins.", "numpy.", "collections."))
            and name.partition(".")[0] not in {"omegaconf", "pathlib", "lightning"}
        )


def model_tensors(module: Module) -> ModelTensors:
    """The model tensors of a file, shared by the checks that ask for them."""
    return module.fact(ModelTensors)


def returned_values(module: Module, function: Function) -> list[ast.expr]:
    """What a function's own `return` statements return."""
    return [
        node.value
        for node in module.walk(function.body)
        if isinstance(node, ast.Return) and node.value is not None and module.enclosing_function(node) is function
    ]


def parameters(module: Module, function: Function) -> list[ast.arg]:
    """The parameters of a function that a call passes values for, without `self`, `*args` and `**kwargs`."""
    positional = [*function.args.posonlyargs, *function.args.args]
    is_static = any(isinstance(name, ast.Name) and name.id == "staticmethod" for name in function.decorator_list)
    if isinstance(module.parent(function), ast.ClassDef) and not is_static:
        del positional[:1]
    return [*positional, *function.args.kwonlyargs]


def passed_arguments(module: Module, call: ast.Call, function: Function) -> Iterator[tuple[ast.arg, ast.expr]]:
    """The parameters of a local function or method, and what a call is seen to pass for them."""
    possible = parameters(module, function)
    positional = [arg for arg in possible if arg not in function.args.kwonlyargs]
    for arg, value in zip(positional, call.args, strict=False):
        if isinstance(value, ast.Starred):
            break
        yield arg, value
    by_name = {arg.arg: arg for arg in possible}
    for keyword in call.keywords:
        if keyword.arg in by_name:
            yield by_name[keyword.arg], keyword.value
