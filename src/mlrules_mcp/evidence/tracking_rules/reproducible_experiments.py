from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.code import Fact, fact_at
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DEEP_TRAINING, ESTIMATOR, TRAINING
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, foremost, is_zero, place_to_change
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source.values import LIGHTNING_MODULE

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.tree import Role
    from mlrules_mcp.source import Module

_SEEDS = (
    "torch.manual_seed lightning.pytorch.seed_everything lightning.fabric.seed_everything transformers.set_seed "
    "transformers.enable_full_determinism transformers.trainer_utils.set_seed accelerate.utils.set_seed "
    "tensorflow.random.set_seed tensorflow.set_random_seed keras.utils.set_random_seed "
    "tensorflow.keras.utils.set_random_seed jax.random.PRNGKey jax.random.key mxnet.random.seed paddle.seed "
    "ignite.utils.manual_seed mmengine.runner.set_random_seed torch_geometric.seed_everything "
    "monai.utils.set_determinism"
)
_NUMPY = "numpy.random.seed numpy.random.default_rng numpy.random.RandomState"
_SEED_SETTING = r"(^|[._])(random_)?(seed|random_state)$"
# Programs whose seeds are not those of training.
_ELSEWHERE = pattern(r"(?i)(^|[/_])(demo|infer\w*|predict\w*|sample|generate|bench\w*|serve|app|web\w*|chat)[^/]*$")


