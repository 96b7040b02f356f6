"""What a metric gets: classes that a classifier decided on, or scores."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._callers import origins_through_calls
from mlrules_mcp.checks._sklearn import CLASSIFIERS, REGRESSORS, class_name
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument

# Methods and functions that keep what is decided as it is.
_KEEP = frozenset(
    {"astype", "ravel", "flatten", "reshape", "to_numpy", "squeeze", "copy", "array", "asarray", "tolist"}
)
_MOST_STEPS = 60


def decided(module: Module, scores: ast.expr) -> ast.expr | None:
    """Where a value was decided on, if it is classes for certain; None where it may be anything else.

    A call of a classifier's `predict`, a comparison with a threshold or an `argmax`.
    """
    found: ast.expr | None = None
    pending, seen = [scores], set[ast.expr]()
    while pending and len(seen) < _MOST_STEPS:
        for origin in map(_bare, module.origins(pending.pop())):
            if origin in seen:
                continue
            seen.add(origin)
            if isinstance(origin, ast.Name) and module.origins(origin) != [origin]:
                pending.append(origin)
            elif (decision := _decided(module, origin)) is None:
                return None
            else:
                found = decision
    return found


def _bare(expression: ast.expr) -> ast.expr:
    """What an array is made from, without changes of its type and shape."""
    while True:
        match expression:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name), args=[inner, *_]) if (
                name in _KEEP
            ):
                expression = inner
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _KEEP:
                expression = inner
            case _:
                return expression


def _decided(module: Module, origin: ast.expr) -> ast.expr | None:
    match origin:
        case ast.Compare(ops=[ast.Gt() | ast.GtE() | ast.Lt() | ast.LtE()], comparators=[ast.Constant(value=float())]):
            return origin
        case ast.BinOp(left=ast.Compare() as compare, op=ast.Mult(), right=ast.Constant(value=1)):
            return _decided(module, compare)
        case ast.Call(args=[ast.Compare() as compare, ast.Constant(), ast.Constant()]) if (
            module.qualified_name(origin.func) == "numpy.where"
        ):
            return _decided(module, compare)
        case ast.Call() if module.qualified_name(origin.func) in ("numpy.argmax", "torch.argmax"):
            return origin
        case ast.Call(func=ast.Attribute(value=model, attr="predict")):
            return origin if is_classifier(module, model) else None
        case ast.Call(args=[model, *_]) if class_name(module, origin) == "cross_val_predict":
            return origin if argument(origin, "method") is None and is_classifier(module, model) else None
    return None


def is_classifier(module: Module, model: ast.expr) -> bool:
    """Whether a model is seen to be a classifier of scikit-learn's kind, alone, in a pipeline or in a search."""
    made = set(_learners(module, model))
    return bool(made) and made <= CLASSIFIERS


def _learners(module: Module, model: ast.expr) -> Iterator[str]:
    """The names of the classes of learners that a model may be made of; an empty one for what does not show."""
    pending = [model]
    seen: set[ast.expr] = set()
    while pending and len(seen) < _MOST_STEPS:
        for origin in origins_through_calls(module, pending.pop()):
            if origin in seen:
                continue
            seen.add(origin)
            match origin:
                case ast.Call(func=ast.Attribute(value=inner, attr="fit" | "set_params")):
                    pending.append(inner)
                case ast.Call() if (name := class_name(module, origin)) is not None:
                    if name in CLASSIFIERS | REGRESSORS:
                        yield name
                    else:
                        parts = [*origin.args, *(keyword.value for keyword in origin.keywords)]
                        inside = [part for part in parts if not isinstance(part, ast.Constant | ast.Dict)]
                        yield from () if inside else [""]
                        pending.extend(inside[:1] if name not in ("Pipeline", "make_pipeline") else inside[-1:])
                case ast.List(elts=[*_, last]) | ast.Tuple(elts=[*_, last]):
                    pending.append(last)
                case ast.Name() if (values := _looped_over(module, origin)) is not None:
                    pending.extend(values)
                case _:
                    yield ""


def _looped_over(module: Module, name: ast.Name) -> list[ast.expr] | None:
    """The items that a loop variable goes through, where they are written out."""
    bindings = module.reaching(name)
    if len(bindings) != 1 or bindings[0].kind != "loop" or bindings[0].value is None:
        return None
    binding, iterable = bindings[0], bindings[0].value
    match iterable:
        case ast.Call(func=ast.Attribute(value=dictionary, attr="items" | "values" as method)):
            tables = [each for each in module.origins(dictionary) if isinstance(each, ast.Dict)]
            is_value = method == "values" or binding.index == 1
            return [value for table in tables for value in table.values] if tables and is_value else None
        case ast.Call(func=ast.Name(id="zip"), args=several) if binding.index is not None and binding.index < len(
            several
        ):
            iterable, index = several[binding.index], None
        case _:
            index = binding.index
    found: list[ast.expr] = []
    for origin in module.origins(iterable):
        if not isinstance(origin, ast.List | ast.Tuple):
            return None
        for item in origin.elts:
            match item:
                case ast.Tuple(elts=parts) | ast.List(elts=parts) if index is not None and index < len(parts):
                    found.append(parts[index])
                case _ if index is None:
                    found.append(item)
                case _:
                    return None
    return found or None
