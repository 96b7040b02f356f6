"""What learners do: estimators and transformers, pipelines, searches, splitters, metrics and their functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mlrules_mcp.source.data_flow.columns import EVERY_COLUMN, SOME_COLUMNS, only
from mlrules_mcp.source.data_flow.events import Fit, Score
from mlrules_mcp.source.data_flow.lineage import predictions_in
from mlrules_mcp.source.data_flow.scopes import Arguments
from mlrules_mcp.source.data_flow.tables import Tables
from mlrules_mcp.source.data_flow.values import (
    ColumnNames,
    Data,
    Either,
    Folds,
    How,
    Instance,
    Items,
    Learner,
    Method,
    Scored,
    Trade,
    Unknown,
    Value,
    either,
    inside,
    options,
)

PREDICTING = frozenset({"predict", "predict_proba", "predict_log_proba", "decision_function", "predict_classes"})
# What only an object with a `fit` has; `transform` and `score` are also known from elsewhere.
LEARNER_METHODS = PREDICTING | frozenset(
    "fit fit_transform fit_predict fit_resample fit_sample partial_fit inverse_transform score transform evaluate "
    "set_params get_params fit_on_texts texts_to_sequences adapt fit_generator".split()
)
# What changes a learner by chance, or not at all.
_NO_SETTINGS = frozenset({"random_state", "seed", "n_jobs", "verbose", "verbosity", "silent"})
_LEARNS_MOST = ("nothing", "vocabulary", "statistics", "target", "rows")


class Learners(Tables):
    """Tables that know what is learnt from them."""

    # Making

    def make(self, name: str, trade: Trade, arguments: Arguments) -> Value:
        """An object of a library's class, or what a library's function gives."""
        match trade.kind:
            case "split":
                return self._train_test_split(name, arguments)
            case "cross-validation":
                return self._cross_validated(name, arguments)
            case "metric":
                return self._metric(name, arguments)
            case "dataset":
                return self._dataset(name, arguments)
            case "scaling":
                return self._scaled(name, arguments)
            case "resample":
                return self._resampled(arguments)
            case "clone":
                return self._cloned(arguments)
        members = tuple(dict.fromkeys(part for value in arguments.values for part in self._learners_in(value)))
        settings = [value for key, value in arguments.keywords.items() if key not in _NO_SETTINGS]
        loops = self.loops_in([*arguments.positional, *settings]) & frozenset(self.loops)
        if name.endswith(".Imputer") and arguments.constant("axis") == 1:
            trade = trade._replace(learns="nothing")  # it filled each row from that row alone
        learner = Learner(name, arguments.node, trade, members, tuple(arguments.values), loops)
        self.events.learners.append(learner)
        return learner

    def _learners_in(self, value: Value) -> Iterable[Learner]:
        return [part for part in inside(value, 5) if isinstance(part, Learner)]

    def _cloned(self, arguments: Arguments) -> Value:
        copies: list[Value] = []
        for value in arguments.positional[:1]:
            for option in options(value):
                if isinstance(option, Learner):
                    copy = Learner(
                        option.name, option.node, option.trade, option.members, option.arguments, option.loops
                    )
                    copies.append(copy)
        return either(copies) if copies else Unknown(arguments.node)

    # Functions

    def _train_test_split(self, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        inputs = [self.data(value, node) or Data("derived", node) for value in arguments.positional]
        split = self.split(node, "holdout", inputs, name)
        parts: list[Value] = []
        for data in inputs:
            parts += [Data("part", node, (data,), split=split, role=role) for role in ("train", "test")]
        return Items(parts, exact=bool(parts))

    def _cross_validated(self, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        features = self.data(arguments.get("X", 1), node)
        target = self.data(arguments.get("y", 2), node)
        for estimator in options(arguments.get("estimator", 0) or Unknown(node)):
            learner = self.learner(estimator)
            self.validation(node, learner, features, target, name)
        if name.endswith("cross_val_predict"):
            return Data("predicted", node, (features,) if features else ())
        return Scored(())

    def _metric(self, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        scores = [score for value in arguments.values for score in self._scores_of(value, node, name)]
        return Scored(tuple(scores))

    def _scores_of(self, value: Value, node: ast.expr, metric: str) -> Iterable[Score]:
        """The scores that a metric of predictions is."""
        given = self.data_in([value])
        turns = self._turns_of(given)
        for source in predictions_in(given):
            if source.fits and (learner := source.fits[0].learner) is not None:
                features = source.sources[0] if source.sources else None
                yield self.score(node, learner, source.fits, features, metric.rpartition(".")[2], turns)

    def _turns_of(self, given: Iterable[Data]) -> frozenset[ast.AST]:
        """The loops over settings, such as thresholds, that predictions were compared with."""
        turns: frozenset[ast.AST] = frozenset()
        for data in given if self.turns else ():
            current = data
            while current.how in ("copy", "computed") and current.sources:
                turns |= self.turns.get(current, frozenset())
                current = current.sources[0]
        return turns

    def scored_by_hand(self, value: Data, node: ast.expr) -> Value | None:
        """A mean of what compares predictions with the truth: `np.mean(model.predict(X) == y)`."""
        if value.how != "computed" or len(value.sources) < 2:
            return None
        scores = tuple(self._scores_of(value, node, "mean"))
        return Scored(scores) if scores else None

    def _dataset(self, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        last = name.rpartition(".")[2]
        table = Data("read", node)
        features = Data("columns", node, (table,), only(["data"]))
        target = Data("columns", node, (table,), only(["target"]))
        if last.startswith("make_") or arguments.constant("return_X_y") is True or last == "load_svmlight_file":
            return Items([features, target])
        if last.endswith(("load_data", "load_mnist")):
            return Items([Items([Data("read", node), Data("read", node)]) for _ in range(2)])
        return Instance(None, {"data": features, "target": target, "frame": table, "images": features})

    def _scaled(self, name: str, arguments: Arguments) -> Value:
        """A function that fits and transforms at once: `scale(X)`, `scipy.stats.zscore(X)`."""
        node = arguments.node
        data = self.data(arguments.positional[0], node) if arguments.positional else None
        if data is None:
            return self.unseen(node, arguments.values)
        of_rows = name.endswith(".normalize") and arguments.constant("axis", 2) != 0
        if of_rows or arguments.constant("axis") == 1:
            return Data("computed", node, (data,))
        fit = self.fit(node, None, "statistics", data, None, name.rpartition(".")[2])
        return Data("transformed", node, (data,), fits=(fit,))

    def _resampled(self, arguments: Arguments) -> Value:
        node = arguments.node
        how: How = "rows" if arguments.constant("replace") is False else "repeated"
        drawn = [Data(how, node, (data,)) for value in arguments.positional if (data := self.data(value, node))]
        return drawn[0] if len(drawn) == 1 else Items(list(drawn))

    # Attributes and methods

    def learner_attribute(self, owner: Learner, name: str, node: ast.expr) -> Value:
        """`owner.name`, without a call."""
        if name in ("best_estimator_", "best_model", "estimator", "module_"):
            return owner
        if name == "best_score_":
            return Scored(())
        if name in ("oob_score_",):
            return Scored(())
        if name in ("support_", "variances_") and owner.fits and (features := owner.fits[-1].features) is not None:
            return ColumnNames(features, SOME_COLUMNS, tuple(owner.fits))
        if name in ("labels_", "embedding_") and owner.fits and (features := owner.fits[-1].features) is not None:
            return Data("transformed", node, (features,), fits=tuple(owner.fits))
        if name.endswith("_") or not name.islower():
            return Unknown(node)
        return Method(owner, name)

    def learner_method(self, owner: Learner, name: str, arguments: Arguments) -> Value:
        """`owner.name(…)`."""
        node = arguments.node
        given = arguments.get("X", 0) or arguments.get("x")
        if isinstance(given, Either):
            return self._for_each(owner, name, arguments, given)
        features = self.data(given, node)
        target = self.data(arguments.get("y", 1), node)
        if owner.trade is not None and owner.trade.kind == "splitter":
            return self._folds(owner, name, arguments)
        match name:
            case "fit" | "partial_fit" | "fit_on_texts" | "adapt":
                self._fit(owner, node, features, target)
                return owner
            case "fit_transform" | "fit_predict":
                fit = self._fit(owner, node, features, target)
                return self._transformed(owner, node, features, (fit,))
            case "fit_resample" | "fit_sample":
                fit = self._fit(owner, node, features, target)
                how: How = "rows" if self.learns(owner) == "nothing" else "repeated"
                made = [Data(how, node, (data,), fits=(fit,)) for data in (features, target) if data is not None]
                return Items(list(made)) if len(made) == 2 else self.unseen(node, arguments.values)
            case "transform" | "inverse_transform" | "texts_to_sequences":
                return self._transformed(owner, node, features, tuple(owner.fits))
            case "score" | "evaluate":
                return self._score(owner, node, features)
            case "set_params":
                owner.loops |= self.loops_in(arguments.values) & frozenset(self.loops)
                owner.arguments += tuple(arguments.values)
                return owner
            case "get_params":
                return Unknown(node)
            case "get_support" if owner.fits and (seen := owner.fits[-1].features) is not None:
                return ColumnNames(seen, SOME_COLUMNS, tuple(owner.fits))
        if name in PREDICTING:
            return self._predicted(owner, node, features)
        for part in self.data_in(arguments.values):
            return Data("derived", node, (part,))
        return Unknown(node)

    def _for_each(self, owner: Learner, name: str, arguments: Arguments, given: Either) -> Value:
        """A method called with one of several data sets: with each of them."""
        others = {key: value for key, value in arguments.keywords.items() if key not in ("X", "x")}
        rest = arguments.positional[1:]
        outer = self.branch
        results: list[Value] = []
        for number, option in enumerate(given.options):
            self.branch = (*outer, (arguments.node, number))
            positional = [option, *(_aligned(each, given, number) for each in rest)]
            results.append(self.learner_method(owner, name, Arguments(positional, others, arguments.node)))
        self.branch = outer
        return either(results)

    def _fit(self, owner: Learner, node: ast.expr, features: Data | None, target: Data | None) -> Fit:
        what = owner.name.rpartition(".")[2] if owner.name else ""
        if owner.trade is not None and owner.trade.kind == "search":
            self.validation(node, owner, features, target, owner.name or "")
        return self.fit(node, owner, self.learns(owner), features, target, what)

    def learns(self, learner: Learner) -> str:
        """What fitting a learner learns: of a pipeline, the most that one of its members does."""
        if learner.trade is None:
            return "unknown"
        if learner.trade.kind in ("pipeline", "columns"):
            learnt = [self.learns(member) for member in learner.members]
            known_ones = [each for each in learnt if each in _LEARNS_MOST]
            if len(known_ones) < len(learnt) or not learnt:
                return "unknown"
            return max(known_ones, key=_LEARNS_MOST.index)
        return learner.trade.learns

    def _transformed(self, owner: Learner, node: ast.expr, features: Data | None, fits: tuple[Fit, ...]) -> Value:
        if features is None:
            return Unknown(node)
        if self.learns(owner) == "nothing":
            return Data("computed", node, (features,))
        return Data("transformed", node, (features,), fits=fits)

    def _predicted(self, owner: Learner, node: ast.expr, features: Data | None) -> Value:
        if features is None:
            return Unknown(node)
        self.prediction(node, owner, features)
        return Data("predicted", node, (features,), fits=tuple(owner.fits))

    def _score(self, owner: Learner, node: ast.expr, features: Data | None) -> Value:
        score = self.score(node, owner, tuple(owner.fits), features, "score")
        return Scored((score,))

    # Splitters

    def _folds(self, owner: Learner, name: str, arguments: Arguments) -> Value:
        node = arguments.node
        if name != "split":
            return Unknown(node)
        inputs = [data for value in arguments.positional[:2] if (data := self.data(value, node))]
        return Folds(self.split(node, "folds", inputs, owner.name))

    def fold(self, folds: Folds) -> Value:
        """One pair of indices of the training and the test rows."""
        split = folds.split
        sources = split.inputs[:1]
        train = Data("part", split.node, sources, EVERY_COLUMN, split=split, role="train")
        test = Data("part", split.node, sources, EVERY_COLUMN, split=split, role="test")
        return Items([train, test])


def _aligned(value: Value, other: Either, position: int) -> Value:
    """The option of a value that belongs to an option of another: of variables that a loop sets together."""
    if isinstance(value, Either) and len(value.options) == len(other.options):
        return value.options[position]
    return value
