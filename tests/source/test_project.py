"""What one file of a project knows of the others."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent

import pytest

from mlrules_mcp.source import Module, Project, SourceFile
from mlrules_mcp.source.values import LIGHTNING_MODULE, MODULE


def project_of(root: Path, files: dict[str, str]) -> Project:
    for name, code in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(code), "utf-8")
    return Project(root)


def module_in(project: Project, name: str) -> Module:
    return Module(SourceFile.from_path(project.root / name, name, project))


def class_in(module: Module, name: str) -> ast.ClassDef:
    return next(cls for cls in module.nodes(ast.ClassDef) if cls.name == name)


BASE = "from torch import nn\nclass Base(nn.Module): ...\n"


@pytest.mark.parametrize(
    ("importer", "line", "base"),
    [
        ("train.py", "from base import Base", "base.py"),
        ("train.py", "from models.base import Base", "models/base.py"),
        ("train.py", "from models import Base", "models/__init__.py"),
        ("train.py", "import models.base\nBase = models.base.Base", "models/base.py"),
        ("train.py", "from package.base import Base", "src/package/base.py"),
        ("scripts/train.py", "from models.base import Base", "models/base.py"),
        ("package/models/net.py", "from .base import Base", "package/models/base.py"),
        ("package/models/net.py", "from ..base import Base", "package/base.py"),
        ("package/models/net.py", "from . import Base", "package/models/__init__.py"),
        ("package/models/net.py", "from .base import *", "package/models/base.py"),
        ("package\\models\\net.py", "from .base import Base", "package/models/base.py"),
    ],
)
def test_a_base_class_is_found_in_the_file_it_is_imported_from(
    importer: str, line: str, base: str, tmp_path: Path
) -> None:
    code = f"{line}\nclass Net(Base): ...\n"
    project = project_of(tmp_path, {base: BASE})
    module = Module(SourceFile.from_text(code, importer, project=project))
    assert module.is_subclass(class_in(module, "Net"), MODULE)
    alone = Module(SourceFile.from_text(code, importer))
    assert not alone.is_subclass(class_in(alone, "Net"), MODULE)


def test_a_class_is_found_through_what_a_package_imports_anew(tmp_path: Path) -> None:
    project = project_of(
        tmp_path,
        {
            "models/__init__.py": "from .nets import *\n",
            "models/nets/__init__.py": "from models.nets.base import Base as Net\n",
            "models/nets/base.py": BASE,
            "train.py": "from models import Net\nclass Mine(Net): ...\n",
        },
    )
    module = module_in(project, "train.py")
    assert module.is_subclass(class_in(module, "Mine"), MODULE)


def test_the_ancestry_of_a_class_names_the_file_of_each(tmp_path: Path) -> None:
    project = project_of(
        tmp_path,
        {
            "base.py": "import lightning as L\nclass Root(L.LightningModule): ...\nclass Base(Root): ...\n",
            "net.py": "from base import Base\nclass Mixin: ...\nclass Net(Mixin, Base): ...\n",
        },
    )
    module = module_in(project, "net.py")
    net = class_in(module, "Net")
    assert [(owner.source.path, cls.name) for owner, cls in module.ancestry(net)] == [
        ("net.py", "Net"),
        ("net.py", "Mixin"),
        ("base.py", "Base"),
        ("base.py", "Root"),
    ]
    assert module.is_subclass(net, LIGHTNING_MODULE)


def test_classes_that_inherit_from_each_other_are_no_endless_task(tmp_path: Path) -> None:
    project = project_of(
        tmp_path,
        {
            "a.py": "from b import B\nclass A(B): ...\n",
            "b.py": "from a import A\nclass B(A): ...\n",
            "c.py": "from c import C\nclass D(C): ...\n",
        },
    )
    for name, cls in (("a.py", "A"), ("c.py", "D")):
        module = module_in(project, name)
        assert not module.is_subclass(class_in(module, cls), MODULE)
        assert module.ancestry(class_in(module, cls))


def test_nothing_outside_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(BASE, "utf-8")
    root = tmp_path / "project"
    project = project_of(root, {"package/net.py": "from ...outside import Base\nclass Net(Base): ...\n"})
    (root / "linked.py").symlink_to(tmp_path / "outside.py")
    for code, path in (
        ((root / "package/net.py").read_text("utf-8"), "package/net.py"),
        ("from linked import Base\nclass Net(Base): ...\n", "train.py"),
        ("from outside import Base\nclass Net(Base): ...\n", "../train.py"),
        ("from outside import Base\nclass Net(Base): ...\n", (tmp_path / "train.py").as_posix()),
    ):
        module = Module(SourceFile.from_text(code, path, project=project))
        assert not module.is_subclass(class_in(module, "Net"), MODULE), path


def test_a_file_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path, {"train.py": "from base import Base\nclass Net(Base): ...\n"})
    (tmp_path / "base.py").write_bytes(b"\0")
    module = module_in(project, "train.py")
    assert not module.is_subclass(class_in(module, "Net"), MODULE)


def test_the_release_declared_nearest_to_a_file_counts(tmp_path: Path) -> None:
    project = project_of(
        tmp_path, {"requirements.txt": "torch>=2\n", "old/requirements.txt": "torch==1.9\n", "old/src/train.py": ""}
    )
    old, new = module_in(project, "old/src/train.py"), Module(SourceFile.from_text("", "train.py", project=project))
    assert not old.may_run_on("torch", "2.0")
    assert new.may_run_on("torch", "2.0")
    assert new.named_release("torch", "2.0") == "2.0"


def test_without_a_declaration_the_newest_release_is_assumed_and_said_to_be(tmp_path: Path) -> None:
    for project in (None, project_of(tmp_path, {"requirements.txt": "torch\n"})):
        module = Module(SourceFile.from_text("", "train.py", project=project))
        assert module.may_run_on("torch", "99.0")
        assert module.named_release("torch", "2.0") == "2.0 (assumed, as no release is declared)"


def test_only_so_many_files_are_kept(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(40)]
    lines = "".join(
        f"from {name} import Base as {name.upper()}\nclass C{name}({name.upper()}): ...\n" for name in names
    )
    project = project_of(tmp_path, {**{f"{name}.py": BASE for name in names}, "train.py": lines})
    module = module_in(project, "train.py")
    for _ in range(2):
        assert all(module.is_subclass(cls, MODULE) for cls in module.nodes(ast.ClassDef))
    assert len(project._modules) <= 16
