"""Files that next steps add, filled with what the code of a project shows."""

from __future__ import annotations

from pathlib import PurePosixPath
from textwrap import dedent
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.code import CUT, Fact
from mlrules_mcp.evidence.landmarks import DATA, DATASET, ESTIMATOR, NETWORK, TARGET, TRAINING

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts


def baseline_script(project: Facts) -> str:
    """A script that scores a baseline on the project's own data: of a table with scikit-learn, else on its batches."""
    return table_baseline(project) if project.is_kind("classical") or table(project) else batch_baseline(project)


def table(project: Facts) -> Fact | None:
    """Where a table is read into a data frame."""
    return next((fact for fact in project.landmarks(DATA) if ".read_" in fact.called), None)


def reads_table(project: Facts) -> str:
    """The call that reads the project's table, with `pd`."""
    fact = table(project)
    first = fact.arguments[0] if fact and fact.arguments else '"data.csv"'
    literal = first if first[:1] in "\"'" and CUT not in first else f'"data.csv"  # the project reads {first}'
    return f"pd.{fact.called.rpartition('.')[2] if fact else 'read_csv'}({literal.partition('  #')[0]})" + (
        f"  # {literal.partition('  # ')[2]}" if "  # " in literal else ""
    )


def target(project: Facts) -> str:
    """The name of the column that is predicted; `target` where it does not show."""
    return next((fact.arguments[0] for fact in project.landmarks(TARGET)), "target")


def is_regression(project: Facts) -> bool:
    """Whether the project's estimators predict numbers."""
    names = [fact.called.rpartition(".")[2] for fact in project.landmarks(ESTIMATOR)]
    regressors = [name for name in names if name.endswith(("Regressor", "Regression", "Ridge", "Lasso", "SVR", "OLS"))]
    return len([name for name in regressors if name != "LogisticRegression"]) * 2 > len(names)


def passed(fact: Fact) -> str:
    """The arguments of a call, as code: those that are short enough to be known."""
    arguments = [*fact.arguments, *(f"{key}={value}" for key, value in fact.keywords)]
    return ", ".join(argument for argument in arguments if CUT not in argument)


def made(project: Facts, data: Fact) -> str:
    """The lines that import a data set of the project and make it; `...` stands for what it needs to be given."""
    needed = ", ".join(f"{name}=..." for name in data.arguments)
    module = module_name(project, data.path)
    imported = f"from {module} import {data.called}\n"
    if data.path.endswith(".ipynb") or not all(part.isidentifier() for part in module.split(".")):
        imported = f"# {data.called} is defined in {data.path}: move it to where it can be imported from.\n"
    return f"{imported}\ndata = {data.called}({needed})\n"


def table_baseline(project: Facts) -> str:
    """A dummy and a linear model, cross-validated on the project's table beside its own estimator."""
    regression = is_regression(project)
    kind, linear, scoring = (
        ("Regressor", "Ridge", "neg_mean_absolute_error")
        if regression
        else ("Classifier", "LogisticRegression", "balanced_accuracy")
    )
    linear_call = "Ridge()" if regression else "LogisticRegression(max_iter=1000)"
    dummy_call = f'Dummy{kind}(strategy="{"mean" if regression else "most_frequent"}")'
    own = next(
        (
            fact
            for fact in project.landmarks(ESTIMATOR)
            if fact.called.rpartition(".")[2] not in (linear, f"Dummy{kind}") and "sklearn" in fact.called
        ),
        None,
    )
    imports = [f"from sklearn.dummy import Dummy{kind}", f"from sklearn.linear_model import {linear}"]
    models = [f'    "dummy": {dummy_call},', f'    "linear": make_pipeline(StandardScaler(), {linear_call}),']
    if own is not None:
        package, _, name = own.called.rpartition(".")
        imports.append(f"from {package} import {name}")
        models.append(f'    "{name}": {name}({passed(own)}),  # as in {own.path}:{own.line}')
    script = f"""\
    \"\"\"What the real model has to beat: run it before and after each change to the model.\"\"\"

    import pandas as pd
    IMPORTS
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    TARGET = "{target(project)}"

    df = {reads_table(project)}
    X = df.drop(columns=TARGET).select_dtypes("number").fillna(0)
    y = df[TARGET]
    models = {{
    MODELS
    }}
    for name, model in models.items():
        scores = cross_val_score(model, X, y, cv=5, scoring="{scoring}")
        print(f"{{name:20}} {scoring} {{scores.mean():.3f}} +- {{scores.std():.3f}}")
    """
    return dedent(script).replace("IMPORTS", "\n".join(sorted(imports))).replace("MODELS", "\n".join(models))