class ReproducibleExperiments(Collector):
    """A run can be repeated: its seeds are set, and what it ran with is written down.

    ## Met
    The library that trains is seeded: `torch.manual_seed`, `seed_everything`, `set_seed` and their like, or the
    `random_state` of splits and estimators. Pinned dependencies are shown beside it.

    ## Broken
    A static check finds training without a seed, a part of it unseeded, and the like; or networks are trained and no
    file of the project, nor a configuration, sets a seed for them.

    ## Not applicable
    Nothing is trained here, or the project is a library.

    ## Never counts
    The seed of a split alone for the training of a network; an unset seed in a configuration; seeds in tests; pinned
    dependencies alone.

    ## References
    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    - https://scikit-learn.org/stable/common_pitfalls.html#controlling-randomness
    """

    asks = Asked.of(calls=f"{_SEEDS} {_NUMPY}", keywords="random_state seed", definitions="seed")
    needs = ("training",)
    would_count = "a seed for the library that trains, set before anything is drawn"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example({"train.py": TRAINED.replace("model =", "torch.manual_seed(0)\nmodel =")}, "met", ["train.py:4"]),
        Example(
            {
                "train.py": """\
                import pandas as pd
                from sklearn.ensemble import RandomForestClassifier
                from sklearn.model_selection import cross_val_score

                df = pd.read_csv("churn.csv")
                model = RandomForestClassifier(random_state=0)
                model.fit(df.drop(columns="churned"), df["churned"])
                """,
                "requirements.txt": "pandas==2.3.3\nscikit-learn==1.7.2\n",
            },
            "met",
            ["train.py:6", "requirements.txt:1"],
        ),
        Example(
            {
                "train.py": TRAINED.replace(
                    "for x",
                    "train, rest = torch.utils.data.random_split(\n"
                    "    data, [0.9, 0.1], generator=torch.Generator().manual_seed(0)\n"
                    ")\nloader = torch.utils.data.DataLoader(train, shuffle=True)\nfor x",
                )
            },
            "broken",
            why="the seed of a split does not reach the weights",
        ),
        Example(
            {
                "train.py": """\
                import pandas as pd
                from sklearn.linear_model import LinearRegression

                df = pd.read_csv("homes.csv")
                LinearRegression().fit(df.drop(columns="price"), df["price"])
                """,
                "requirements.txt": "pandas==2.3.3\n",
            },
            "no_evidence",
            why="versions alone do not repeat a run",
        ),
        Example(
            {"train.py": TRAINED, "web_demo.py": "import torch\n\ntorch.manual_seed(0)\n"},
            "broken",
            why="the demo's seed does not reach the training",
        ),
        Example(NO_NETWORK, "not_applicable"),
    )

    def look(self, module: Module, role: Role) -> Iterator[Fact]:
        """Where a program starts: the first statement under `if __name__ == "__main__"`."""
        for statement in module.tree.body:
            match statement:
                case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]), body=[first, *_]):
                    yield fact_at(module, role, first, "start")

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Seeds; where there are some, pinned dependencies too."""
        seeds = list(self._seeds(project))
        yield from seeds
        if seeds:
            yield from _pins(project)

    def _seeds(self, project: Facts) -> Iterator[Evidence]:
        files = {fact.path for fact in project.landmarks(TRAINING, LIGHTNING_MODULE)}
        seeds = foremost(project, project.calls(*_SEEDS.split()))
        yield from (of(fact) for fact in seeds if fact.path in files or not _ELSEWHERE.search(fact.path))
        for setting in project.set_to(_SEED_SETTING, r"^\d+$"):
            yield Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")
        yield from (of(fact) for fact in project.keywords("seed") if _trains(fact))
        if not project.landmarks(DEEP_TRAINING):
            states = project.keywords("random_state")
            yield from (of(fact) for fact in states if not is_zero(fact.keyword("random_state")) or _is_literal(fact))
            yield from (of(fact) for fact in project.calls(*_NUMPY.split()) if fact.arguments)

    def _start(self, project: Facts) -> tuple[str, int | None]:
        """Where the program starts that trains; else where it trains."""
        trained = next(iter([*project.landmarks(DEEP_TRAINING), *project.landmarks(TRAINING)]), None)
        starts = project.notes(self.rule)
        named = [fact for fact in starts if trained and fact.path == trained.path]
        named += [fact for fact in starts if "train" in fact.path.rpartition("/")[2] or "main" in fact.path]
        if named and project.landmarks(DEEP_TRAINING, LIGHTNING_MODULE):
            return named[0].path, named[0].line
        return (trained.path, trained.line) if trained else place_to_change(project)

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """Networks trained where nothing sets a seed for them."""
        if project.lacks("training") or project.findings(self.rule) or next(self._seeds(project), None):
            return
        if project.definitions("seed"):  # a function of the project's own, for whatever it trains with
            return
        for fact in project.landmarks(DEEP_TRAINING)[:3]:
            yield of(fact, f"Nothing in the project seeds this training: two runs differ. `{fact.text}`")

    def next_step(self, project: Facts) -> NextStep:
        """The line that seeds what trains here, before it."""
        if project.landmarks(LIGHTNING_MODULE):
            content = "import lightning as L\n\nL.seed_everything(42, workers=True)\n"
        elif project.landmarks(DEEP_TRAINING):
            content = (
                "import random\n\nimport numpy as np\nimport torch\n\nrandom.seed(42)\nnp.random.seed(42)\n"
                "torch.manual_seed(42)  # before the model and the loaders are made\n"
            )
        else:
            names = sorted({fact.called.rpartition(".")[2] for fact in project.landmarks(ESTIMATOR) if fact.called})
            made = ", ".join(f"{name}(random_state=42)" for name in names[:3]) or "Estimator(random_state=42)"
            split = "train_test_split(X, y, random_state=42)"
            content = f"# in every split and estimator that draws at random\n{split}\n{made}\n"
        path, line = self._start(project)
        return NextStep("Seed the training", "small", path, content, line)


def _trains(fact: Fact) -> bool:
    return not is_zero(fact.keyword("seed")) and fact.called.rpartition(".")[2] in ("TrainingArguments", "SFTConfig")


def _is_literal(fact: Fact) -> bool:
    return (fact.keyword("random_state") or "").isdigit()


def _pins(project: Facts) -> Iterator[Evidence]:
    for path, line, text in project.lines("*requirements*.txt", r"^[\w.\[\]-]+\s*==\s*\d"):
        yield Evidence(path, line, f"dependencies are pinned: `{text}`")
        return
    locks = project.paths("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "conda-lock.yml", "pixi.lock")
    for path in locks[:1]:
        yield Evidence(path, None, "dependencies are locked")
