"""Which releases of its libraries a project declares: pyproject.toml, requirements, conda and lock files."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path
from typing import Any

from mlrules_mcp.patterns import pattern

Declared = dict[str, list[str]]

_MOST_BYTES = 5_000_000
_LOCKED = pattern(r'^name = "([^"]+)"\r?\nversion = "([^"]+)"', re.MULTILINE)
_CONDA = pattern(r"^(?:[\w-]+::)?([\w.-]+)\s*([=<>!~].*)?$")
_VERSION = pattern(r"\d+(\.\d+)*")
# What packages are called where it is not their name on PyPI.
_OTHER_NAMES = {"pytorch": "torch", "pytorch-gpu": "torch", "pytorch-cpu": "torch", "pytorch-lightning": "lightning"}


def declared_in(folder: Path) -> Declared:
    """What the files of a folder declare: for each package the version specifiers of PEP 440, one a declaration.

    A package that is named without a version is not declared.

    A lock file says which release is used, so that what else is declared of its packages does not count.
    A file that can't be read declares nothing.
    """
    declared: Declared = {}
    for read, names in _FILES.items():
        for path in sorted(file for name in names for file in folder.glob(name)):
            for package, specifier in _read(read, path):
                declared.setdefault(package, []).append(specifier)
    for read, names in _LOCK_FILES.items():
        locked: Declared = {}
        for name in names:
            for package, specifier in _read(read, folder / name):
                locked.setdefault(package, []).append(specifier)
        declared |= locked
    return declared


def admits(specifiers: Iterable[str], release: str) -> bool:
    """Whether one of some version specifiers lets a release in, or a later one."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - few projects ask
    from packaging.version import Version  # noqa: PLC0415

    wanted = Version(release)
    for text in specifiers:
        try:
            specifier = SpecifierSet(text, prereleases=True)
        except InvalidSpecifier:
            return True
        bounds = [Version(bound.version.removesuffix(".*")) for bound in specifier if _VERSION.match(bound.version)]
        if any(specifier.contains(bound) for bound in (wanted, Version("99999"), *bounds) if bound >= wanted):
            return True
    return False


def _read(read: Callable[[str], Iterator[tuple[str, str]]], path: Path) -> list[tuple[str, str]]:
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return []
        return [(_normal(name), specifier) for name, specifier in read(path.read_text("utf-8")) if specifier]
    except (OSError, ValueError, TypeError, AttributeError, SyntaxError, RecursionError, ConfigError):
        return []


def _normal(name: str) -> str:
    name = re.sub(r"[-_.]+", "-", name).lower()
    return _OTHER_NAMES.get(name, name)


def _requirements(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - few projects ask

    for line in lines:
        text = re.split(r"\s(?:#|--)|\\$", f" {line}", maxsplit=1)[0].strip()
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        yield requirement.name, str(requirement.specifier)


def _requirements_file(text: str) -> Iterator[tuple[str, str]]:
    return _requirements(text.splitlines())


def _pyproject(text: str) -> Iterator[tuple[str, str]]:
    import tomllib  # noqa: PLC0415 - few projects ask

    data = tomllib.loads(text)
    project = data.get("project", {})
    groups = [project.get("dependencies", [])]
    groups += project.get("optional-dependencies", {}).values()
    groups += data.get("dependency-groups", {}).values()
    for group in groups:
        yield from _requirements(entry for entry in group if isinstance(entry, str))
    poetry = data.get("tool", {}).get("poetry", {})
    for table in (poetry, *poetry.get("group", {}).values()):
        yield from _table(table.get("dependencies", {}))


def _pipfile(text: str) -> Iterator[tuple[str, str]]:
    import tomllib  # noqa: PLC0415 - few projects ask

    data = tomllib.loads(text)
    yield from _table(data.get("packages", {}))
    yield from _table(data.get("dev-packages", {}))


def _table(dependencies: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The dependencies of a table of Poetry or Pipenv: `torch = "^2.1"`, `torch = {version = "2.1.*"}`."""
    for name, constraint in dependencies.items():
        for each in constraint if isinstance(constraint, list) else [constraint]:
            version = each.get("version", "*") if isinstance(each, dict) else str(each)
            yield name, ",".join(filter(None, (_specifier(part.strip()) for part in version.split(","))))


def _specifier(constraint: str) -> str:
    """A constraint of Poetry in the form of PEP 440."""
    operator, numbers = constraint[:1], _VERSION.search(constraint)
    if numbers is None:
        return ""
    parts = [int(part) for part in numbers[0].split(".")]
    if operator == "^":
        kept = next((index for index, part in enumerate(parts) if part), len(parts) - 1)
        return f">={numbers[0]},<{'.'.join(map(str, [*parts[:kept], parts[kept] + 1]))}"
    if operator == "~" and constraint[1:2] != "=":
        kept = min(1, len(parts) - 1)
        return f">={numbers[0]},<{'.'.join(map(str, [*parts[:kept], parts[kept] + 1]))}"
    return f"=={constraint}" if operator.isdigit() else constraint


def _setup_cfg(text: str) -> Iterator[tuple[str, str]]:
    config = ConfigParser(interpolation=None)
    config.read_string(text)
    yield from _requirements(config.get("options", "install_requires", fallback="").splitlines())
    if config.has_section("options.extras_require"):
        for value in config["options.extras_require"].values():
            yield from _requirements(value.splitlines())


def _setup_py(text: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.keyword) and node.arg in ("install_requires", "extras_require"):
            strings = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            yield from _requirements(string for string in strings if isinstance(string, str))


def _conda(text: str) -> Iterator[tuple[str, str]]:
    import yaml  # noqa: PLC0415 - few projects ask

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    for entry in data.get("dependencies", []):
        if isinstance(entry, dict):
            yield from _requirements(str(line) for line in entry.get("pip", []))
        elif found := _CONDA.match(entry):
            name, constraint = found[1], (found[2] or "").replace(" ", "")
            if constraint.startswith("=") and not constraint.startswith("=="):
                constraint = f"=={constraint[1:].partition('=')[0].removesuffix('.*')}.*"
            yield name, re.sub(r"(?<=\d)=[^=,]*$", "", constraint)


def _toml_lock(text: str) -> Iterator[tuple[str, str]]:
    # By a pattern: to read a lock file of a megabyte as TOML takes half a second.
    yield from ((name, f"=={version}") for name, version in _LOCKED.findall(text))


def _pipfile_lock(text: str) -> Iterator[tuple[str, str]]:
    for section in ("default", "develop"):
        for name, entry in json.loads(text).get(section, {}).items():
            yield name, entry.get("version", "")


_FILES: dict[Callable[[str], Iterator[tuple[str, str]]], tuple[str, ...]] = {
    _pyproject: ("pyproject.toml",),
    _requirements_file: ("requirements*.txt", "requirements/*.txt"),
    _setup_cfg: ("setup.cfg",),
    _setup_py: ("setup.py",),
    _conda: ("environment*.y*ml", "conda*.y*ml"),
    _pipfile: ("Pipfile",),
}
_LOCK_FILES: dict[Callable[[str], Iterator[tuple[str, str]]], tuple[str, ...]] = {
    _toml_lock: ("uv.lock", "poetry.lock", "pdm.lock"),
    _pipfile_lock: ("Pipfile.lock",),
}
