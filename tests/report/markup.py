"""Reads a page as a browser does, as far as the standard library can, and says what is wrong with it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "wbr", "circle", "path", "rect"}  # and shapes, which close themselves
HOSTILE = "</script></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}&amp;\u202egpj.exe\ud800\x00"


class Page(HTMLParser):
    """A page's elements, its text, and its problems."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.problems: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.pieces: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.problems += [f"never closed: {tag}" for tag in self._open]
        self.problems += self._static_problems()

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"closed out of order: {tag} in line {self.getpos()[0]}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.pieces.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [value for each, attribute, value in self.attributes if (each, attribute) == (tag, name)]

    def _static_problems(self) -> list[str]:
        names = {name for _, name, _ in self.attributes}
        problems = [f"inline code or style: {name}" for name in names if name.startswith("on") or name == "style"]
        ids = [value for _, name, value in self.attributes if name == "id"]
        problems += [f"id twice: {each}" for each in {each for each in ids if ids.count(each) > 1}]
        refers = [
            v for _, n, v in self.attributes if n in ("aria-labelledby", "aria-describedby", "aria-controls", "for")
        ]
        problems += [f"no such id: {each}" for value in refers for each in value.split() if each not in ids]
        for tag, name, value in self.attributes:
            if name in ("src", "href", "srcset", "action", "poster", "data") and not value.startswith("#"):
                problems.append(f"loads or leaves: <{tag} {name}={value!r}>")
        (policy,) = [content for content in self.values("meta", "content") if "default-src" in content]
        for tag in ("script", "style"):
            for code in re.findall(rf"<{tag}>(.*?)</{tag}>", self.html, re.DOTALL):
                digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
                if f"'sha256-{digest}'" not in policy:
                    problems.append(f"the policy does not let this {tag} run: {code[:40]!r}")
        if re.search(r"https?://|url\(|@import|\bfetch\(|XMLHttpRequest", self.html):
            problems.append("names another host or loads something")
        return problems
