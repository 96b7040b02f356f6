"""What the checks of deep learning say of PyTorch and Lightning holds for those that are installed."""

from __future__ import annotations

import copy
import warnings
from textwrap import dedent
from typing import Any

import pytest

from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import SourceFile

torch = pytest.importorskip("torch", reason="the fixes are about the installed PyTorch")
L = pytest.importorskip("lightning", reason="the configurations are about the installed Lightning")
nn = torch.nn
lr_scheduler = torch.optim.lr_scheduler


def fixed(check: str, code: str) -> str:
    source = SourceFile.from_text(code, "train.py")
    return fix(source, Catalogue().narrowed([check]), ["safe"]).source.text


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "train.py", "exec"), names)
    return names


def test_dropout_with_the_fix_trains_as_before_and_is_off_in_evaluation() -> None:
    code = dedent("""
        import torch.nn as nn
        import torch.nn.functional as F

        class Net(nn.Module):
            def forward(self, x):
                return F.dropout(x, 0.5)
    """)
    before, after = run(code)["Net"](), run(fixed("functional-dropout-always-on", code))["Net"]()
    x = torch.ones(100)
    outputs = []
    for net in (before, after):
        torch.manual_seed(0)
        outputs.append(net(x))
    assert torch.equal(*outputs)
    assert not torch.equal(before.eval()(x), x)
    assert torch.equal(after.eval()(x), x)


def test_an_initialiser_by_its_new_name_draws_the_same_weights_without_a_warning() -> None:
    code = dedent("""
        from torch.nn import init

        def weights(layer):
            init.xavier_uniform(layer.weight)
            return layer.weight
    """)
    layer = nn.Linear(4, 4)
    torch.manual_seed(0)
    with pytest.warns(FutureWarning, match="xavier_uniform_"):
        before = run(code)["weights"](copy.deepcopy(layer))
    torch.manual_seed(0)
    assert torch.equal(before, run(fixed("deprecated-init", code))["weights"](copy.deepcopy(layer)))


def test_a_schedule_stepped_first_skips_its_first_value_until_it_is_fixed() -> None:
    code = dedent("""
        import torch

        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.1)
        used = []
        optimizer.register_step_pre_hook(lambda opt, *_: used.append(opt.param_groups[0]["lr"]))
        for x in range(2):
            weight.grad = torch.zeros(1)
            scheduler.step()
            optimizer.step()
    """)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch warns about the order
        assert run(code)["used"] == pytest.approx([0.1, 0.01])
    assert run(fixed("scheduler-before-optimizer", code))["used"] == pytest.approx([1.0, 0.1])


def test_a_plateau_schedule_needs_its_metric() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(TypeError, match="metrics"):
        lr_scheduler.ReduceLROnPlateau(optimizer).step()


def test_a_plateau_schedule_in_the_wrong_mode_cuts_the_rate_of_a_model_that_improves() -> None:
    rates = {}
    for mode in ("min", "max"):
        optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, mode, patience=1)
        for accuracy in (0.5, 0.6, 0.7, 0.8, 0.9):
            schedule.step(accuracy)
        rates[mode] = schedule.get_last_lr()
    assert rates == {"min": [pytest.approx(0.01)], "max": [1.0]}


@pytest.mark.parametrize("form", ["bare", "dictionary", "two dictionaries"])
def test_lightning_refuses_a_plateau_schedule_without_a_monitor(form: str) -> None:
    from lightning.pytorch.core.optimizer import _init_optimizers_and_lr_schedulers  # noqa: PLC0415 - a part of the run

    class Net(L.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1, 1)
            self._trainer = None

        def configure_optimizers(self) -> object:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
            schedule = lr_scheduler.ReduceLROnPlateau(optimizer)
            if form == "bare":
                return [optimizer], [schedule]
            if form == "dictionary":
                return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}, "monitor": "loss"}
            return ({"optimizer": optimizer, "lr_scheduler": schedule, "monitor": "loss"},)

    net = Net()
    net._trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(Exception, match="monitor"):
        _init_optimizers_and_lr_schedulers(net)


def test_functional_batch_normalisation_without_training_neither_normalises_nor_learns() -> None:
    mean, variance = torch.zeros(3), torch.ones(3)
    x = torch.randn(16, 3) + 5
    assert torch.allclose(nn.functional.batch_norm(x, mean, variance), x, atol=1e-3)
    assert torch.equal(mean, torch.zeros(3))


def test_a_bias_before_batch_normalisation_has_no_effect_and_no_gradient() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double()
    x = torch.randn(16, 4).double()
    before = net(x)
    before.pow(3).sum().backward()
    assert net[0].bias.grad.abs().max() < 1e-9
    with torch.no_grad():
        net[0].bias += 7
    assert torch.allclose(net(x), before)


def test_units_of_a_layer_with_constant_weights_stay_equal() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.1)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x = torch.randn(16, 4)
    for _ in range(5):
        optimizer.zero_grad()
        (net(x) - x[:, :1]).pow(2).mean().backward()
        optimizer.step()
    weights = net[0].weight
    assert torch.allclose(weights, weights[:1].expand_as(weights))
    assert not torch.allclose(weights, torch.full_like(weights, 0.1))
