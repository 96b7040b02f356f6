"""Documents and short scripts that next steps add, filled with what the code of a project shows."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.code import CUT
from mlrules_mcp.evidence.landmarks import DATA, DATASET, ESTIMATOR, NETWORK, TRAINING
from mlrules_mcp.evidence.steps import is_regression, made, reads_table, table, target

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


def model_names(project: Facts) -> list[str]:
    """What the project trains: the names of its networks and estimators, each once with its place."""
    found = {
        fact.called.rpartition(".")[2]: f"{fact.path}:{fact.line}"
        for fact in reversed([*project.landmarks(NETWORK), *project.landmarks(ESTIMATOR)])
        if fact.called
    }
    return [f"{name} ({place})" for name, place in reversed(found.items())][:5]


def data_sources(project: Facts) -> list[str]:
    """Where the data comes from, as the code shows it."""
    read = [f"`{fact.text}` ({fact.path}:{fact.line})" for fact in project.landmarks(DATA)]
    defined = [f"`{fact.called}` ({fact.path}:{fact.line})" for fact in project.landmarks(DATASET)]
    return list(dict.fromkeys([*read, *defined]))[:5]


def listed(items: list[str], otherwise: str) -> str:
    """Lines of a Markdown list."""
    return "\n".join(f"- {item}" for item in items or [otherwise])


def experiment_log(project: Facts) -> str:
    """A log of experiments: one row a run, what was changed, and what came of it."""
    models = model_names(project)
    return f"""\
# Experiments

One row a run, newest last; change one thing at a time. Models so far:

{listed(models, "none was found in the code")}

| date | commit | what was changed, and why | validation score | spread over seeds | kept? |
| --- | --- | --- | --- | --- | --- |
| | | baseline | | | |
| | | {models[0].partition(" ")[0] if models else "first model"} as it is now | | | |
"""


def data_report(project: Facts) -> str:
    """A script that summarises the project's table, or else the batches of its data set."""
    if table(project) is None:
        found = next(iter(project.landmarks(DATASET)), None)
        loaded = made(project, found) if found else "\ndata = ...  # what the training reads\n"
        if found and found.receiver == "module":
            loaded += 'data.prepare_data()\ndata.setup("fit")\ndata = data.train_dataloader().dataset\n'
        return f'''"""What is in the data: sizes, ranges, classes, and a few samples to look at."""

from collections import Counter

import torch
{loaded}
print(len(data), "samples")
inputs, targets = zip(*(data[index] for index in range(min(1000, len(data)))), strict=True)
print("shapes:", Counter(tuple(torch.as_tensor(x).shape) for x in inputs).most_common(5))
values = torch.stack([torch.as_tensor(x, dtype=torch.float32).mean() for x in inputs])
print(f"means: {{values.min():.3f}} to {{values.max():.3f}}, not finite: {{(~values.isfinite()).sum()}}")
print("targets:", Counter(torch.as_tensor(y).flatten()[0].item() for y in targets).most_common(20))
'''
    return dedent(
        f"""\
        \"\"\"What is in the data: types, missing values, ranges, the target, what goes with it.\"\"\"

        import pandas as pd

        TARGET = "{target(project)}"

        df = {reads_table(project)}
        df.info()
        print(df.describe(include="all").T)
        print("missing:", df.isna().mean().sort_values(ascending=False).head(20), sep="\\n")
        print("repeated rows:", df.duplicated().sum())
        print("target:", df[TARGET].value_counts(normalize=True, dropna=False).head(20), sep="\\n")
        print("goes with it:", df.corr(numeric_only=True).get(TARGET, pd.Series(dtype=float)).sort_values(), sep="\\n")
        """
    )


def evaluation_plan(project: Facts) -> str:
    """A page that settles what a good model is."""
    metrics = "mean absolute error, R²" if is_regression(project) else "balanced accuracy, F1 by class, ROC AUC"
    return f"""\
# How models are judged

**Models**

{listed(model_names(project), "not found in the code: name it")}

**Data**

{listed(data_sources(project), "not found in the code: name it")}

**Parts.** Training to fit, validation to choose, test once at the end. How the parts are made, and from which file:

**Primary metric.** (for this task maybe one of {metrics})

**Guard metrics.** What must not get worse:

**Baseline.** Its score on the validation part:

**Good enough.** The score from which the model is used, and who decides:
"""


