from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mlrules_mcp.checks._sklearn import SKLEARN
from mlrules_mcp.checks.check import TORCH, Bad, Check, Good
from mlrules_mcp.checks.lightning_rules._classes import is_test
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.gradients import last_name
from mlrules_mcp.source.tree import FUNCTIONS

_GROWS = frozenset({"append", "extend", "add", "insert", "write", "update"})
_ONE_AT_A_TIME = pattern(
    r"VideoCapture|consumer|queue|socket|serial|\benv\b|\benvs\b|gym|episode|while True|webcam|pyaudio|kaggle_env|"
    r"perturb|adversarial",
    re.IGNORECASE,
)
_FEW = 10


class OneByOnePrediction(Check[ast.Call]):
    """A model that is asked for one prediction at a time in a loop.

    ## What it does
    Finds `predict`, `predict_proba` and the like in a loop or comprehension over rows, or in `apply`, on a batch that
    is made of the one row: `model.predict([row])`, `row.reshape(1, -1)`, `X[i : i + 1]`, `np.expand_dims(x, 0)`.

    ## Why it matters
    The cost of a call (checks, conversions, starting the computation) is paid per row instead of once: predicting rows
    one by one is commonly a hundred times slower than all at once.

    ## Do not flag
    Predictions whose input depends on the one before (forecasts, generated text, games), streams of frames or messages,
    inputs that an attack searches for, a handful of hand-written examples, whole batches; tests.

    ## Fix safety
    No fix: the rows have to be collected before the loop.

    ## References
    - https://scikit-learn.org/stable/computing/computational_performance.html#prediction-latency
    - https://keras.io/getting_started/faq/#whats-the-difference-between-model-methods-predict-and-call
    """

    names = frozenset({"predict", "predict_proba", "decision_function", "predict_classes", "predict_log_proba"})
    packages = TORCH | SKLEARN | frozenset("keras tensorflow pandas joblib pickle numpy".split())
    examples = (
        Bad(
            """
            import joblib

            model = joblib.load("model.joblib")
            labels = []
            for row in rows:
                labels.append(«model.predict([row])»[0])
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LogisticRegression

            model = LogisticRegression().fit(X, y)
            scores = [«model.predict_proba(x.reshape(1, -1))»[0, 1] for x in X_new]
            for i in range(len(X_test)):
                results.append(‹model.predict(X_test[i : i + 1])›)
            for i in range(len(X_test)):
                labels[i] = ‹model.predict([X_test[i]])›[0]
            """
        ),
        Bad(
            """
            import numpy as np
            from tensorflow import keras

            model = keras.models.load_model("model.keras")
            for path in image_paths:
                image = read(path)
                batch = np.expand_dims(image, axis=0)
                predictions.append(«model.predict(batch)».argmax())
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.ensemble import RandomForestClassifier

            model = RandomForestClassifier().fit(X, y)
            df["label"] = df["text"].apply(lambda text: «model.predict([text])»[0])
            """
        ),
        Good(
            """
            import joblib

            model = joblib.load("model.joblib")
            labels = model.predict(rows)
            for batch in batches:
                labels.extend(model.predict(batch))
            print(model.predict([[5.1, 3.5]]))
            """
        ),
        Good(
            """
            import numpy as np
            from tensorflow import keras

            window = history[-10:]
            for _ in range(30):
                step = model.predict(window.reshape(1, -1))[0]
                window = np.append(window[1:], step)
                forecast.append(step)
            """,
            "each needs the one before",
        ),
        Good(
            """
            import joblib

            for flower in [[5.1, 3.5], [6.2, 2.9], [4.9, 3.0]]:
                print(model.predict([flower]))
            """,
            "a handful of examples",
        ),
        Good(
            """
            import cv2
            import numpy as np
            from tensorflow import keras

            capture = cv2.VideoCapture(0)
            for frame in frames(capture):
                show(model.predict(np.expand_dims(frame, 0)))
            """,
            "frames come one at a time",
        ),
        Good(
            """
            import joblib
            from sklearn.svm import SVC

            for target in targets:
                image = original + perturbation(target)
                fooled.append(model.predict(image.reshape(1, -1)))
            """,
            "inputs that an attack searches for",
        ),
        Good(
            """
            import numpy as np
            from sklearn.model_selection import LeaveOneOut

            for train, test in LeaveOneOut().split(X):
                model.fit(X[train], y[train])
                predicted.append(model.predict(X[test].reshape(1, -1)))
            for model in models:
                votes.append(model.predict([sample]))
            """,
            "another model each time",
        ),
    )

    def check(self, node: ast.Call, module: Module) -> Iterator[Finding]:
        if len(node.args) != 1 or not isinstance(node.func, ast.Attribute):
            return
        row = _single_row(node.args[0], module)
        if row is None or is_test(module):
            return
        turn = _turn(node, module)
        if turn is None or not _goes_over_rows(turn, row, node, module):
            return
        yield self.finding(
            module,
            node,
            "The model is called once for each row, which pays for every call what all rows could share. Collect the "
            "rows first, and predict them in one call, or in batches.",
        )


