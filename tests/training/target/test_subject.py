"""Subjects are made in this process: the user's files go under names of their own, for modules are kept by name."""

import sys
from itertools import count

import pytest

from mlrules_mcp.training.errors import TrainingError, TrainingFailedError
from mlrules_mcp.training.target.loading import Importer
from mlrules_mcp.training.target.request import read_target
from mlrules_mcp.training.target.subject import make_subject
from mlrules_mcp.training.trials import Trials

# Lightning warns users of what their modules lack; in a worker no warning is an error.
pytestmark = pytest.mark.filterwarnings("default")
NUMBER = count()
HEAD = """
import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
"""
NET = """
class Net(nn.Module):
    def __init__(self, hidden=4):
        super().__init__()
        self.body = nn.Conv2d(3, hidden, 3)
        self.head = nn.Linear(hidden, 5)

    def forward(self, x):
        return self.head(self.body(x).relu().mean(dim=(2, 3)))
"""
LIT = """
class Lit(pl.LightningModule):
    def __init__(self, hidden: int = 4, rate=0.01):
        super().__init__()
        self.save_hyperparameters()
        self.body = nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 3))
        self.rate = rate

    def forward(self, x):
        return self.body(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return F.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.rate)
"""
DATA = """
class Numbers(pl.LightningDataModule):
    def __init__(self, size: int = 16, workers=0):
        super().__init__()
        self.size, self.workers = size, workers

    def setup(self, stage):
        self.set = TensorDataset(torch.randn(self.size, 6), torch.arange(self.size) % 3)

    def train_dataloader(self):
        return DataLoader(self.set, batch_size=4, num_workers=self.workers, persistent_workers=self.workers > 0)
"""


@pytest.fixture(autouse=True)
def python_as_before(monkeypatch):
    for name in ("path", "argv", "meta_path"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))


@pytest.fixture
def make(tmp_path):
    """Makes the subject of a file's text, and trains it on the CPU."""

    def made(text, cls="", *, head=HEAD, **options):
        name = f"users_module_{next(NUMBER)}.py"
        (tmp_path / name).write_text(head + text, encoding="utf-8")
        target = read_target(f"{name}:{cls}" if cls else name, folder=tmp_path, **options)
        importer = Importer(target)
        subject = make_subject(target, importer, seed=0, folder=tmp_path / "runs")
        return subject, Trials(subject, "cpu", 0, tmp_path / "trials")

    return made


def failure(make, *arguments, **options):
    with pytest.raises(TrainingError) as caught:
        make(*arguments, **options)
    return str(caught.value)


def noted(subject):
    return " ".join(subject.notes)


def test_inputs_of_a_convolution_are_worked_out_and_a_surrogate_loss_is_told(make):
    subject, trials = make(NET)
    assert subject.name == "Net"
    assert '{"shape": [8, 3, 32, 32]}, found by trying' in noted(subject)
    assert "No loss was given" in noted(subject)
    assert subject.made_up_loss
    assert trials.first.recorder.losses.isfinite().all()


def test_targets_are_made_for_a_loss_that_is_asked_for(make):
    subject, trials = make(NET, loss="cross_entropy")
    assert '{"shape": [8], "dtype": "int64", "high": 5}' in noted(subject)
    assert not subject.made_up_loss
    assert trials.first.recorder.losses[0] < 3


def test_a_given_batch_is_what_is_trained_on(make):
    batch = [{"shape": [4, 3, 9, 9]}, {"shape": [4], "dtype": "int64", "high": 5}]
    subject, trials = make(NET, batch=batch, loss="cross_entropy")
    shapes = trials.on_first_batch(lambda bench: [list(each.shape) for each in bench.batch])
    assert shapes == [[4, 3, 9, 9], [4]]
    assert noted(subject) == ""


def test_a_target_is_added_to_a_batch_of_inputs_alone(make):
    _, trials = make(NET, batch={"shape": [4, 3, 9, 9]}, loss="mse")
    assert trials.on_first_batch(lambda bench: [list(each.shape) for each in bench.batch]) == [[4, 3, 9, 9], [4, 5]]


