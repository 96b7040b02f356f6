"""Self-contained HTML pages: one file that works offline, light and dark, by keyboard, screen reader and on paper.

What stands in a page comes from strangers: names of files, messages, code. The templates escape all of it, and the
page's own Content-Security-Policy lets nothing run or load but the styles and scripts whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mlrules_mcp import __version__
from mlrules_mcp.manifest.hidden import hidden_characters


def page(template: str, *, scripts: tuple[str, ...] = (), **values: Any) -> str:
    """A whole page.

    Args:
        template: a file in `templates/` that extends `page.html`.
        scripts: further files in `templates/` that the page runs.
        values: what the template shows; text in it is escaped.
    """
    style = _shipped("page.css")
    code = [_shipped(name) for name in ("page.js", *scripts)]
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {' '.join(map(_hash, code))}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return (
        _environment()
        .get_template(template)
        .render(
            policy=policy, style=Markup(style), scripts=[Markup(text) for text in code], version=__version__, **values
        )
    )


def visible(text: str) -> str:
    """The text with characters that do not show, or that turn the direction of others, written out as `<U+202E>`."""
    places = set(hidden_characters(text))
    if not places:
        return text
    return "".join(f"<U+{ord(each):04X}>" if place in places else each for place, each in enumerate(text))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mlrules_mcp.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["words"] = _words
    environment.filters["breakable"] = _breakable
    return environment


def _finalize(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _words(name: str) -> str:
    return name.replace("_", " ")


def _breakable(name: str) -> Markup:
    """A path or dotted name that may be broken after its separators."""
    return Markup("<wbr>").join(part for part in re.split(r"(?<=[./\\_])", visible(name)) if part)


@cache
def _shipped(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
