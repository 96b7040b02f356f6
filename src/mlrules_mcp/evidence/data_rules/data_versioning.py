from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.drafts import manifest_script
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.landmarks import DATA, DATASET, TRAINING
from mlrules_mcp.evidence.programs import NETWORK, PLAIN, TABLE
from mlrules_mcp.patterns import pattern

if TYPE_CHECKING:
    from mlrules_mcp.evidence.facts import Facts

_TOOLS = (
    "dvc.api.* wandb.Artifact .use_artifact lakefs.* lakefs_client.* delta.* deltalake.* mlflow.data.* pooch.retrieve "
    "pooch.create quilt3.* hub.dataset deeplake.* clearml.Dataset.* pachyderm_sdk.* tensorflow_datasets.load "
    "pyiceberg.* dolt.* openml.datasets.get_dataset"
)
_HASHES = "hashlib.sha256 hashlib.md5 hashlib.sha1 hashlib.blake2b hashlib.file_digest pandas.util.hash_pandas_object"
_FUNCTIONS = "dataset_version data_version snapshot_data snapshot_current_data dataset_manifest version_data"
_ABOUT_DATA = pattern(r"(?i)data_?(set|file|path|version|hash)|(^|[/_ ])data([/_. ]|$)|version|manifest|checksum|split")
_PINNED = ("md5", "sha256", "known_hash", "revision", "versionAsOf", "version_as_of")


class DataVersioning(Collector):
    """A result can be traced to the data that it was made with.

    ## Met
    DVC files with checksums, artifacts, data of a lake or hub at a version, checksums of files that the code computes,
    data files under Git LFS.

    ## Broken
    An error or warning of a static check: a path of one machine, a hub's data set without a revision.

    ## Not applicable
    No data is read and nothing is trained here.

    ## Never counts
    A `.dvc` folder without files that are tracked, a hash of anything but data, a date in a file's name.

    ## References
    - https://dvc.org/doc/start
    """

    asks = Asked.of(calls=f"{_TOOLS} {_HASHES}", keywords=" ".join(_PINNED), definitions=_FUNCTIONS)
    would_count = "DVC files, artifacts, a pinned revision, or checksums of the data"
    looked_in = "the code, notebooks, DVC's and Git's files"
    examples = (
        Example(
            {"train.py": TABLE, "data/churn.csv.dvc": "outs:\n- md5: 5f3a\n  size: 12\n  path: churn.csv\n"},
            "met",
            ["data/churn.csv.dvc:2"],
        ),
        Example({"train.py": TABLE, "dvc.yaml": "stages: {}\n"}, "no_evidence", why="nothing is tracked"),
        Example(
            {"train.py": NETWORK, "data.py": 'import pandas as pd\n\ndf = pd.read_csv("/home/anna/churn.csv")\n'},
            "broken",
            ["data.py:3"],
        ),
        Example({"features.py": PLAIN}, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where there is no data, it has no version."""
        if reason := super().not_applicable(project):
            return reason
        if project.landmarks(TRAINING) and not project.library and (reason := project.lacks("data")):
            return reason
        if project.landmarks(DATA, DATASET, TRAINING):
            return None
        return f"No data is read and nothing is trained here{project.extent}."

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Tracked files, tools, pinned versions, checksums."""
        for setting in project.set_to(r"outs\.\d+\.(md5|etag|checksum|hash)$", path=r"(\.dvc|dvc\.lock)$"):
            yield Evidence(setting.path, setting.line, f"tracked by DVC: `{setting.key.rpartition('.')[2]}`")
        for path, line, text in project.lines("*dvc.lock", r"^\s*(- )?(md5|path):"):
            yield Evidence(path, line, f"tracked by DVC: `{text}`")
        for path, line, text in project.lines(
            "*.gitattributes", r"\.(csv|parquet|json|npy|zip|tar|h5|feather)\b.*filter=lfs"
        ):
            yield Evidence(path, line, f"data under Git LFS: `{text}`")
        for fact in project.calls(*_TOOLS.split()):
            if "model" not in (fact.keyword("type") or "").lower():  # an artifact may be anything
                yield of(fact)
        for name in _PINNED:
            for fact in project.keywords(name):
                is_of_data = "load_dataset" in fact.called or name not in ("revision",)
                if is_of_data and fact.keyword(name) not in (None, "None", '"main"', "'main'"):
                    yield of(fact, f"a pinned version: `{fact.text}`")
        yield from (of(fact) for fact in project.definitions(*_FUNCTIONS.split()))
        for fact in project.calls(*_HASHES.split(), roles=("code",)):
            if _ABOUT_DATA.search(f"{fact.scope} {fact.path}"):
                yield of(fact, f"a checksum: `{fact.text}`")

    def next_step(self, project: Facts) -> NextStep:
        """A script that keeps checksums of the files that the project reads."""
        return NextStep("Write down which data is used", "small", "data_manifest.py", manifest_script(project))