def test_named_inputs_and_a_loss_of_the_modules_own_are_trained_with(make):
    text = """
class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 4)
        self.head = nn.Linear(4, 11)

    def forward(self, ids, labels):
        logits = self.head(self.table(ids))
        return {"loss": F.cross_entropy(logits.flatten(0, 1), labels.flatten()), "logits": logits}
"""
    tokens = {"shape": [2, 7], "dtype": "int64", "high": 11}
    _, trials = make(text, batch={"ids": tokens, "labels": tokens})
    assert 1.5 < trials.first.recorder.losses[0] < 4


def test_batches_of_a_lightning_module_are_found_by_trying(make):
    subject, trials = make(LIT)
    assert '[{"shape": [8, 6]}, {"shape": [8], "dtype": "int64", "high": 3}], found by trying' in noted(subject)
    assert len(trials.first.recorder.losses) == subject.epochs * subject.batches


def test_the_data_module_of_the_same_file_is_used(make):
    subject, trials = make(LIT + DATA, "Lit")
    assert "Trained on Numbers of the same file." in noted(subject)
    assert trials.on_first_batch(lambda bench: bench.batch[0].shape) == (4, 6)


def test_workers_are_taken_away_and_told(make):
    subject, trials = make(LIT + DATA, data_args={"workers": 2})
    assert "without the 2 workers" in noted(subject)
    assert trials.first.trainer.train_dataloader.num_workers == 0


def test_the_models_own_loaders_are_used(make):
    own = """
    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.randn(9, 6), torch.zeros(9, dtype=torch.long)), batch_size=3)
"""
    _, trials = make(LIT + own)
    assert trials.on_first_batch(lambda bench: bench.batch[0].shape) == (3, 6)


def test_an_iterable_set_in_dictionaries_without_a_validation_loop_is_trained_on(make):
    text = (
        LIT.replace("x, y = batch", 'x, y = batch["x"], batch["y"]')
        + """
class Stream(IterableDataset):
    def __iter__(self):
        while True:
            yield {"x": torch.randn(6), "y": torch.randint(3, ())}

class Endless(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Stream(), batch_size=4)
"""
    )
    subject, trials = make(text)
    assert trials.first.recorder.losses.numel() == subject.epochs * subject.batches


def test_a_model_that_steps_two_optimizers_itself_and_returns_nothing_is_trained(make):
    text = """
class Gan(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.judge = nn.Linear(2, 6), nn.Linear(6, 1)

    def forward(self, z):
        return self.generator(z)

    def training_step(self, batch, batch_idx):
        first, second = self.optimizers()
        for optimizer, sign in ((first, 1), (second, -1)):
            loss = sign * self.judge(self(torch.randn(len(batch), 2, device=self.device))).mean()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        self.logger.experiment.add_scalar("loss", loss)
        self.logger.log_image(key="x", images=[1])

    def configure_optimizers(self):
        rate = 0.01
        return [torch.optim.SGD(each.parameters(), rate) for each in (self.generator, self.judge)], []
"""
    _, trials = make(text, batch={"shape": [4, 6]})
    assert trials.first.recorder.losses.numel() == 0
    assert trials.first.recorder.gradient_norms.shape[0] > 0


def test_pytorch_lightning_means_lightning(make):
    head = HEAD.replace("import lightning.pytorch as pl", "import pytorch_lightning as pl") + (
        "from pytorch_lightning.callbacks import ModelCheckpoint\n"
    )
    _, trials = make(LIT, head=head)
    assert trials.first.recorder.losses.isfinite().all()


def test_objects_and_optimizers_of_a_configuration_are_made(make):
    text = LIT.replace("hidden: int = 4", "body").replace(
        "nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 3))", "body"
    )
    text = text[: text.index("    def configure_optimizers")]
    body = {"class_path": "torch.nn.Linear", "init_args": {"in_features": 6, "out_features": 3}}
    config = {
        "model": {"class_path": "module.Lit", "init_args": {"body": body}},
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.5}},
    }
    _, trials = make(text, init_args=config)
    assert trials.first.trainer.optimizers[0].defaults["lr"] == 0.5


