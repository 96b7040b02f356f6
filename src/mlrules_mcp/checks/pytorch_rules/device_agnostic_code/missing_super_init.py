from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks.check import Bad, Check, Good, safe
from mlrules_mcp.findings import Finding, Fix, InsertBefore, RemoveStatement, Span
from mlrules_mcp.source import Module
from mlrules_mcp.source.tree import Function
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE

_REGISTRATIONS = frozenset({"register_buffer", "register_parameter", "register_module", "add_module"})


class MissingSuperInit(Check[ast.ClassDef]):
    """A module whose `__init__` does not first call that of `nn.Module`.

    ## What it does
    Finds subclasses of `nn.Module` and LightningModule whose `__init__` assigns layers, parameters or buffers before
    `super().__init__()`, or never calls it.

    ## Why it matters
    `nn.Module.__init__` makes the registers that hold a module's parts. Without them the first assignment of a layer
    raises an AttributeError ("cannot assign module before Module.__init__() call"), and a module without
    layers raises one when it is called or moved to a device.

    ## Do not flag
    Classes that inherit `__init__`, that call the `__init__` of a base class by its name or through a helper, that
    have a `__new__` or a metaclass, and plain attributes that are set before `super().__init__()`, which works.

    ## Fix safety
    Safe: the class can't be used as it is. There is a fix where no base needs arguments.

    ## References
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html
    """

    examples = (
        Bad(
            """
            import torch
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size):
                    '''A layer.'''
                    self.size = size
                    «self.layer = nn.Linear(size, size)»

                def forward(self, x):
                    return self.layer(x)
            """,
            safe_fix="""
            import torch
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size):
                    '''A layer.'''
                    super().__init__()
                    self.size = size
                    self.layer = nn.Linear(size, size)

                def forward(self, x):
                    return self.layer(x)
            """,
        ),
        Bad(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size):
                    «self.layer = nn.Linear(size, size)»
                    super(Net, self).__init__()
                    self.head = nn.Linear(size, 1)
            """,
            safe_fix="""
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size):
                    super().__init__()
                    self.layer = nn.Linear(size, size)
                    self.head = nn.Linear(size, 1)
            """,
        ),
        Bad(
            """
            import pytorch_lightning as pl
            import torch

            class Model(pl.LightningModule):
                def __init__(self, net, rate=1e-3):
                    self.rate = rate
                    if rate:
                        «self.register_buffer("mean", torch.zeros(3))»
            """,
            safe_fix="""
            import pytorch_lightning as pl
            import torch

            class Model(pl.LightningModule):
                def __init__(self, net, rate=1e-3):
                    super().__init__()
                    self.rate = rate
                    if rate:
                        self.register_buffer("mean", torch.zeros(3))
            """,
        ),
        Bad(
            """
            import torch.nn as nn

            class FocalLoss(nn.Module):
                def __init__(self, gamma):
                    «self.gamma = gamma»

                def forward(self, x, y):
                    return ((1 - x) ** self.gamma * y).mean()
            """,
            safe_fix="""
            import torch.nn as nn

            class FocalLoss(nn.Module):
                def __init__(self, gamma):
                    super().__init__()
                    self.gamma = gamma

                def forward(self, x, y):
                    return ((1 - x) ** self.gamma * y).mean()
            """,
        ),
        Bad(
            """
            import torch
            from torch.nn import Module, Parameter

            class Base(Module):
                def __init__(self, size):
                    super().__init__()
                    self.size = size

            class Scale(Base):
                def __init__(self, size):
                    «self.scale = Parameter(torch.ones(size))»

            class Plain(Module):
                pass

            class Shift(Plain):
                def __init__(self, size):
                    «self.shift = Parameter(torch.ones(size))»
            """,
            safe_fix="""
            import torch
            from torch.nn import Module, Parameter

            class Base(Module):
                def __init__(self, size):
                    super().__init__()
                    self.size = size

            class Scale(Base):
                def __init__(self, size):
                    self.scale = Parameter(torch.ones(size))

            class Plain(Module):
                pass

            class Shift(Plain):
                def __init__(self, size):
                    super().__init__()
                    self.shift = Parameter(torch.ones(size))
            """,
        ),
        Good(
            """
            from torch import nn

            class A(nn.Module):
                def __init__(self, size):
                    super().__init__()
                    self.layer = nn.Linear(size, size)

            class B(nn.Module):
                def __init__(self, size):
                    nn.Module.__init__(self)
                    self.layer = nn.Linear(size, size)

            class C(A):
                def forward(self, x):
                    return self.layer(x)

            class D(nn.Linear):
                def __init__(self, size):
                    super(D, self).__init__(size, size)
                    self.norm = nn.LayerNorm(size)
            """
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size):
                    self.size = size
                    layer = nn.Linear(size, size)
                    super().__init__()
                    self.layer = layer
            """,
            why="plain attributes may be set before",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size):
                    self.setup(size)
                    self.layer = nn.Linear(size, size)

                def setup(self, size):
                    super().__init__()
                    self.size = size
            """
        ),
        Good(
            """
            from torch import nn
            from .base import BaseNet

            class Trainer:
                def __init__(self):
                    self.net = nn.Linear(1, 1)

            class Net(BaseNet):
                def __init__(self):
                    self.net = nn.Linear(1, 1)
            """,
            why="the first is no module, and what the base of the second is can't be seen",
        ),
        Good(
            """
            from torch import nn

            class Net(nn.Module):
                def __init__(self, size, named):
                    if named:
                        nn.Module.__init__(self)
                    else:
                        super().__init__()
                    self.layer = nn.Linear(size, size)

            class Made(nn.Module):
                def __new__(cls, size):
                    made = super().__new__(cls)
                    nn.Module.__init__(made)
                    return made

                def __init__(self, size):
                    self.layer = nn.Linear(size, size)

            class Registered(nn.Module, metaclass=Registry):
                def __init__(self, size):
                    self.layer = nn.Linear(size, size)
            """
        ),
        Good(
            """
            from torch import nn

            class Guided(nn.Module):
                def __init__(self, original):
                    self.__dict__ = original.__dict__
                    self.guide = nn.Linear(4, 1)
            """,
            "it takes over a module that was initialised",
        ),
        Good(
            """
            from torch import nn

            class Interface(nn.Module):
                def __init__(self):
                    raise NotImplementedError

                def forward(self, x):
                    return x
            """
        ),
    )

    def check(self, node: ast.ClassDef, module: Module) -> Iterator[Finding]:
        init = next((method for method in module.methods(node) if method.name == "__init__"), None)
        if init is None or init.decorator_list or _starts_with_super(init) or not module.is_subclass(node, MODULE):
            return
        if node.keywords or module.method(node, "__new__") or _takes_over(init):
            return
        first = _first_super_call(module, node, init)
        before = init.body[: init.body.index(first)] if first in init.body else init.body
        place = next(
            (each for each in module.walk(before) if isinstance(each, ast.stmt) and _registers(module, each)), None
        )
        if first is not None and (place is None or first not in init.body):
            return
        place = place or _first_use(module, node, init)
        if place is None:
            return
        yield self.finding(
            module,
            place,
            "This raises an AttributeError, because the module's registers do not exist before `nn.Module.__init__` "
            "has run. Call `super().__init__()` first."
            if _registers(module, place)
            else "The module can't be called or moved to a device, because `nn.Module.__init__` never runs. "
            "Call `super().__init__()` first.",
            fix=_fix(module, node, init, first),
        )


def _starts_with_super(init: Function) -> bool:
    """Whether the first statement calls an `__init__`: so almost all do."""
    match _after_docstring(init)[0]:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="__init__"))):
            return True
    return False


def _first_super_call(module: Module, cls: ast.ClassDef, init: Function) -> ast.stmt | None:
    """The first statement of `__init__` that may run that of `nn.Module`: by itself, or in a method it calls.

    A statement of the function's own block is preferred; in a branch it may not run.
    """
    for statement in init.body:
        match statement:
            case ast.Expr(value=ast.Call() as call) if _may_initialise(module, cls, call):
                return statement
    for node in module.walk(init.body):
        if isinstance(node, ast.Call) and _may_initialise(module, cls, node):
            return module.statement(node)
    return None


def _may_initialise(module: Module, cls: ast.ClassDef, call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr="__init__" | "__setstate__"):
            return True
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))):
            return True
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            method = module.method(cls, name)
            return method is not None and "__init__" in ast.unparse(method)
    return False


def _registers(module: Module, statement: ast.stmt) -> bool:
    """Whether a statement registers a part of `self`: a layer, a parameter or a buffer."""
    match statement:
        case (
            ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self")), *_], value=value)
            | ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self")), value=ast.expr() as value)
        ):
            return module.is_instance(value, MODULE) or module.is_call_to(value, "torch.nn.Parameter")
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attribute))):
            return attribute in _REGISTRATIONS
    return False


def _first_use(module: Module, cls: ast.ClassDef, init: Function) -> ast.stmt | None:
    """Where to report a module that registers nothing, and fails as soon as it is called."""
    first = _after_docstring(init)[0]
    if module.method(cls, "forward") is None or isinstance(first, ast.Raise) or _is_text(first):
        return None
    return first


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _after_docstring(init: Function) -> list[ast.stmt]:
    return init.body[1:] if _is_text(init.body[0]) and len(init.body) > 1 else init.body


def _fix(module: Module, cls: ast.ClassDef, init: Function, late: ast.stmt | None) -> Fix | None:
    if not all(_takes_no_arguments(module, base) for base in cls.bases):
        return None
    insert = InsertBefore(Span.of(_after_docstring(init)[0]), "super().__init__()")
    match late:
        case None:
            return safe("Call super().__init__()", insert)
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(), attr="__init__"), args=[], keywords=[])):
            return safe("Call super().__init__() first", insert, RemoveStatement(Span.of(late)))
    return None


def _takes_no_arguments(module: Module, base: ast.expr) -> bool:
    """Whether the `__init__` of a base class can be called without arguments."""
    if module.qualified_name(base) in (MODULE, LIGHTNING_MODULE):
        return True
    local = module.local_class(base)
    if local is None:
        return False
    own = next((method for method in module.methods(local) if method.name == "__init__"), None)
    if own is None:
        return all(_takes_no_arguments(module, further) for further in local.bases)
    arguments = own.args
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return required <= 1 and None not in arguments.kw_defaults


def _takes_over(init: Function) -> bool:
    """Whether a module takes over all that another one has: `self.__dict__ = other.__dict__`."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == "__dict__" and isinstance(node.ctx, ast.Store)
        for node in ast.walk(init)
    )
