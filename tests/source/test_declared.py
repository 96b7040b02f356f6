"""What projects declare about the releases they run with."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlrules_mcp.source.declared import admits, declared_in


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "requirements.txt",
            "torch==1.13.1+cu117  # tested\n-r more.txt\n--index-url x\nnot a package!\n",
            "==1.13.1+cu117",
        ),
        ("requirements-dev.txt", 'torch[opt] >= 2.0, <3 ; python_version > "3.8"\n', "<3,>=2.0"),
        ("requirements/train.txt", "torch~=2.1 --hash=sha256:0\n", "~=2.1"),
        ("pyproject.toml", '[project]\ndependencies = ["torch>=2.4"]\n', ">=2.4"),
        ("pyproject.toml", '[project.optional-dependencies]\ntrain = ["torch<2.5"]\n', "<2.5"),
        ("pyproject.toml", '[dependency-groups]\ndev = [{include-group = "a"}, "torch==2.5"]\n', "==2.5"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = "^1.9"\n', ">=1.9,<2"),
        ("pyproject.toml", '[tool.poetry.group.dev.dependencies]\ntorch = {version = "~1.9"}\n', ">=1.9,<1.10"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = "^0.4.1"\n', ">=0.4.1,<0.5"),
        ("pyproject.toml", '[tool.poetry.dependencies]\ntorch = "2.1.*"\n', "==2.1.*"),
        ("setup.cfg", "[options]\ninstall_requires =\n    torch>=1.7\n    numpy\n", ">=1.7"),
        ("setup.cfg", "[options.extras_require]\nall = torch<2\n", "<2"),
        ("setup.py", 'from setuptools import setup\nsetup(install_requires=["torch>=1.8", NAME])\n', ">=1.8"),
        ("environment.yml", "dependencies:\n  - python=3.9\n  - pytorch=1.13\n  - pip: [numpy]\n", "==1.13.*"),
        ("environment.yaml", "dependencies:\n  - pytorch::pytorch=1.13.1=py3.10_cuda11\n", "==1.13.1.*"),
        ("environment.yml", "dependencies:\n  - pytorch>=1.8,<1.12\n", ">=1.8,<1.12"),
        ("environment.yml", "dependencies:\n  - pip:\n      - torch==2.0.1\n", "==2.0.1"),
        ("Pipfile", '[packages]\ntorch = ">=2.2"\n', ">=2.2"),
        ("Pipfile.lock", '{"default": {"torch": {"version": "==2.2.1"}}}', "==2.2.1"),
        ("uv.lock", 'version = 1\n\n[[package]]\nname = "torch"\nversion = "2.6.0"\n', "==2.6.0"),
        ("poetry.lock", '[[package]]\r\nname = "torch"\r\nversion = "2.6.0"\r\n', "==2.6.0"),
    ],
)
def test_a_declared_release_is_read(name: str, content: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content, "utf-8", newline="")
    assert declared_in(tmp_path)["torch"] == [expected]


def test_a_lock_file_decides_over_what_else_is_declared(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["torch>=1.8", "lightning>=1"]\n', "utf-8")
    (tmp_path / "uv.lock").write_text('[[package]]\nname = "torch"\nversion = "1.13.1"\n', "utf-8")
    assert declared_in(tmp_path) == {"torch": ["==1.13.1"], "lightning": [">=1"]}


def test_lightning_counts_under_both_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pytorch_lightning==1.9.5\n", "utf-8")
    assert declared_in(tmp_path) == {"lightning": ["==1.9.5"]}


@pytest.mark.parametrize(
    "name",
    ["pyproject.toml", "Pipfile", "Pipfile.lock", "setup.cfg", "setup.py", "environment.yml", "requirements.txt"],
)
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b"[[[", b"[]", b"x", b"dependencies: 1", b"[project]\ndependencies = 1"]
)
def test_a_file_that_makes_no_sense_declares_nothing(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert "torch" not in declared_in(tmp_path)


@pytest.mark.parametrize(
    ("specifier", "release", "admitted"),
    [
        ("==1.13.1", "2.0", False),
        ("==2.1.*", "2.0", True),
        ("<2.0,>=1.8", "2.0", False),
        ("<=2.0", "2.0", True),
        (">=1.8", "2.6", True),
        ("~=1.9", "2.0", False),
        ("~=2.1", "2.0", True),
        ("!=2.0", "2.0", True),
        ("", "2.6", True),
        ("no specifier", "2.6", True),
    ],
)
def test_a_specifier_admits_a_release_or_a_later_one(specifier: str, release: str, admitted: bool) -> None:
    assert admits([specifier], release) == admitted


def test_one_of_several_declarations_is_enough() -> None:
    assert admits(["<2", ">=2"], "2.0")
    assert not admits(["<2", "==1.9"], "2.0")
