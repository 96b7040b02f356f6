"""Self-contained HTML pages: one file that works offline, light and dark, by keyboard, screen reader and on paper.

What stands in a page comes from strangers: names of files, messages, code. The templates escape all of it, and the
page's own Content-Security-Policy lets nothing run or load but the styles and scripts whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mlrules_mcp import __version__
from mlrules_mcp.manifest.hidden import visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def page(template: str, *, scripts: tuple[str, ...] = (), **values: Any) -> str:
    """A whole page.

    Args:
        template: a file in `templates/` that extends `page.html`.
        scripts: further files in `templates/` that the page runs.
        values: what the template shows; text in it is escaped.
    """
    from markupsafe import Markup

    style = _shipped("page.css")
    code = [_shipped(name) for name in ("page.js", *scripts)]
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {source_hash(style)}",
            f"script-src {' '.join(map(source_hash, code))}",
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


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

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
    environment.filters["ticked"] = _ticked
    return environment


def _finalize(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _words(name: str) -> str:
    return name.replace("_", " ")


def _breakable(name: str) -> Markup:
    """A path or dotted name that may be broken after its separators."""
    from markupsafe import Markup

    return Markup("<wbr>").join(part for part in re.split(r"(?<=[./\\_])", visible(name)) if part)


def _ticked(text: str) -> Markup:
    """A text whose parts in backticks are code."""
    from markupsafe import Markup

    parts = re.split(r"`([^`\n]+)`", visible(text))
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


@cache
def _shipped(name: str) -> str:
    return files("mlrules_mcp.report").joinpath("templates", name).read_text(encoding="utf-8")


def source_hash(text: str) -> str:
    """How a Content-Security-Policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
