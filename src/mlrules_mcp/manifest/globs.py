"""The one matcher of paths against globs, and when a manifest applies to a file.

wcmatch with these flags agreed with minimatch, which most assistants use, on random and adversarial pairs;
fnmatch, pathlib and gitignore matching mean other things by the same patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, prod
from posixpath import normpath

from mlrules_mcp.manifest.model import Manifest, Trigger

# The most backtracking that one pattern may ask for on one path: some tenths of a second.
_MOST_STEPS = 10_000_000
_LONGEST = 4096
_DRIVE = re.compile(r"[A-Za-z]:/")
_BRACES = re.compile(r"\{([^{}]*)\}")
_REPEAT = re.compile(r"[*+]\((?:([^()]*)\))?")
_CLASS = re.compile(r"\[[^\[\]]+\]")
_WORD = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class GlobMatch:
    """Whether a path matches a list of globs.

    `path` is as it was compared, `pattern` the one that decided, `reason` a sentence, `notes` what was done to
    the path or the patterns beyond plain matching.
    """

    matched: bool
    path: str
    pattern: str | None
    reason: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a manifest's trigger and globs say about one file.

    `on`: the rules are in force here. `about`: the globs name this file, or there are none. A manifest that is
    always on stays on for files that it is not about; one with trigger `model_decision` or `manual` is never on
    by itself.
    """

    on: bool
    about: bool
    trigger: Trigger
    reason: str
    match: GlobMatch


def split_patterns(patterns: str | Iterable[str]) -> tuple[str, ...]:
    """The globs of a comma-separated string, or of several: trimmed, none empty; commas in braces stay."""
    texts = [patterns] if isinstance(patterns, str) else patterns
    return tuple(part for text in texts for part in _split_commas(text))


def explain(path: str, patterns: str | Sequence[str], root: str | None = None) -> GlobMatch:
    r"""Which of `patterns` matches `path`, or why none does.

    `path` may be relative (to `root`) or absolute, with `/` or `\`. A pattern without `/` matches at any depth.
    One that begins with `!` excludes, whatever its place in the list; patterns that only exclude match all the
    rest. Never raises: a pattern that cannot be used is skipped, and a note says so.
    """
    target, is_absolute, notes = _relative(path, root)
    positive: list[str] = []
    negative: list[str] = []
    for pattern in split_patterns(patterns):
        excluded = pattern.startswith("!") and not pattern.startswith("!(")
        (negative if excluded else positive).append(pattern)
    if not positive and not negative:
        return GlobMatch(False, target, None, "there are no patterns", tuple(notes))

    def first(candidates: list[str], skip: int) -> str | None:
        for pattern in candidates:
            if _matches(target, pattern[skip:].removeprefix("./"), is_absolute, notes):
                return pattern
        return None

    if (exclusion := first(negative, 1)) is not None:
        return GlobMatch(False, target, exclusion, f"{exclusion} excludes {target}", tuple(notes))
    if not positive:
        return GlobMatch(True, target, negative[0], "the patterns only exclude, and none of them does", tuple(notes))
    if (inclusion := first(positive, 0)) is not None:
        return GlobMatch(True, target, inclusion, f"{inclusion} matches {target}", tuple(notes))
    return GlobMatch(False, target, None, _why_none(target, positive), tuple(notes))


def applies(manifest: Manifest, path: str, root: str | None = None) -> Scope:
    """Whether the rules of `manifest` are in force for `path`, and whether they are about it."""
    match = explain(path, manifest.globs, root)
    about = match.matched or not manifest.globs
    on, reason = {
        "always_on": (
            True,
            "always on, about every file" if not manifest.globs else f"always on; {match.reason}",
        ),
        "glob": (match.matched, match.reason),
        "model_decision": (
            False,
            "the assistant decides from the description whether these rules are needed",
        ),
        "manual": (False, "these rules are on only when they are asked for by name"),
    }[manifest.trigger]
    return Scope(on, about, manifest.trigger, reason, match)


