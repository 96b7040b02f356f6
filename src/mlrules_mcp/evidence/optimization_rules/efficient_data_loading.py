from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlrules_mcp.evidence.answer import Evidence, NextStep
from mlrules_mcp.evidence.asked import Asked
from mlrules_mcp.evidence.collector import Collector, Example
from mlrules_mcp.evidence.facts import of
from mlrules_mcp.evidence.networks import NO_NETWORK, TRAINED, is_zero, no_network_trained, place_to_change

if TYPE_CHECKING:
    from mlrules_mcp.evidence.code import Fact
    from mlrules_mcp.evidence.facts import Facts
    from mlrules_mcp.evidence.settings import Setting

_WORKERS = ("num_workers", "dataloader_num_workers", "n_workers", "workers")
_CALLS = "ffcv.* nvidia.dali.* webdataset.* streaming.* tensorflow.data.AUTOTUNE grain.*"
_METHODS = ".iter_torch_batches .prefetch"
_SETTING = r"(^|[._])(num_?workers|n_workers|dataloader_num_workers)$"


class EfficientDataLoading(Collector):
    """The next batch is ready when the device has done with the last one.

    ## Met
    Loaders with workers, in code or configuration; prefetching pipelines of TensorFlow, Ray, FFCV, DALI or WebDataset.

    ## Broken
    A static check finds loaders without workers, or whole files read for each item; or every configuration of the
    number of workers says none.

    ## Not applicable
    No neural network is trained here.

    ## Never counts
    A number of workers of something else; zero.

    ## References
    - https://docs.pytorch.org/docs/stable/data.html#single-and-multi-process-data-loading
    - https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html
    """

    asks = Asked.of(calls=f"{_CALLS} {_METHODS}", keywords=" ".join(_WORKERS))
    would_count = "`num_workers` of a loader, or a pipeline that prefetches"
    looked_in = "the code, notebooks and configurations"
    examples = (
        Example(
            {
                "train.py": TRAINED.replace(
                    "for x", "loader = torch.utils.data.DataLoader(data, batch_size=8, num_workers=4)\nfor x"
                )
            },
            "met",
            ["train.py:6"],
        ),
        Example(
            {"train.py": TRAINED, "configs/data.yaml": "data:\n  num_workers: 0\n"},
            "broken",
            ["configs/data.yaml:2"],
        ),
        Example(
            {"train.py": f"from ray.train import ScalingConfig\n\nscaling = ScalingConfig(num_workers=4)\n{TRAINED}"},
            "no_evidence",
            why="these workers train, they load nothing",
        ),
        Example({"train.py": TRAINED}, "no_evidence"),
        Example(NO_NETWORK, "not_applicable"),
    )

    def not_applicable(self, project: Facts) -> str | None:
        """Where no network is trained."""
        return no_network_trained(project)

    def evidence(self, project: Facts) -> Iterator[Evidence]:
        """Workers that are given, then pipelines."""
        settings = _settings(project)
        yield from (_said(each) for each in settings if not is_zero(each.value))
        given = project.keywords(*_WORKERS)
        loaders = [fact for fact in given if any(_has_workers(fact.keyword(name), settings) for name in _WORKERS)]
        yield from (of(fact) for fact in loaders if _loads(fact))
        yield from (of(fact) for fact in project.calls(*_CALLS.split(), *_METHODS.split()))

    def contradictions(self, project: Facts) -> Iterator[Evidence]:
        """Configurations that all say none, where nothing else says some."""
        settings = _settings(project)
        if settings and all(is_zero(each.value) for each in settings) and not next(self.evidence(project), None):
            message = "No worker loads data: each batch is prepared while the device waits."
            yield from (Evidence(each.path, each.line, f"{message} `{each.key}: {each.value}`") for each in settings)

    def next_step(self, project: Facts) -> NextStep:
        """The option, where it belongs."""
        if none := [each for each in _settings(project) if is_zero(each.value)]:
            name = none[0].key.rpartition(".")[2]
            return NextStep("Let workers load the data", "small", none[0].path, f"{name}: 4\n", none[0].line)
        path, line = place_to_change(project)
        content = (
            "loader = DataLoader(\n    dataset,\n    batch_size=batch_size,\n    shuffle=True,\n    num_workers=4,\n"
            "    pin_memory=torch.cuda.is_available(),\n    persistent_workers=True,\n)\n"
        )
        return NextStep("Let workers load the data", "small", path, content, line)


def _settings(project: Facts) -> list[Setting]:
    found = project.set_to(_SETTING, r"^\d+$")
    return [each for each in found if not any(word in each.path.lower() for word in ("debug", "test", "fast"))]


def _said(setting: Setting) -> Evidence:
    return Evidence(setting.path, setting.line, f"`{setting.key}: {setting.value}`")


def _has_workers(code: str | None, settings: list[Setting]) -> bool:
    """Whether the code of a number of workers stands for some: a number, or one that no configuration sets to none."""
    if code is None or is_zero(code):
        return False
    return code.isdigit() or not settings or not all(is_zero(each.value) for each in settings)


def _loads(fact: Fact) -> bool:
    """Whether the workers are those of loaders, not the processes of a cluster."""
    called = fact.called.rpartition(".")[2]
    if called in ("ScalingConfig", "Pool", "Client"):
        return False
    if fact.name == "workers":
        return called in ("fit", "fit_generator", "predict", "evaluate") or "loader" in fact.text.lower()
    words = ("load", "dataset", "datamodule", "data_module", "iterator", "trainingarguments")
    return any(word in f"{fact.called} {fact.text}".lower() for word in words)