def batch_baseline(project: Facts) -> str:
    """The score of always guessing the commonest class, or the mean, on the batches that the project trains on."""
    data = next(iter(project.landmarks(DATASET)), None)
    network = next(iter(project.landmarks(NETWORK)), None)
    beaten = f"`{network.called}` ({network.path})" if network and network.called.isidentifier() else "the model"
    trained = next(iter(project.landmarks(TRAINING)), None)
    loaders = f"train, validation = ..., ...  # the loaders that {trained.path if trained else 'training'} uses\n"
    if data is not None and data.receiver == "module":
        loaders = (
            f'{made(project, data)}data.prepare_data()\ndata.setup("fit")\n'
            "train, validation = data.train_dataloader(), data.val_dataloader()\n"
        )
    elif data is not None:
        loaders = (
            f"from torch.utils.data import DataLoader, random_split\n{made(project, data)}"
            "parts = random_split(data, [0.8, 0.2], generator=torch.Generator().manual_seed(0))\n"
            "train, validation = (DataLoader(part, batch_size=256) for part in parts)\n"
        )
    return f'''"""What {beaten} has to beat: the score of a guess that does not look at the input."""

import torch
{loaders}
targets = torch.cat([batch[1].flatten() for batch in train])
held_out = torch.cat([batch[1].flatten() for batch in validation])
if targets.is_floating_point():
    guess = targets.mean()
    print(f"guess {{guess:.4f}}: mean squared error {{(held_out - guess).square().mean():.4f}}")
else:
    guess = targets.mode().values
    print(f"guess class {{guess}}: accuracy {{(held_out == guess).float().mean():.3f}}")
'''


def module_name(project: Facts, path: str) -> str:
    """How a file is imported from the project's root."""
    parts = PurePosixPath(path).with_suffix("").parts
    is_folder = parts[0] == "src" and "src/__init__.py" not in project.files
    return ".".join(parts[1:] if is_folder else parts)


def search_script(project: Facts) -> str:
    """A search: of an estimator's settings with scikit-learn, else of a training's with Optuna."""
    found = next((fact for fact in project.landmarks(ESTIMATOR) if fact.called.startswith("sklearn.")), None)
    if found is None:
        trained = next(iter(project.landmarks(TRAINING)), None)
        where = f"{trained.path}:{trained.line}" if trained else "your training"
        return dedent(
            f"""\
            \"\"\"Search the settings of the training at {where} by its score on the validation part.\"\"\"

            import optuna


            def objective(trial: optuna.Trial) -> float:
                lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
                batch_size = trial.suggest_categorical("batch_size", [16, 32, 64, 128])
                raise NotImplementedError(f"train with {{lr=}} and {{batch_size=}}, return the validation score")


            study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
            study.optimize(objective, n_trials=30)
            print(study.best_params, study.best_value)
            """
        )
    package, _, name = found.called.rpartition(".")
    scoring = "neg_mean_absolute_error" if is_regression(project) else "balanced_accuracy"
    space = '{"max_depth": randint(2, 20), "min_samples_leaf": randint(1, 50)}'
    if not any(word in name for word in ("Forest", "Tree", "Boosting")):
        parameter = "alpha" if name in ("Ridge", "Lasso", "ElasticNet") else "C"
        space = f'{{"{parameter}": loguniform(1e-3, 1e3)}}'
    return dedent(
        f"""\
        \"\"\"Search the settings of {name} ({found.path}:{found.line}) by cross-validation.\"\"\"

        import pandas as pd
        from {package} import {name}
        from scipy.stats import loguniform, randint  # noqa: F401
        from sklearn.model_selection import RandomizedSearchCV, train_test_split

        TARGET = "{target(project)}"

        df = {reads_table(project)}
        X = df.drop(columns=TARGET).select_dtypes("number").fillna(0)
        X_train, X_test, y_train, y_test = train_test_split(X, df[TARGET], random_state=0)
        search = RandomizedSearchCV({name}(), {space}, n_iter=30, cv=5, scoring="{scoring}", random_state=0)
        search.fit(X_train, y_train)
        print(search.best_params_)
        print("on the test part, once:", search.score(X_test, y_test))
        """
    )