def _split_commas(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        if character == "," and depth == 0:
            parts.append("")
            continue
        depth = max(0, depth + {"{": 1, "}": -1}.get(character, 0))
        parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _relative(path: str, root: str | None) -> tuple[str, bool, list[str]]:
    """The path as it is compared, whether it is still absolute, and the notes that this gives."""
    target = _clean(path)
    is_absolute = _is_absolute(target)
    if not is_absolute and not target.startswith("../"):
        return target, False, []
    if root is None:
        if is_absolute:
            return target, True, []
        return (
            target.replace("../", ""),
            True,
            ["the path climbs with .. and there is no root: .. is dropped"],
        )
    base = _clean(root).rstrip("/")
    if not is_absolute:
        target = normpath(f"{base}/{target}")
    head, rest = target[: len(base)], target[len(base) :]
    same = head.casefold() == base.casefold() if _DRIVE.match(f"{base}/") else head == base
    if same and rest.startswith("/"):
        return rest[1:], False, []
    return target, True, [f"the path lies outside the root {root}"]


def _clean(path: str) -> str:
    slashed = path.strip().replace("\\", "/")
    return normpath(slashed) if slashed else ""


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or _DRIVE.match(path) is not None


def _matches(target: str, pattern: str, is_absolute: bool, notes: list[str]) -> bool:
    try:
        if _match(target, pattern):
            return True
        if is_absolute and not pattern.startswith(("/", "**/")) and _match(target, f"**/{pattern}"):
            notes.append(f"the path is absolute and not below a root: {pattern} was retried as **/{pattern}")
            return True
    except _UnusablePattern as problem:
        notes.append(f"the pattern {pattern[:80]} was skipped: {problem}")
    return False


class _UnusablePattern(Exception):
    pass


@lru_cache(maxsize=1)
def _wcmatch() -> Callable[[str, str], bool]:
    from wcmatch import glob  # noqa: PLC0415 - a sixth of the start-up of the command line

    flags = glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB | glob.DOTGLOB | glob.MATCHBASE | glob.FORCEUNIX
    return lambda target, pattern: glob.globmatch(target, pattern, flags=flags)


def _match(target: str, pattern: str) -> bool:
    """Whether one pattern matches; _UnusablePattern where it cannot be tried."""
    if (problem := _too_costly(target, pattern)) is not None:
        raise _UnusablePattern(problem)
    try:
        return _wcmatch()(target, pattern)
    except Exception as error:
        # wcmatch's class for too many alternatives is private and derives from Exception itself.
        raise _UnusablePattern(str(error)) from error


def _too_costly(target: str, pattern: str) -> str | None:
    """Why matching might backtrack for minutes, None where it cannot: rule files come from strangers.

    An upper bound on the ways to spread the folders over `**` and, with groups, the characters over `*`.
    """
    if max(len(target), len(pattern)) > _LONGEST:
        return f"it or the path is longer than {_LONGEST:,} characters"
    folders = target.split("/")
    globstars = pattern.count("**") + 1
    alternatives = prod(body.count(",") + 1 for body in _BRACES.findall(pattern))
    steps = comb(len(folders) + globstars, globstars) * min(alternatives, 1000)
    if "(" in pattern:
        if not all(_is_plain_repeat(group[1]) for group in _REPEAT.finditer(pattern)):
            return "it repeats a group whose parts can match the same text in several ways"
        stars = pattern.replace("**", "").count("*") + pattern.count("!(") + pattern.count("+(")
        steps *= comb(max(map(len, folders)) + stars, stars) * 2 ** (pattern.count("|") + pattern.count("?("))
    return None if steps <= _MOST_STEPS else "it has too many wildcards for a path this long"


def _is_plain_repeat(body: str | None) -> bool:
    """Whether `+(body)` can match a text in one way only; None stands for a nested or unclosed group."""
    if body is None:
        return False
    parts = body.split("|")
    if len(parts) == 1 and _CLASS.fullmatch(body):
        return True
    return all(map(_WORD.fullmatch, parts)) and len({part[0] for part in parts}) == len(parts)


def _why_none(target: str, patterns: list[str]) -> str:
    shown = ", ".join(patterns[:10]) + (f" and {len(patterns) - 10} more" if len(patterns) > 10 else "")
    hints = [hint for pattern in patterns[:10] if (hint := _near_miss(target, pattern)) is not None]
    return "; ".join([f"no pattern of {shown} matches {target}", *hints])


def _near_miss(target: str, pattern: str) -> str | None:
    """A hint where a pattern of the usual mistaken forms would have matched, written right."""
    folder, _, last = pattern.rpartition("/")
    rewritten = {
        f"{pattern.rstrip('/')}/**": "names a folder, whose files are",
        pattern.lstrip("/"): "begins with /, and patterns are relative to the root:",
        f"{folder}/**/{last}": "does not reach into folders, as * stops at /:",
        f"**/{pattern}": "matches from the root only; at any depth it is",
    }
    try:
        for better, why in rewritten.items():
            if better != pattern and _match(target, better):
                return f"{pattern} {why} {better}"
        if _match(target.lower(), pattern.lower()):
            return f"{pattern} differs in upper and lower case only"
    except _UnusablePattern:
        return None
    return None
