"""Where a server may read: its roots, and nothing else by whatever way it is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mcp.server.mcpserver.exceptions import ToolError

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.context import ServerContext


@pytest.fixture
def context(tmp_path: Path) -> ServerContext:
    """A context with the root `root`, beside which there is a folder `secret`."""
    for name in ("root/src/train.py", "root/with\\backslash.py", "secret/key.py", "rootless/key.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n", encoding="utf-8")
    root = tmp_path / "root"
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "key.py").symlink_to(tmp_path / "secret" / "key.py")
    (root / "twice.py").symlink_to(root / "out" / "key.py")
    (root / "inside.py").symlink_to(root / "src" / "train.py")
    (root / "round").symlink_to(root / "round")
    os.mkfifo(root / "pipe.py")
    return ServerContext(Catalogue(), (root,))


@pytest.mark.parametrize(
    "path", ["src/train.py", "./src/../src/train.py", r"src\train.py", r".\src\train.py", "inside.py"]
)
def test_a_file_below_the_root_is_found_however_it_is_spelt(context: ServerContext, path: str) -> None:
    file, root = context.allowed(path)
    assert file == root / "src" / "train.py"


def test_an_absolute_path_below_the_root_is_found(context: ServerContext) -> None:
    root = context.roots[0].resolve()
    assert context.allowed(str(root / "src" / "train.py")) == (root / "src" / "train.py", root)
    assert context.allowed(str(root)) == (root, root)


def test_a_backslash_in_a_name_is_one_where_there_is_such_a_file(context: ServerContext) -> None:
    assert context.allowed("with\\backslash.py")[0].name == "with\\backslash.py"


OUTSIDE = {
    "parent": "../secret/key.py",
    "parents": "src/../../secret/key.py",
    "parent by backslash": r"..\secret\key.py",
    "mixed slashes": r"src/..\../secret\key.py",
    "sibling with the root's name": "../rootless/key.py",
    "root itself from outside": "..",
    "absolute": "/etc/passwd",
    "link to a file": "key.py",
    "through a link to a folder": "out/key.py",
    "link to a link": "twice.py",
    "link and back": "out/../secret/key.py",
    "UNC": r"\\server\share\key.py",
    "UNC with slashes": "//server/share/key.py",
    "device path": r"\\?\C:\key.py",
    "null character": "src/train.py\0",
    "null character and parent": "../secret/key.py\0.py",
}


@pytest.mark.parametrize("path", OUTSIDE.values(), ids=OUTSIDE)
def test_what_lies_outside_is_refused(context: ServerContext, path: str) -> None:
    with pytest.raises(ToolError, match="can't be read: this server reads files under"):
        context.allowed(path)


@pytest.mark.parametrize(
    "path",
    [
        "gone.py",
        r"C:\secret\key.py",
        "C:/secret/key.py",
        "~/key.py",
        "file:///etc/passwd",
        "x" * 5_000,
        "y/" * 5_000,
        "round",
    ],
)
def test_what_is_not_there_is_named_in_short(context: ServerContext, path: str) -> None:
    with pytest.raises(ToolError) as raised:
        context.allowed(path)
    assert len(str(raised.value)) < 600
    assert repr(path[:100])[:-1] in str(raised.value)


def test_files_are_found_once_whichever_ways_lead_to_them(context: ServerContext) -> None:
    found = context.files(["src", "src/train.py", "."])
    names = [file.name for file, _ in found if isinstance(file, Path)]
    assert sorted(names) == ["inside.py", "pipe.py", "train.py", "with\\backslash.py"]


def test_the_first_root_that_has_a_file_has_it(context: ServerContext, tmp_path: Path) -> None:
    both = ServerContext(Catalogue(), (tmp_path / "root", tmp_path / "secret"))
    assert both.allowed("src/train.py")[1] == (tmp_path / "root").resolve()
    assert both.allowed(str(tmp_path / "secret" / "key.py"))[1] == (tmp_path / "secret").resolve()


def test_a_file_of_a_later_root_is_found_by_its_relative_path(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").touch()
    context = ServerContext(Catalogue(), (tmp_path / "one", tmp_path / "two"))
    assert context.allowed("two.py")[0] == (tmp_path / "two" / "two.py").resolve()


@pytest.mark.parametrize(
    "name", ["../secret/new.py", "/etc/new.py", "out/new.py", "a\0b.py", "x" * 5_000 + "/a.py", ""]
)
def test_code_under_a_name_outside_belongs_to_no_project(context: ServerContext, name: str) -> None:
    assert context.project_of(name) is None


@pytest.mark.parametrize("name", ["new.py", "src/new.py", r"src\new.py"])
def test_code_under_a_name_inside_belongs_to_the_root(context: ServerContext, name: str) -> None:
    project = context.project_of(name)
    assert project is not None
    assert project.root == context.roots[0].resolve()
