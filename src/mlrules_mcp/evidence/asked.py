"""What collectors ask of code: the calls, arguments, definitions, classes and keys to remember."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """What is remembered of the code of a project. Nothing else of it is kept.

    Attributes:
        calls: qualified names (`sklearn.dummy.DummyClassifier`), all of a package (`sklearn.dummy.*`), or methods of
            whatever object (`.describe`: not of an imported package).
        keywords: names of keyword arguments, of whatever call (`stratify`).
        definitions: parts of the names of functions and classes, in lower case (`baseline` for `fit_baseline`).
        keys: strings that index something, are keys of a dictionary, name a command line's option (without dashes), or
            come first in a call of `log` and the like: parts of them, in lower case.
    """

    calls: frozenset[str] = frozenset()
    keywords: frozenset[str] = frozenset()
    definitions: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *, calls: str = "", keywords: str = "", definitions: str = "", keys: str = "") -> Asked:
        """From words with spaces between."""
        return cls(*(frozenset(words.split()) for words in (calls, keywords, definitions, keys)))

    @classmethod
    def joined(cls, asked: Iterable[Asked]) -> Asked:
        """All of it together."""
        each = list(asked)
        return cls(
            frozenset().union(*(one.calls for one in each)),
            frozenset().union(*(one.keywords for one in each)),
            frozenset().union(*(one.definitions for one in each)),
            frozenset().union(*(one.keys for one in each)),
        )