def _single_row(batch: ast.expr, module: Module) -> ast.expr | None:
    """The row that a batch is made of, where it is made of one."""
    for origin in module.origins(batch):
        match origin:
            case ast.List(elts=[row]) if not isinstance(row, ast.Constant):
                return row
            case ast.Call(func=func, args=[ast.List(elts=[row])]) if last_name(func) in ("array", "asarray"):
                return row
            case ast.Call(func=ast.Attribute(attr="reshape", value=row), args=[ast.Constant(value=1), *_]):
                return row
            case ast.Call(func=func, args=[row, *rest], keywords=keywords) if last_name(func) == "expand_dims":
                axis = [*rest, *(keyword.value for keyword in keywords)]
                if any(isinstance(each, ast.Constant) and each.value == 0 for each in axis):
                    return row
            case ast.Subscript(value=ast.Attribute(attr="iloc" | "loc"), slice=ast.List(elts=[row])):
                return row
            case ast.Subscript(
                slice=ast.Slice(lower=ast.Name() as row, upper=ast.BinOp(op=ast.Add(), right=ast.Constant(value=1)))
            ):
                return row
            case ast.Subscript(
                value=row, slice=ast.Constant(value=None) | ast.Tuple(elts=[ast.Constant(value=None), *_])
            ):
                return row
            case ast.Subscript(value=row, slice=ast.Attribute(attr="newaxis")):
                return row
    return None


def _turn(call: ast.Call, module: Module) -> ast.AST | None:
    """What repeats a call for each row: a loop, a comprehension, or the function that `apply` is given."""
    for ancestor in module.ancestors(call):
        if isinstance(ancestor, ast.For | ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp):
            return ancestor
        if isinstance(ancestor, ast.Lambda):
            around = module.parent(ancestor)
            is_applied = isinstance(around, ast.Call) and last_name(around.func) in ("apply", "map")
            return ancestor if is_applied else None
        if isinstance(ancestor, (ast.While, *FUNCTIONS, ast.ClassDef)):
            return None
    return None


def _goes_over_rows(turn: ast.AST, row: ast.expr, call: ast.Call, module: Module) -> bool:
    assert isinstance(call.func, ast.Attribute)
    targets, iterables = _heads(turn)
    inputs = _inputs(row, turn, module)
    if targets.isdisjoint(inputs) or not targets.isdisjoint(_names(call.func.value)):
        return False
    if any(_is_short(iterable, module) for iterable in iterables) or _ONE_AT_A_TIME.search(module.source.code):
        return False
    if not isinstance(turn, ast.For):
        return True
    body = list(module.walk(turn.body))
    results = {
        name
        for node in body
        if isinstance(node, ast.Assign) and call in module.walk(node.value)
        for target in node.targets
        for name in _names(target.value if isinstance(target, ast.Subscript) else target)
    }
    if not results.isdisjoint(inputs) or any(
        isinstance(node, ast.Call) and last_name(node.func) in ("fit", "partial_fit") for node in body
    ):
        return False
    return any(_collects(node) for node in body)


def _heads(turn: ast.AST) -> tuple[set[str], list[ast.expr]]:
    """The names that a turn gives values to, and what it goes over."""
    match turn:
        case ast.For(target=target, iter=iterable):
            return _names(target), [iterable]
        case ast.Lambda(args=arguments):
            return {arg.arg for arg in arguments.args}, []
        case (
            ast.ListComp(generators=generators)
            | ast.GeneratorExp(generators=generators)
            | ast.SetComp(generators=generators)
            | ast.DictComp(generators=generators)
        ):
            return _names(*(each.target for each in generators)), [each.iter for each in generators]
    return set(), []


def _inputs(row: ast.expr, turn: ast.AST, module: Module) -> set[str]:
    """The names that a row is made from, through what the turn assigns."""
    found: set[str] = set()
    pending = [row]
    while pending:
        for node in module.walk(pending.pop()):
            if isinstance(node, ast.Name) and node.id not in found:
                found.add(node.id)
                bindings = module.reaching(node) if isinstance(node.ctx, ast.Load) else []
                pending += [b.value for b in bindings if b.value is not None and module.is_inside(b.node, turn)]
    return found


def _names(*expressions: ast.expr) -> set[str]:
    return {node.id for each in expressions for node in ast.walk(each) if isinstance(node, ast.Name)}


def _is_short(iterable: ast.expr, module: Module) -> bool:
    """Whether a turn goes over a handful of things only."""
    for origin in module.origins(iterable):
        match origin:
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return len(items) <= _FEW
            case ast.Call(
                func=ast.Name(id="range") | ast.Attribute(attr="arange"),
                args=[ast.Constant(value=int(count))] | [ast.Constant(), ast.Constant(value=int(count)), *_],
            ):
                return count <= _FEW
            case ast.Call(func=ast.Name(id="enumerate" | "zip" | "tqdm"), args=[first, *_]):
                return _is_short(first, module)
            case ast.Call(func=ast.Attribute(attr="head" | "sample" | "choice" | "items" | "keys")):
                return True
            case ast.Subscript(slice=ast.Slice(upper=ast.Constant(value=int(count)))):
                return count <= _FEW
    return False


def _collects(node: ast.AST) -> bool:
    """Whether a node of a loop keeps something of each turn."""
    match node:
        case ast.Call(func=ast.Attribute(attr=method)):
            return method in _GROWS
        case ast.AugAssign():
            return True
        case ast.Assign(targets=targets):
            return any(isinstance(target, ast.Subscript) for target in targets)
    return False
