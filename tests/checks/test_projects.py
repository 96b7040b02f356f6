"""What checks say of one file depends on what the project's others say."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from mlrules_mcp.analysis.engine import analyze
from mlrules_mcp.analysis.fixes import fix
from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.source import Project, SourceFile

CATALOGUE = Catalogue()


def found(check: str, code: str, project: Project | None) -> list[tuple[str, str]]:
    """The severity and message of what a check finds in `train.py`."""
    source = SourceFile.from_text(dedent(code), "train.py", project=project)
    analysis = analyze(source, CATALOGUE.narrowed([check]))
    assert not analysis.diagnostics
    return [(finding.severity, finding.message) for finding in analysis.findings]


def project_of(root: Path, **files: str) -> Project:
    for name, text in files.items():
        (root / f"{name}.py").write_text(dedent(text), "utf-8")
    return Project(root)


def declaring(root: Path, requirement: str) -> Project:
    (root / "requirements.txt").write_text(requirement, "utf-8")
    return Project(root)


BASE = """
    import lightning as L

    class Base(L.LightningModule):
        def __init__(self, rate):
            super().__init__()
            self.save_hyperparameters()

        def training_step(self, batch, batch_idx):
            loss = self.loss(batch)
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self):
            return make(self.parameters())
"""
BARE = """
    import lightning as L

    class Base(L.LightningModule):
        def freeze(self): ...
"""
NET = """
    import lightning as L
    from base import Base

    class Net(Base):
        {body}

    L.Trainer().fit(Net(0.1))
"""
TRAINING = "def training_step(self, batch, batch_idx):\n            return self.loss(batch)\n"
OPTIMIZERS = "def configure_optimizers(self):\n            return make(self.parameters())\n"
INIT = "def __init__(self, rate):\n            super().__init__()\n"


@pytest.mark.parametrize(
    ("check", "body"),
    [
        ("missing-training-step", OPTIMIZERS),
        ("missing-configure-optimizers", TRAINING),
        ("nothing-logged", f"{TRAINING}\n        {OPTIMIZERS}"),
        ("hyperparameters-not-saved", f"{INIT}\n        {TRAINING}\n        {OPTIMIZERS}"),
    ],
)
def test_what_a_base_class_of_another_file_does_is_not_missed(check: str, body: str, tmp_path: Path) -> None:
    code = NET.format(body=body)
    assert found(check, code, project_of(tmp_path, base=BASE)) == []
    assert found(check, code, None) == []  # the base class may do it
    assert len(found(check, code, project_of(tmp_path, base=BARE))) == 1


def test_a_hook_is_known_to_be_one_by_a_base_class_of_another_file(tmp_path: Path) -> None:
    code = (
        "import lightning\nfrom base import Base\nclass Net(Base):\n    def on_epoch_end(self):\n        self.reset()\n"
    )
    assert len(found("removed-hook", code, project_of(tmp_path, base=BARE))) == 1
    assert found("removed-hook", code, None) == []


MONITOR = """
    import lightning as L
    from lightning.pytorch.callbacks import EarlyStopping
    from base import Base

    L.Trainer(callbacks=[EarlyStopping(monitor="{key}")]).fit(Base(0.1))
"""


def test_a_monitored_metric_is_looked_for_in_the_file_of_the_model(tmp_path: Path) -> None:
    project = project_of(tmp_path, base=BASE)
    ((severity, message),) = found("monitored-metric-never-logged", MONITOR.format(key="val_loss"), project)
    assert severity == "error"
    assert "`train_loss`" in message
    assert found("monitored-metric-never-logged", MONITOR.format(key="train_loss"), project) == []
    assert found("monitored-metric-never-logged", MONITOR.format(key="val_loss"), None) == []


VERSIONED = [
    (
        "removed-hook",
        "lightning",
        "2.0",
        "class A(L.LightningModule):\n    def training_epoch_end(self, outputs): ...\n",
    ),
    ("removed-trainer-argument", "lightning", "1.7", "L.Trainer(weights_summary=None)\n"),
    ("removed-trainer-argument", "lightning", "2.0", 'L.Trainer(strategy="ddp_sharded")\n'),
    ("removed-lightning-name", "lightning", "2.0", "from pytorch_lightning.metrics import Accuracy\n"),
    (
        "hook-with-wrong-parameters",
        "lightning",
        "2.0",
        "class A(L.LightningModule):\n    def training_step(self, batch, batch_idx, optimizer_idx): ...\n",
    ),
    ("removed-or-deprecated-call", "torch", "1.9", "torch.chain_matmul(a, b)\n"),
    ("cuda-only-amp", "torch", "2.4", "from torch.cuda.amp import autocast\nautocast()\n"),
]


@pytest.mark.parametrize(("check", "package", "release", "code"), VERSIONED)
def test_what_a_release_changed_matters_only_to_a_project_that_may_run_on_it(
    check: str, package: str, release: str, code: str, tmp_path: Path
) -> None:
    code = f"import torch\nimport lightning as L\n{code}"
    assert len(found(check, code, None)) == 1
    assert found(check, code, declaring(tmp_path, f"{package}<{release}\n")) == []
    assert len(found(check, code, declaring(tmp_path, f"{package}=={release}\n"))) == 1


def test_a_call_is_only_deprecated_where_the_declared_release_still_has_it(tmp_path: Path) -> None:
    code = "import torch\ntorch.symeig(a)\n"
    ((_, assumed),) = found("removed-or-deprecated-call", code, None)
    ((_, older),) = found("removed-or-deprecated-call", code, declaring(tmp_path, "torch==1.12\n"))
    assert "raises an error since PyTorch" in assumed
    assert "(assumed, as no release is declared)" in assumed
    assert "is deprecated since PyTorch" in older
    assert "assumed" not in older


def test_fixing_goes_by_the_project_too(tmp_path: Path) -> None:
    code = "import torch\nfrom torch.cuda.amp import autocast\nwith autocast():\n    pass\n"
    for requirement, changes in (("torch<2.4\n", False), ("torch>=2.4\n", True)):
        source = SourceFile.from_text(code, "train.py", project=declaring(tmp_path, requirement))
        assert bool(fix(source, CATALOGUE.narrowed(["cuda-only-amp"])).applied) == changes


def test_a_generic_base_class_is_known_like_any_other() -> None:
    code = f"""
    import lightning as L
    from typing import Generic, TypeVar

    T = TypeVar("T")

    class Base(L.LightningModule, Generic[T]):
        def freeze(self): ...

    class Net(Base[int]):
        {TRAINING}
    L.Trainer().fit(Net())
    """
    assert len(found("missing-configure-optimizers", code, None)) == 1
