"""What holds on a GPU holds on the simulated device: numbers, mistakes, and what PyTorch answers."""

from __future__ import annotations

import copy
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - as everyone writes it
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from mlrules_mcp.training.simulated.device import NotSimulated
from mlrules_mcp.training.simulated.simulation import simulated_accelerator, simulated_cuda

# PyTorch warns of its own use of what it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore")

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "simulation"
BOTH = pytest.mark.parametrize(
    ("simulation", "device"), [(simulated_accelerator, "simulated"), (simulated_cuda, "cuda")], ids=["own", "cuda"]
)


@pytest.fixture(scope="module")
def measured() -> Any:
    """What the script that compares the simulation with the truth prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(BENCHMARK), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_models_of_every_kind_lose_what_they_lose_on_the_cpu(measured: Any) -> None:
    models = measured["models"]
    assert len(models) >= 40
    apart = {name: row for name, row in models.items() if max(row["simulated"], row["as_cuda"]) > 1e-5}
    assert apart == {}


def test_device_mistakes_are_named_at_their_line_and_their_corrections_run(measured: Any) -> None:
    mistakes = measured["mistakes"]
    assert len(mistakes) >= 60
    assert {name: row for name, row in mistakes.items() if not (row["named"] and row["runs"])} == {}


@BOTH
def test_tensors_say_which_device_they_are_on(simulation: Any, device: str) -> None:
    with simulation() as first:
        x = torch.zeros(3, device=device)
        assert first == x.device == torch.device(device, 0)
        assert (x.get_device(), x.is_cuda) == (0, device == "cuda")
        assert x.type() == f"torch.{device}.FloatTensor"
        assert repr(x) == f"tensor([0., 0., 0.], device='{device}:0')"
        assert f"{x.sum():.1f} {x.sum()}" == "0.0 0.0"
        assert (x.tolist(), x.sum().item(), bool(x.any())) == ([0.0] * 3, 0.0, False)


@BOTH
def test_views_share_their_values(simulation: Any, device: str) -> None:
    with simulation():
        x = torch.zeros(2, 3, device=device)
        x[0, 1:].fill_(1)
        x.view(-1)[5] = 2
        x.t_()
        assert x.shape == (3, 2)
        assert x.tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]
        assert x.unsqueeze_(0).shape == (1, 3, 2)


@BOTH
def test_an_optimizer_made_before_the_model_moves_still_trains_it(simulation: Any, device: str) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.weight.tolist()
    with simulation():
        parameters = list(model.parameters())
        model.to(device)
        assert all(old is new for old, new in zip(parameters, model.parameters(), strict=True))
        model(torch.ones(1, 2, device=device)).sum().backward()
        optimizer.step()
        assert model.weight.device.type == device
        assert model.weight.tolist() != before
        model.cpu()
    assert type(model.weight) is nn.Parameter


@BOTH
def test_values_of_a_device_tensor_reach_numpy_only_through_the_cpu(simulation: Any, device: str) -> None:
    with simulation():
        x = torch.ones(2, device=device)
        for convert in (x.numpy, lambda: np.asarray(x), lambda: np.array(x)):
            with pytest.raises(TypeError, match=f"can't convert {device}:0 device type tensor to numpy"):
                convert()
        assert x.cpu().numpy().tolist() == [1.0, 1.0]
        with pytest.raises(RuntimeError, match="requires grad"):
            x.requires_grad_().numpy()


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_the_lower_precision_where_cuda_does(
    simulation: Any, device: str, dtype: torch.dtype
) -> None:
    with simulation():
        x = torch.randn(4, 4, device=device)
        with torch.autocast(device, dtype):
            assert torch.is_autocast_enabled(device)
            assert (x @ x).dtype == nn.Linear(4, 4).to(device)(x).dtype == dtype
            assert (x @ x).softmax(0).dtype == (x @ x).sum().dtype == torch.float32
            assert F.cross_entropy(x @ x, torch.arange(4, device=device)).dtype == torch.float32
            assert torch.addcmul(x, x @ x, x).dtype == torch.float32
            with pytest.raises(RuntimeError, match="unsafe to autocast"):
                F.binary_cross_entropy((x @ x).sigmoid(), x)
        assert (x @ x).dtype == torch.float32


@BOTH
def test_a_scaled_step_in_half_precision_trains(simulation: Any, device: str) -> None:
    with simulation():
        model = nn.Linear(4, 1).to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler(device)
        x, losses = torch.randn(16, 4, device=device), []
        for _ in range(5):
            optimizer.zero_grad()
            with torch.autocast(device, torch.float16):
                loss = model(x).pow(2).mean()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
        assert losses[-1] < losses[0]


@BOTH
def test_what_was_saved_is_loaded_to_where_map_location_says(simulation: Any, device: str) -> None:
    def saved() -> io.BytesIO:
        file = io.BytesIO()
        torch.save({"weight": torch.ones(2, device=device), "step": 3}, file)
        file.seek(0)
        return file

    def device_of(file: io.BytesIO, **arguments: Any) -> str:
        loaded = torch.load(file, **arguments)
        assert (loaded["weight"].tolist(), loaded["step"]) == ([1.0, 1.0], 3)
        return str(loaded["weight"].device)

    with simulation(2):
        file = saved()
        assert device_of(saved()) == f"{device}:0"
        assert device_of(saved(), weights_only=False) == f"{device}:0"
        assert device_of(saved(), map_location="cpu") == "cpu"
        assert device_of(saved(), map_location=torch.device("cpu")) == "cpu"
        assert device_of(saved(), map_location=lambda storage, location: storage) == "cpu"
        assert device_of(saved(), map_location=f"{device}:1") == f"{device}:1"
        assert device_of(saved(), map_location={f"{device}:0": f"{device}:1"}) == f"{device}:1"
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        torch.load(file, weights_only=False)


@BOTH
def test_a_copy_of_a_model_is_on_its_device_and_its_own(simulation: Any, device: str) -> None:
    with simulation():
        model = nn.Linear(2, 2).to(device)
        model(torch.ones(1, 2, device=device)).sum().backward()
        other = copy.deepcopy(model)
        assert other.weight.device.type == device
        assert isinstance(other.weight, nn.Parameter)
        assert other.weight.grad is not None
        with torch.no_grad():
            other.weight.zero_()
        assert model.weight.abs().sum() > 0


@BOTH
@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_that_pins_memory_gives_tensors_of_the_cpu(simulation: Any, device: str, workers: int) -> None:
    with simulation():
        loader = DataLoader(TensorDataset(torch.arange(4.0)), 2, pin_memory=True, num_workers=workers)
        batches = [batch.to(device, non_blocking=True) for (batch,) in loader]
        assert torch.cat(batches).tolist() == [0.0, 1.0, 2.0, 3.0]


@BOTH
def test_a_generator_draws_for_its_own_device_alone(simulation: Any, device: str) -> None:
    with simulation():
        generator = torch.Generator(device=device).manual_seed(0)
        assert generator.device.type == device
        drawn = torch.randn(3, device=device, generator=generator)
        assert drawn.tolist() == torch.randn(3, generator=torch.Generator().manual_seed(0)).tolist()
        with pytest.raises(RuntimeError, match=f"Expected a 'cpu' device type for generator but found '{device}'"):
            torch.randperm(3, generator=generator)
        with pytest.raises(RuntimeError, match=f"Expected a '{device}' device type for generator but found 'cpu'"):
            torch.randn(3, device=device, generator=torch.Generator())


@BOTH
def test_a_compiled_model_computes_the_same(simulation: Any, device: str) -> None:
    with simulation():
        model, x = nn.Linear(2, 2).to(device), torch.ones(1, 2, device=device)
        assert torch.compile(model, backend="eager")(x).tolist() == model(x).tolist()


@BOTH
def test_hooks_and_backward_functions_run_as_the_code_around_them(simulation: Any, device: str) -> None:
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return grad * torch.full((3,), 2.0, device=device)

    with simulation():
        x = torch.ones(3, device=device, requires_grad=True)
        x.register_hook(lambda grad: grad + torch.ones(3, device=device))
        Doubled.apply(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [3.0, 3.0, 3.0]


def test_code_for_cuda_alone_fails_on_another_accelerator() -> None:
    with simulated_accelerator():
        calls: list[Callable[[], Any]] = [
            lambda: torch.zeros(1).cuda(),
            lambda: torch.zeros(1, device="cuda"),
            lambda: nn.Linear(1, 1).to("cuda"),
        ]
        for call in calls:
            with pytest.raises((AssertionError, RuntimeError), match=r"(?i)cuda|nvidia"):
                call()
        assert not torch.cuda.is_available()
        assert torch.accelerator.is_available()


def test_cuda_answers_as_on_a_machine_that_has_it() -> None:
    with simulated_cuda(2):
        assert torch.cuda.is_available()
        assert torch.cuda.device_count() == 2
        assert torch.cuda.get_device_name(0) == "simulated CUDA device"
        torch.cuda.set_device(1)
        assert torch.zeros(1).cuda().device == torch.device("cuda:1")
        with torch.cuda.device(0):
            assert torch.zeros(1, device="cuda").device == torch.device("cuda:0")
        assert torch.cuda.current_device() == 1
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        end.record()
        torch.cuda.synchronize()
        assert start.elapsed_time(end) >= 0
        assert torch.cuda.FloatTensor([1, 2]).device.type == "cuda"
        assert torch.zeros(1).type(torch.cuda.HalfTensor).dtype == torch.float16
        with torch.cuda.stream(torch.cuda.Stream()), torch.cuda.amp.autocast():
            assert nn.Linear(2, 2).cuda()(torch.ones(1, 2).cuda()).dtype == torch.float16


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.zeros(3, device="cuda").to_sparse(),
        lambda: torch.cuda.CUDAGraph().replay(),
        lambda: nn.DataParallel(nn.Linear(2, 2).cuda(), device_ids=[0, 1])(torch.ones(2, 2).cuda()),
    ],
)
def test_what_cannot_be_simulated_says_so(call: Callable[[], Any]) -> None:
    with simulated_cuda(2), pytest.raises(NotSimulated, match=r"^not simulated: "):
        call()


def test_outside_a_simulation_everything_is_as_before() -> None:
    generator, load = torch.Generator, torch.load
    with simulated_cuda():
        pass
    with pytest.raises(ZeroDivisionError), simulated_accelerator():
        raise ZeroDivisionError
    assert (torch.Generator, torch.load) == (generator, load)
    assert not torch.cuda.is_available()
    assert not torch.accelerator.is_available()
    with pytest.raises((AssertionError, RuntimeError)):
        torch.zeros(1).cuda()
    loader = DataLoader(TensorDataset(torch.arange(4.0)), 2, pin_memory=True)
    assert len(list(loader)) == 2
