"""How `torch.cuda.amp` is written as `torch.amp`, with the same arguments and the same outcome."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from mlrules_mcp.checks.check import safe
from mlrules_mcp.findings import Edit, Fix, InsertBefore, RemoveStatement, Replace, Span
from mlrules_mcp.source import Module

# The parameters of torch.cuda.amp, in order; those of torch.amp have the device in front, or their own order.
PARAMETERS = {
    "autocast": ("enabled", "dtype", "cache_enabled"),
    "GradScaler": ("init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled"),
    "custom_fwd": (),
    "custom_bwd": (),
}
_MODULES = {"torch.cuda.amp", "torch.cuda.amp.autocast_mode", "torch.cuda.amp.grad_scaler"}


def amp_fix(module: Module, uses: Sequence[ast.expr]) -> Fix | None:
    """The edits that take every use of a module, and the imports that they go through, to `torch.amp`.

    None where a use can't be rewritten: the class itself is handed on, or the import has a fallback.

    Args:
        uses: the calls and the bare decorators of `torch.cuda.amp` in the module, all of them.
    """
    if _compares_classes(module):
        return None
    edits: list[Edit] = []
    imports: dict[ast.Import | ast.ImportFrom, None] = {}
    for use in uses:
        callee = use.func if isinstance(use, ast.Call) else use
        name, text = _base(callee), module.text(callee)
        statement = _amp_import(module, name)
        if statement is not None:
            if statement not in imports and not _is_rewritable(module, statement, uses):
                return None
            imports[statement] = None
        elif ".cuda.amp." in text and module.qualified_name(name) == "torch":
            text = text.replace(".cuda.amp.", ".amp.")
        else:
            return None
        code = _rewritten(module, use, text)
        if code is None:
            return None
        edits.append(Replace(Span.of(use), code))
    for rewritten in imports:
        edits += _import_edits(rewritten)
    return safe("Write torch.amp", *edits)


def _compares_classes(module: Module) -> bool:
    """Whether there is `isinstance(scaler, torch.cuda.amp.GradScaler)`, which no scaler of `torch.amp` is."""
    return any(
        isinstance(part, ast.Attribute) and ".cuda.amp." in module.text(part)
        for call in module.calls("isinstance")
        for kinds in call.args[1:]
        for part in module.walk(kinds)
    )


def _base(expression: ast.expr) -> ast.expr:
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return expression


def _amp_import(module: Module, name: ast.expr) -> ast.Import | ast.ImportFrom | None:
    """The one statement that binds a name to `torch.cuda.amp` or a part of it."""
    bindings = module.bindings.get(name.id, []) if isinstance(name, ast.Name) else []
    if len(bindings) != 1 or not isinstance(bindings[0].node, ast.alias):
        return None
    statement = module.parent(bindings[0].node)
    match statement:
        case ast.ImportFrom(module="torch.cuda"):
            return statement if bindings[0].node.name == "amp" else None
        case ast.ImportFrom(module=str() as package) if package in _MODULES:
            return statement
        case ast.Import() if bindings[0].node.name == "torch.cuda.amp" and bindings[0].node.asname:
            return statement
    return None


def _is_rewritable(module: Module, statement: ast.Import | ast.ImportFrom, uses: Sequence[ast.expr]) -> bool:
    """Whether an import stands alone, and all that is done with its names is among the uses, or an annotation."""
    if module.parent(statement) is not module.tree and not _is_plain_block(module.parent(statement)):
        return False
    known = {_base(use.func if isinstance(use, ast.Call) else use) for use in uses}
    moved = {alias.asname or alias.name for alias in statement.names if _is_moved(statement, alias)}
    return all(
        name in known or _is_type(module, name)
        for name in module.nodes(ast.Name)
        if name.id in moved and isinstance(name.ctx, ast.Load)
    )


def _is_plain_block(parent: ast.AST | None) -> bool:
    return isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef)


def _is_type(module: Module, name: ast.Name) -> bool:
    """Whether a name stands where a class is named and not called: an annotation, or `isinstance`."""
    child: ast.AST = name
    for ancestor in module.ancestors(name):
        match ancestor:
            case ast.arg() | ast.AnnAssign():
                return child is ancestor.annotation
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return child is ancestor.returns
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, *_]):
                return True
            case ast.stmt():
                return False
        child = ancestor
    return False


def _is_moved(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    if isinstance(statement, ast.Import):
        return alias.name == "torch.cuda.amp"
    return alias.name == "amp" if statement.module == "torch.cuda" else alias.name in PARAMETERS


def _import_edits(statement: ast.Import | ast.ImportFrom) -> Iterator[Edit]:
    """The statement without what moves, and one that imports that from its new place."""
    lines: list[str] = []
    moved = [alias for alias in statement.names if _is_moved(statement, alias)]
    kept = [alias for alias in statement.names if alias not in moved]
    if isinstance(statement, ast.Import):
        lines += [f"import {', '.join(map(ast.unparse, kept))}"] if kept else []
        lines += [f"import torch.amp as {alias.asname}" for alias in moved]
    else:
        lines += [f"from {statement.module} import {', '.join(map(ast.unparse, kept))}"] if kept else []
        package = "torch" if statement.module == "torch.cuda" else "torch.amp"
        lines.append(f"from {package} import {', '.join(map(ast.unparse, moved))}")
    yield InsertBefore(Span.of(statement), "\n".join(lines))
    yield RemoveStatement(Span.of(statement))


def _rewritten(module: Module, use: ast.expr, callee: str) -> str | None:
    """A use as a call of `torch.amp` for the device "cuda"; None where it passes arguments that can't be seen."""
    if not isinstance(use, ast.Call):
        return f'{callee}(device_type="cuda")'
    member = (module.qualified_name(use.func) or "").rpartition(".")[2]
    device = '"cuda"' if member in {"autocast", "GradScaler"} else 'device_type="cuda"'
    if any(isinstance(arg, ast.Starred) for arg in use.args) or len(use.args) > len(PARAMETERS[member]):
        return None
    if use.args:
        given = [f"{name}={module.text(arg)}" for name, arg in zip(PARAMETERS[member], use.args, strict=False)]
        given += [f"{k.arg}={module.text(k.value)}" if k.arg else f"**{module.text(k.value)}" for k in use.keywords]
        return f"{callee}({', '.join([device, *given])})"
    inside = module.text(use)[len(module.text(use.func)) :].strip()[1:-1]
    if not inside.strip():
        return f"{callee}({device})"
    space = inside[: len(inside) - len(inside.lstrip())]
    space = space if "\n" in space else ""
    return f"{callee}({space}{device},{space or ' '}{inside.lstrip()})"
