"""What the tables say of Lightning holds for the Lightning that is installed."""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.checks._lightning import (
    CALLBACK_HOOKS,
    DROPPED_AT_DEFAULT,
    HOOK_PARAMETERS,
    OTHER_HOOKS,
    REFUSED_HOOKS,
    REMOVED_IMPORTS,
    REMOVED_STRATEGIES,
    REMOVED_TRAINER_ARGUMENTS,
    RENAMED_METHOD_ARGUMENTS,
    RENAMED_TRAINER_ARGUMENTS,
    STEPS,
    STRATEGIES,
    UNCALLED_CALLBACK_HOOKS,
    UNCALLED_HOOKS,
)
from mlrules_mcp.source import SourceFile

torch = pytest.importorskip("torch", reason="the tables are about the installed Lightning")
L = pytest.importorskip("lightning", reason="the tables are about the installed Lightning")

TRAINER_ARGUMENTS = frozenset(inspect.signature(L.Trainer).parameters)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Lightning warns about small data and missing loggers, and tells what devices there are."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logger.setLevel(level)


def parameters(function: Callable[..., object]) -> list[str]:
    return list(inspect.signature(function).parameters)[1:]


def hooked(name: str) -> Any:
    owner = L.LightningModule if hasattr(L.LightningModule, name) else L.LightningDataModule
    return getattr(owner, name)


class Line(L.LightningModule):  # type: ignore[name-defined, misc]
    """A model of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def loss(self, batch: Any) -> Any:
        return (self.layer(batch) - 1).square().mean()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.loss(batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**options: Any) -> Any:
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    return L.Trainer(accelerator="cpu", max_epochs=1, **{**silent, **options})


def loader() -> Any:
    return torch.utils.data.DataLoader(torch.ones(4, 1), batch_size=2)


def test_the_trainer_takes_none_of_the_removed_arguments_and_all_that_they_are_renamed_to() -> None:
    assert not TRAINER_ARGUMENTS & REMOVED_TRAINER_ARGUMENTS.keys()
    assert set(RENAMED_TRAINER_ARGUMENTS.values()) <= TRAINER_ARGUMENTS
    assert RENAMED_TRAINER_ARGUMENTS.keys() <= REMOVED_TRAINER_ARGUMENTS.keys()
    assert DROPPED_AT_DEFAULT.keys() <= REMOVED_TRAINER_ARGUMENTS.keys()


@pytest.mark.parametrize("method", RENAMED_METHOD_ARGUMENTS)
def test_the_methods_of_the_trainer_take_only_the_new_names_of_loaders(method: str) -> None:
    names = set(parameters(getattr(L.Trainer, method)))
    assert not names & RENAMED_METHOD_ARGUMENTS[method].keys()
    assert set(RENAMED_METHOD_ARGUMENTS[method].values()) <= names


@pytest.mark.parametrize("strategy", REMOVED_STRATEGIES)
def test_a_removed_strategy_is_refused(strategy: str) -> None:
    with pytest.raises(ValueError, match="invalid strategy name"):
        trainer(strategy=strategy)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_strategy_is_no_accelerator(strategy: str) -> None:
    with pytest.raises(ValueError, match="invalid accelerator name"):
        L.Trainer(accelerator=strategy)


@pytest.mark.parametrize("hook", HOOK_PARAMETERS)
def test_a_hook_is_passed_what_the_table_says(hook: str) -> None:
    # `backward` takes more arguments for those who call it by hand.
    assert parameters(hooked(hook))[: 1 if hook == "backward" else None] == list(HOOK_PARAMETERS[hook])


@pytest.mark.parametrize("hook", sorted(CALLBACK_HOOKS))
def test_a_hook_of_a_callback_is_passed_what_the_table_says(hook: str) -> None:
    assert parameters(getattr(L.Callback, hook)) == ["trainer", "pl_module", *HOOK_PARAMETERS.get(hook, ())]


def test_hooks_that_are_not_called_are_hooks_of_nothing() -> None:
    for name in UNCALLED_HOOKS:
        assert not hasattr(L.LightningModule, name)
        assert not hasattr(L.LightningDataModule, name)
    for name in UNCALLED_CALLBACK_HOOKS:
        assert not hasattr(L.Callback, name)
    assert all(hasattr(L.LightningModule, name) for name in STEPS)


def test_hooks_of_changing_arguments_are_hooks() -> None:
    owners = (L.LightningModule, L.LightningDataModule, L.Callback)
    assert all(any(hasattr(owner, name) for owner in owners) for name in OTHER_HOOKS)


@pytest.mark.parametrize("hook", REFUSED_HOOKS)
def test_a_refused_hook_ends_the_run(hook: str) -> None:
    model = type("Old", (Line,), {hook: lambda self, outputs: None})()
    with pytest.raises(NotImplementedError, match="removed"):
        trainer(fast_dev_run=True).test(model, loader()) if hook.startswith("test") else trainer().fit(model, loader())


def exists(name: str) -> bool:
    package, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(package), last) or bool(importlib.import_module(name))
    except ImportError:
        return False


@pytest.mark.parametrize("name", REMOVED_IMPORTS)
def test_a_removed_name_is_gone(name: str) -> None:
    assert not exists(name)


def test_a_name_that_is_told_to_stand_for_a_removed_one_exists() -> None:
    told = {name for text in REMOVED_IMPORTS.values() for name in re.findall(r"`(lightning[\w.]+)", text)}
    assert told
    assert all(map(exists, told))


def test_hyperparameters_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError, match="hparams"):
        Line().hparams = {"lr": 0.1}
    with pytest.raises(AttributeError, match="hparams"):
        L.LightningDataModule().hparams = {"lr": 0.1}


def safely_fixed(code: str) -> str:
    return fix(SourceFile.from_text(code, "train.py"), Catalogue().narrowed(["lightning_rules"])).source.text


@pytest.mark.parametrize(
    "argument",
    [
        "gpus=0",
        "gpus=None",
        "checkpoint_callback=False",
        "weights_summary=None",
        "weights_summary='top'",
        "progress_bar_refresh_rate=0",
        "reload_dataloaders_every_epoch=True",
        "distributed_backend=None",
        "early_stop_callback=EarlyStopping('loss')",
        "checkpoint_callback=ModelCheckpoint()",
        *(f"{name}={value!r}" for name, values in DROPPED_AT_DEFAULT.items() for value in values),
        *(f"{name}=1" for name in RENAMED_TRAINER_ARGUMENTS if name != "default_save_path"),
        "default_save_path='logs'",
    ],
)
def test_a_trainer_takes_what_the_safe_fix_of_an_argument_writes(argument: str) -> None:
    imports = "import lightning as L\nfrom lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint\n"
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        exec(f"{imports}L.Trainer({argument}, logger=False)", {})
    exec(safely_fixed(f"{imports}L.Trainer({argument}, logger=False)"), {})


STEP_WITHOUT_LOSS = """
import lightning as L
import torch

