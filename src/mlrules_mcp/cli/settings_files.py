"""Changes one entry of a settings file that belongs to someone else, and nothing besides."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any


class UnfitFile(Exception):
    """The file can't be changed without a risk to what is in it; the message says why."""


def changed_json(text: str, key: str, name: str, entry: dict[str, Any], reach: frozenset[str]) -> str:
    """The text of a JSON file with an entry under `key`; other members, their order and the indentation stay.

    Args:
        entry: what the entry says. Of an entry that is there, other members stay, but those of `reach`.

    Raises:
        UnfitFile: it is not plain JSON, or of another shape.
    """
    try:
        data = json.loads(text, object_pairs_hook=_without_twins) if text.strip() else {}
    except ValueError as error:
        raise UnfitFile(f"is not plain JSON ({error})") from None
    servers = data.setdefault(key, {}) if isinstance(data, dict) else None
    if not isinstance(servers, dict) or not isinstance(servers.get(name, {}), dict):
        raise UnfitFile(f"has no object under {key!r} where one is expected")
    before = servers.get(name)
    servers[name] = _merged(before or {}, entry, reach)
    if servers[name] == before:
        return text
    indent = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return _with_line_ends_of(text, json.dumps(data, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n")


def changed_toml(text: str, key: str, name: str, entry: dict[str, Any], reach: frozenset[str]) -> str:
    """The text of a TOML file with a table `key.name`; everything outside of it stays to the byte.

    Raises:
        UnfitFile: it is not TOML, or the table is written in a way that can't be replaced safely.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnfitFile(f"is not TOML ({error})") from None
    servers = data.setdefault(key, {})
    if not isinstance(servers, dict) or not isinstance(servers.get(name, {}), dict):
        raise UnfitFile(f"has no table under {key!r} where one is expected")
    before = servers.get(name)
    servers[name] = _merged(before or {}, entry, reach)
    if servers[name] == before:
        return text
    block = _with_line_ends_of(text, _table(text, key, name, servers[name]))
    table = re.compile(rf"^\[{re.escape(key)}\.{re.escape(name)}\][^\n]*\n(?:(?!\[)[^\n]*(?:\n|\Z))*", re.MULTILINE)
    if table.search(text):
        made = table.sub(lambda found: block + found[0][len(found[0].rstrip()) :].partition("\n")[2], text, count=1)
    else:
        made = _with_line_ends_of(text, f"{text.rstrip()}\n\n") + block if text.strip() else block
    try:
        as_meant = tomllib.loads(made) == data
    except tomllib.TOMLDecodeError:
        as_meant = False
    if not as_meant:
        raise UnfitFile(f"has [{key}.{name}] in a form that can't be replaced safely")
    return made


def replace_file(path: Path, text: str) -> Path | None:
    """Write a file whole or not at all, through a link to where it leads.

    Returns:
        The copy of what was there before, if anything was.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = None
    if path.exists():
        backup = path.with_name(f"{path.name}.before-mlrules")
        shutil.copy2(path, backup)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        if backup is not None:
            shutil.copymode(path, temporary)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return backup


def _table(text: str, key: str, name: str, entry: dict[str, Any]) -> str:
    """A table in TOML, but for what has a table of its own below it in the text."""
    lines = [f"[{key}.{name}]"]
    for member, value in entry.items():
        if not isinstance(value, dict):
            lines.append(f"{member} = {_literal(value)}")
        elif f"[{key}.{name}.{member}]" not in text:
            pairs = ", ".join(f"{json.dumps(each)} = {_literal(what)}" for each, what in value.items())
            lines.append(f"{member} = {{ {pairs} }}")
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> str:
    """A value as TOML, whose strings, numbers and lists can be written as in JSON."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        raise UnfitFile(f"has a value of a kind that is not kept here: {value}") from None


def _with_line_ends_of(text: str, made: str) -> str:
    return re.sub("\r?\n", "\r\n", made) if "\r\n" in text else made


def _merged(before: dict[str, Any], entry: dict[str, Any], reach: frozenset[str]) -> dict[str, Any]:
    """An entry as it shall be: how the server is reached is as in `entry`, what else was set stays."""
    kept = {member: value for member, value in before.items() if member not in reach}
    return {**entry, **kept}


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twin = next(name for name, _ in pairs if [key for key, _ in pairs].count(name) > 1)
        raise ValueError(f"{twin!r} stands in one object twice")
    return made
