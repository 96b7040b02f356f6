"""What a followed program does to data, in the order in which it does it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mlrules_mcp.source.data_flow.values import Data, Learner, Role


class _Event:
    __slots__ = ("node", "time")

    def __init__(self, node: ast.expr, time: int) -> None:
        self.node = node
        self.time = time


class Split(_Event):
    """Data is split into parts.

    Attributes:
        kind: `holdout` (train_test_split), `folds` (a splitter), `named` (slices or an unseen function whose results
            are called train and test).
        inputs: the data split, features first.
        name: the qualified name of the splitter.
        roles: the parts that are seen to be taken, of a `named` split.
    """

    __slots__ = ("inputs", "kind", "name", "roles")

    def __init__(self, node: ast.expr, time: int, kind: str, inputs: tuple[Data, ...], name: str | None = None) -> None:
        super().__init__(node, time)
        self.kind = kind
        self.inputs = inputs
        self.name = name
        self.roles: set[Role] = set()


GROUPED = "groupby"  # what a mean over groups, put to each row, is called among fits


class Fit(_Event):
    """Something learns from data: a learner's `fit`, a function that scales, a statistic that fills.

    Attributes:
        learner: what is fitted; None for a function or a statistic.
        learns: as in `Trade`.
        features: the data, None where none shows.
        target: what is to be predicted.
        what: the name for people: `StandardScaler`, `fillna`.
    """

    __slots__ = ("features", "learner", "learns", "target", "what")

    def __init__(
        self,
        node: ast.expr,
        time: int,
        learner: Learner | None,
        learns: str,
        features: Data | None,
        target: Data | None,
        what: str,
    ) -> None:
        super().__init__(node, time)
        self.learner = learner
        self.learns = learns
        self.features = features
        self.target = target
        self.what = what


class Score(_Event):
    """A model is scored.

    Attributes:
        learner: the model.
        fits: what it was fitted in.
        features: the data it is scored on.
        metric: the metric's name.
        loops: the loops around that vary a setting of the model.
    """

    __slots__ = ("features", "fits", "learner", "loops", "metric")

    def __init__(
        self,
        node: ast.expr,
        time: int,
        learner: Learner,
        fits: tuple[Fit, ...],
        features: Data | None,
        metric: str,
        loops: frozenset[ast.AST],
    ) -> None:
        super().__init__(node, time)
        self.learner = learner
        self.fits = fits
        self.features = features
        self.metric = metric
        self.loops = loops


class Prediction(_Event):
    """A model says something about data (`predict`, `decision_function`, …)."""

    __slots__ = ("features", "fits", "learner")

    def __init__(self, node: ast.expr, time: int, learner: Learner, fits: tuple[Fit, ...], features: Data) -> None:
        super().__init__(node, time)
        self.learner = learner
        self.fits = fits
        self.features = features


class CrossValidation(_Event):
    """A model is cross-validated: `cross_val_score`, the `fit` of a search."""

    __slots__ = ("features", "learner", "name", "target")

    def __init__(
        self, node: ast.expr, time: int, learner: Learner | None, features: Data | None, target: Data | None, name: str
    ) -> None:
        super().__init__(node, time)
        self.learner = learner
        self.features = features
        self.target = target
        self.name = name


class Choice(_Event):
    """The best of several scores is taken: `max(scores)`, `if score > best`."""

    __slots__ = ("scores",)

    def __init__(self, node: ast.expr, time: int, scores: tuple[Score, ...]) -> None:
        super().__init__(node, time)
        self.scores = scores


class Events(NamedTuple):
    """All that a program does to data, each list in order."""

    splits: list[Split]
    fits: list[Fit]
    scores: list[Score]
    predictions: list[Prediction]
    validations: list[CrossValidation]
    choices: list[Choice]
    learners: list[Learner]