class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        loss = (self.layer(batch) - 1).square().mean()
        {end}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)
"""


def weights_after_training(code: str) -> list[float]:
    torch.manual_seed(0)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    model = namespace["Model"]()
    trainer().fit(model, loader())
    return [parameter.item() for parameter in model.parameters()]


def test_a_step_that_returns_nothing_trains_nothing_until_it_is_fixed() -> None:
    code = STEP_WITHOUT_LOSS.format(end="del batch_idx")
    torch.manual_seed(0)
    untrained = [parameter.item() for parameter in torch.nn.Linear(1, 1).parameters()]
    assert weights_after_training(code) == untrained
    fixed = weights_after_training(safely_fixed(code))
    assert fixed != untrained
    assert fixed == weights_after_training(STEP_WITHOUT_LOSS.format(end="return loss"))


@pytest.mark.parametrize("end", ["return loss.item()", "return loss.detach()", "return {'loss': loss.detach()}"])
def test_a_step_that_returns_a_loss_without_its_graph_raises_an_error_until_it_is_fixed(end: str) -> None:
    code = STEP_WITHOUT_LOSS.format(end=end)
    with pytest.raises(Exception, match=r"grad|Tensor"):
        weights_after_training(code)
    assert weights_after_training(safely_fixed(code)) == weights_after_training(
        STEP_WITHOUT_LOSS.format(end="return loss")
    )


def test_a_loader_with_a_sampler_takes_no_shuffle() -> None:
    code = (
        "from torch.utils.data import DataLoader, SequentialSampler\n"
        "data = [1, 2, 3]\n"
        "batches = list(DataLoader(data, sampler=SequentialSampler(data), shuffle=True))\n"
    )
    with pytest.raises(ValueError, match="mutually exclusive"):
        exec(code, {})
    namespace: dict[str, Any] = {}
    exec(safely_fixed(code), namespace)
    assert [batch.item() for batch in namespace["batches"]] == [1, 2, 3]