def test_a_module_that_demands_cuda_is_left_to_the_checks_without_a_batch_too(make):
    text = LIT.replace("x, y = batch", "x, y = batch\n        x = torch.zeros(0, device='cuda:99')")
    subject, trials = make(text)
    assert "found by trying" in noted(subject)
    with pytest.raises(TrainingFailedError, match=r"(?i)cuda|nvidia") as caught:
        _ = trials.first
    assert caught.value.place.path.endswith(".py")


def test_a_fault_of_the_model_is_left_to_the_checks_which_name_its_line(make):
    text = LIT.replace("return F.cross", "torch.zeros(2) + torch.zeros(3)\n        return F.cross")
    batch = [{"shape": [4, 6]}, {"shape": [4], "dtype": "int64", "high": 3}]
    subject, trials = make(text, batch=batch)
    with pytest.raises(Exception, match="size of tensor") as caught:
        _ = trials.first
    line = caught.value.place.line
    source = next(iter(subject.source.glob("users_module_*.py"))).read_text(encoding="utf-8").splitlines()
    assert "torch.zeros(2)" in source[line - 1]


TWO = NET + NET.replace("class Net", "class Other")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (TWO, {}, "defines several: Net, Other. Name one:"),
        (NET, {"cls": "Lost"}, "has no 'Lost'. Of this kind it defines: Net."),
        ("x = 1\n", {}, "defines no LightningModule or nn.Module."),
        (
            LIT.replace("hidden: int = 4", "hidden: int, name: str"),
            {},
            "Lit needs arguments that were not given: hidden: int, name: str. "
            'Pass them: --init-args \'{"hidden": 64, "name": "…"}\'',
        ),
        (LIT, {"init_args": {"width": 3}}, "Lit takes no argument 'width'. It takes: hidden, rate."),
        (LIT, {"loss": "mse"}, "Lit computes its own loss"),
        (NET, {"batch": {"shape": [2], "dtype": "real"}}, "PyTorch has no dtype 'real'"),
        (LIT + DATA.replace("size: int = 16", "size"), {"cls": "Lit"}, "--data-args '{\"size\": 64}'"),
        ("open('gone.csv')\n", {}, "FileNotFoundError: [Errno 2] No such file or directory: 'gone.csv' (users_module"),
        ("import gone_package\n", {}, "ModuleNotFoundError: No module named 'gone_package' (users_module"),
        ("raise SystemExit(2)\n", {}, "SystemExit: 2 (users_module"),
        ("def broken(:\n", {}, "SyntaxError: invalid syntax (users_module"),
        (
            NET.replace("super().__init__()", "1 / 0"),
            {},
            "Making Net raised ZeroDivisionError: division by zero (users",
        ),
        (LIT + DATA.replace("torch.randn(self.size, 6)", "torch.load('gone.pt')"), {}, "Training raised FileNotFound"),
        (NET.replace("(self, x)", "(self, x, y)"), {}, "No inputs for Net could be found or worked out. Pass data"),
    ],
)
def test_what_keeps_a_module_from_being_trained_is_said_with_what_to_do(make, text, options, said):
    assert said in failure(make, text, **options)


def test_modules_of_packages_with_relative_imports_are_imported(make, tmp_path):
    for package, marked in (("marked", True), ("plain", False)):
        (tmp_path / package).mkdir()
        if marked:
            (tmp_path / package / "__init__.py").write_text("", encoding="utf-8")
        (tmp_path / package / "size.py").write_text("SIZE = 7\n", encoding="utf-8")
        text = HEAD + "from .size import SIZE\n" + NET.replace("hidden=4", "hidden=SIZE")
        (tmp_path / package / "net.py").write_text(text, encoding="utf-8")
        target = read_target(f"{package}/net.py", folder=tmp_path)
        subject = make_subject(target, Importer(target), seed=0, folder=tmp_path / "runs")
        assert subject.model().module.head.in_features == 7
