from __future__ import annotations

import ast
from collections.abc import Iterator

from mlrules_mcp.checks._data import is_test_file
from mlrules_mcp.checks.check import Bad, Check, Good
from mlrules_mcp.findings import Finding
from mlrules_mcp.patterns import pattern
from mlrules_mcp.source import Module
from mlrules_mcp.source.names import argument, passes_unseen_arguments

# Builders of datasets 4 that read files rather than a repository of the Hub.
_LOCAL_BUILDERS = frozenset(
    "arrow audiofolder csv generator hdf5 imagefolder json jsonl lance pandas parquet pdffolder spark sql text "
    "videofolder webdataset xml".split()
)
_REPOSITORY = pattern(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
_FILE = pattern(r"(?i)\.(py|json|jsonl|csv|tsv|txt|parquet|arrow|zip|gz|pt|pkl|h5)$")
_SAMPLE = pattern(r"(?i)\.(png|jpe?g|gif|webp|bmp|mp4|avi|wav|mp3|flac|pdf)$")
_LOCAL_WORD = pattern(
    r"(?i)^((my_?)?data(sets?)?|train(ing)?|test|val(id(ation)?)?|corpus|files?|inputs?|outputs?|cache|tmp|raw|processed|"
    r"content|kaggle|input)(/|$)|(^|/)(train|test|val|data)(_data|_?set)?$"
)
_FIXTURES = ("hf-internal-testing/", "ybelkada/", "Narsil/")
_LOADS = ("load_dataset", "load_dataset_builder", "hf_hub_download", "snapshot_download", "fetch_openml")
_READERS = (
    "read_csv",
    "read_table",
    "read_json",
    "read_parquet",
    "read_excel",
    "urlretrieve",
    "urlopen",
    "download_url",
)
_BRANCH = pattern(
    r"^https://(?:raw\.githubusercontent\.com/[^/]+/[^/]+|github\.com/[^/]+/[^/]+/(?:raw|blob))/"
    r"(?:refs/heads/)?(master|main|develop|gh-pages)/"
)
_TRAINS = ("fit", "train", "backward", "Trainer", "Seq2SeqTrainer", "SFTTrainer")


class UnpinnedDataset(Check[ast.Module]):
    """A data set from a hub, of no version in particular.

    ## What it does
    Finds `load_dataset("org/name")` and downloads of data sets from the Hugging Face Hub without `revision`, and
    `fetch_openml("name")` without a `version` or `data_id`. One finding a file, and advice where it trains nothing.
    Files that are read from a branch on GitHub for training are advice too.

    ## Why it matters
    The name stands for whatever the repository holds on the day: its owner can change, filter or delete rows, and the
    same script then trains on other data and gives other scores, without a word.

    ## Do not flag
    Files of one's own (`"csv"`, `"imagefolder"`, `"./data"`), a `revision`, arguments that don't show, single pictures
    and recordings, models, tests.

    ## Fix safety
    No fix: the commit that was meant has to be looked up.

    ## References
    - https://huggingface.co/docs/datasets/loading
    - https://scikit-learn.org/stable/datasets/loading_other_datasets.html
    """

    packages = frozenset({"datasets", "nlp", "huggingface_hub", "sklearn", "pandas", "torch", "lightning"})
    examples = (
        Bad(
            """
            from datasets import load_dataset

            dataset = «load_dataset("rajpurkar/squad", split="train")»
            trainer.train()
            """
        ),
        Bad(
            """
            import datasets

            NAME = "imdb"
            train, test = «datasets.load_dataset(NAME, split=["train", "test"])»
            loss.backward()
            """
        ),
        Bad(
            """
            from datasets import load_dataset

            print(«load_dataset("nielsr/funsd")»["train"][0])
            """,
            advice=True,
        ),
        Bad(
            """
            from huggingface_hub import hf_hub_download

            path = «hf_hub_download("org/speech", "train.tar", repo_type="dataset")»
            model.fit(path)
            """
        ),
        Bad(
            """
            from sklearn.datasets import fetch_openml
            from sklearn.svm import SVC

            X, y = «fetch_openml("titanic", return_X_y=True)»
            SVC().fit(X, y)
            """
        ),
        Bad(
            """
            import pandas as pd
            from sklearn.linear_model import LinearRegression

            df = «pd.read_csv("https://raw.githubusercontent.com/org/data/master/houses.csv")»
            LinearRegression().fit(df[["area"]], df["price"])
            """,
            advice=True,
        ),
        Good(
            """
            import pandas as pd
            from sklearn.linear_model import LinearRegression

            df = pd.read_csv("https://raw.githubusercontent.com/org/data/7b6d24c/houses.csv")
            LinearRegression().fit(df[["area"]], df["price"])
            """
        ),
        Good(
            """
            from datasets import load_dataset
            from huggingface_hub import hf_hub_download

            squad = load_dataset("rajpurkar/squad", revision="7b6d24c")
            own = load_dataset("csv", data_files="train.csv")
            folder = load_dataset("imagefolder", data_dir="images")
            files = load_dataset("./data/speech")
            script = load_dataset("my_data.py")
            words = load_dataset("data/words")
            given = load_dataset(name, **options)
            weights = hf_hub_download("org/model", "model.safetensors")
            trainer.train()
            """
        ),
        Good(
            """
            from sklearn.datasets import fetch_openml

            mnist = fetch_openml("mnist_784", version=1)
            adult = fetch_openml(data_id=1590)
            model.fit(mnist.data, mnist.target)
            """
        ),
        Good(
            """
            import seaborn as sns
            from sklearn.svm import SVC

            iris = sns.load_dataset("iris")
            """,
            why="not from a hub",
        ),
        Good(
            """
            from datasets import load_dataset
            from huggingface_hub import hf_hub_download

            sample = load_dataset("hf-internal-testing/fixtures_image_utils", split="test")
            picture = hf_hub_download(repo_id="ann/pictures", filename="cats.png", repo_type="dataset")
            model.train()
            """,
            why="pictures to try the model on",
        ),
    )

    def check(self, node: ast.Module, module: Module) -> Iterator[Finding]:
        if is_test_file(module):
            return
        yield from self._on_branches(module)
        pins = {call: pin for call in module.calls(*_LOADS) if (pin := _pin(module, call)) is not None}
        if not pins:
            return
        first, *others = pins
        yield self.finding(
            module,
            first,
            "What this loads is whatever the data set's repository holds on the day, so that the same code can train "
            f"on other rows tomorrow. Pin it with `{pins[first]}`.",
            advice=not module.calls(*_TRAINS),
            also_at=others,
        )

    def _on_branches(self, module: Module) -> Iterator[Finding]:
        if "https://raw.github" not in module.source.code and "https://github.com" not in module.source.code:
            return
        found = {call: branch for call in module.calls(*_READERS) if (branch := _branch(module, call)) is not None}
        if found and module.calls(*_TRAINS):
            first, *others = found
            yield self.finding(
                module,
                first,
                f"The file at this address changes with the branch `{found[first]}`, so that the same code can train "
                "on other rows tomorrow. Put the commit that is meant in its place.",
                advice=True,
                also_at=others,
            )


def _branch(module: Module, call: ast.Call) -> str | None:
    """The branch that the address in a call is of; None where it names a commit, or nothing of the kind."""
    address = _constant(module, call.args[0]) if call.args else None
    found = _BRANCH.match(address) if address is not None else None
    return found[1] if found else None


def _pin(module: Module, call: ast.Call) -> str | None:
    """How to pin what a call loads; None where it is pinned, or loads no data set of a hub."""
    package, _, last = (module.qualified_name(call.func) or "").rpartition(".")
    if passes_unseen_arguments(call):
        return None
    if last == "fetch_openml":
        shown = argument(call, "name", 0) is not None and argument(call, "data_id") is None
        return "version=…" if shown and argument(call, "version", 1) is None else None
    if argument(call, "revision") is not None:
        return None
    if package in ("datasets", "nlp"):
        repository = _constant(module, argument(call, "path", 0))
        return "revision=…" if repository is not None and _is_remote(repository) else None
    if package.startswith("huggingface_hub"):
        kind = argument(call, "repo_type")
        if _is_sample(
            _constant(module, argument(call, "repo_id", 0)), _constant(module, argument(call, "filename", 1))
        ):
            return None
        return "revision=…" if isinstance(kind, ast.Constant) and kind.value == "dataset" else None
    return None


def _is_sample(repository: str | None, filename: str | None) -> bool:
    """Whether a download is one picture or recording to try something on."""
    return (repository or "").startswith(_FIXTURES) or bool(_SAMPLE.search(filename or ""))


def _constant(module: Module, expression: ast.expr | None) -> str | None:
    if expression is None:
        return None
    origins = module.origins(expression)
    if len(origins) == 1 and isinstance(origins[0], ast.Constant) and isinstance(origins[0].value, str):
        return origins[0].value
    return None


def _is_remote(repository: str) -> bool:
    return (
        repository not in _LOCAL_BUILDERS
        and not repository.startswith(_FIXTURES)
        and bool(_REPOSITORY.match(repository))
        and not _FILE.search(repository)
        and not _LOCAL_WORD.search(repository)
    )