def metrics_function(project: Facts) -> str:
    """A function that returns several metrics of predictions."""
    if is_regression(project):
        return dedent(
            '''\
            """The metrics by which a model is judged."""

            from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error


            def metrics(targets, predictions) -> dict[str, float]:
                """Errors in the target's unit, and the share of variance that is explained."""
                return {
                    "mae": mean_absolute_error(targets, predictions),
                    "rmse": root_mean_squared_error(targets, predictions),
                    "r2": r2_score(targets, predictions),
                }
            '''
        )
    return dedent(
        '''\
        """The metrics by which a model is judged."""

        from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, precision_score, recall_score


        def metrics(targets, predictions) -> dict[str, float]:
            """Accuracy, and what it hides where classes are of unequal size."""
            return {
                "accuracy": accuracy_score(targets, predictions),
                "balanced_accuracy": balanced_accuracy_score(targets, predictions),
                "precision": precision_score(targets, predictions, average="macro", zero_division=0),
                "recall": recall_score(targets, predictions, average="macro", zero_division=0),
                "f1": f1_score(targets, predictions, average="macro", zero_division=0),
            }
        '''
    )


def comparison_script(project: Facts) -> str:
    """A script that compares two models by their scores over the same seeds or folds."""
    trained = next(iter(project.landmarks(TRAINING)), None)
    where = f"the training at {trained.path}:{trained.line}" if trained else "the training"
    return dedent(
        f"""\
        \"\"\"Is the new model better than the old one, or is it chance? Scores of {where}, one a seed or fold.\"\"\"

        import numpy as np

        old = np.array([])  # five or more validation scores, one for each seed
        new = np.array([])  # of the changed model, with the same seeds in the same order

        assert len(old) == len(new) >= 5, "fill in the scores first"
        difference = new - old
        generator = np.random.default_rng(0)
        means = generator.choice(difference, (10_000, len(difference))).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        print(f"old {{old.mean():.4f}} +- {{old.std(ddof=1):.4f}}, new {{new.mean():.4f}} +- {{new.std(ddof=1):.4f}}")
        print(f"difference {{difference.mean():+.4f}}, 95 % interval {{low:+.4f}} to {{high:+.4f}}")
        """
    )


def failures_script(project: Facts) -> str:
    """A script that shows where predictions are wrong, and the worst of them."""
    if is_regression(project):
        return dedent(
            '''\
            """Where the model errs: the worst rows, and the error by size of the target."""

            import pandas as pd


            def failures(rows: pd.DataFrame, targets, predictions, count: int = 20) -> pd.DataFrame:
                """The rows with the largest errors, worst first."""
                judged = rows.assign(target=targets, prediction=predictions)
                judged["residual"] = judged["prediction"] - judged["target"]
                print(judged.groupby(pd.qcut(judged["target"], 5, duplicates="drop"))["residual"].describe())
                return judged.reindex(judged["residual"].abs().sort_values(ascending=False).index).head(count)
            '''
        )
    return dedent(
        '''\
        """Where the model errs: which classes it takes for which, and the mistakes it is surest of."""

        import numpy as np
        from sklearn.metrics import classification_report, confusion_matrix


        def failures(targets: np.ndarray, probabilities: np.ndarray, count: int = 20) -> np.ndarray:
            """The indices of the wrong predictions, the surest first."""
            predictions = probabilities.argmax(axis=1)
            print(classification_report(targets, predictions, zero_division=0))
            print(confusion_matrix(targets, predictions))
            wrong = np.flatnonzero(predictions != targets)
            return wrong[np.argsort(-probabilities[wrong].max(axis=1))][:count]
        '''
    )


def manifest_script(project: Facts) -> str:
    """A script that writes, and checks, the checksums of the files that the project reads."""
    names = [fact.arguments[0] for fact in project.landmarks(DATA) if ".read_" in fact.called and fact.arguments]
    local = [name for name in names if name[:1] in "\"'" and "://" not in name and CUT not in name]
    files = f"[{', '.join(dict.fromkeys(local[:10]))}]"
    if not local:
        files = 'sorted(path.as_posix() for path in Path("data").rglob("*") if path.is_file())'
    return dedent(
        f"""\
        \"\"\"Which data a result was made with: write data.sha256 once, commit it, check it each time.\"\"\"

        import hashlib
        import sys
        from pathlib import Path

        FILES = {files}
        MANIFEST = Path("data.sha256")


        def checksums() -> str:
            \"\"\"A line for each file, as `sha256sum` writes it.\"\"\"
            return "".join(f"{{hashlib.sha256(Path(file).read_bytes()).hexdigest()}}  {{file}}\\n" for file in FILES)


        if __name__ == "__main__":
            if not MANIFEST.exists():
                MANIFEST.write_text(checksums(), encoding="utf-8")
            sys.exit("The data has changed." if MANIFEST.read_text(encoding="utf-8") != checksums() else 0)
        """
    )
