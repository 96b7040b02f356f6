"""Bearer tokens: made here, kept as hashes, each with a name and scopes.

A token has 256 bits of chance, so that a plain hash of it can be neither guessed nor looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mcp.server.auth.provider import AccessToken

SCOPES = ("analyze", "review", "train")
_NAME = re.compile(r"[\w.@-]{1,64}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")

logger = logging.getLogger(__name__)


class TokenFormatError(ValueError):
    """A line is no hashed token; the message says what is wrong without repeating the line."""


@dataclass(frozen=True, slots=True)
class HashedToken:
    """What is kept of a token: its holder's name, what it is for, and its hash."""

    name: str
    scopes: tuple[str, ...]
    digest: str

    def __str__(self) -> str:
        """Its line in a file of tokens."""
        return f"{self.name} {','.join(self.scopes)} sha256:{self.digest}"


def make_token(name: str, scopes: Iterable[str]) -> tuple[str, HashedToken]:
    """A new token, and what to keep of it.

    Raises:
        TokenFormatError: the name or a scope cannot be.
    """
    token = f"mlr_{secrets.token_urlsafe(32)}"
    return token, parse_line(f"{name} {','.join(scopes)} sha256:{_digest(token)}", 1)


def parse_line(line: str, number: int) -> HashedToken:
    """A token from its line `NAME SCOPE,… sha256:HASH`."""
    parts = line.split()
    if len(parts) != 3:
        raise TokenFormatError(f"Line {number} of the tokens is not: NAME SCOPE,… sha256:HASH.")
    name, scopes, digest = parts
    if not _NAME.fullmatch(name):
        raise TokenFormatError(f"Line {number}: a token's name has letters, digits and . _ - @, at most 64.")
    if unknown := set(scopes.split(",")) - set(SCOPES):
        raise TokenFormatError(f"Line {number}: unknown scope {min(unknown)!r}; there are {', '.join(SCOPES)}.")
    if not _HASH.fullmatch(digest):
        raise TokenFormatError(f"Line {number}: that is no hash. `mlrules-mcp token NAME` makes a token and its line.")
    return HashedToken(name, tuple(scopes.split(",")), digest.removeprefix("sha256:"))


def parse_lines(lines: Iterable[str]) -> tuple[HashedToken, ...]:
    """Tokens from lines; empty ones and comments (#) are passed over.

    Raises:
        TokenFormatError: a line is wrong.
    """
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return tuple(parse_line(line, number) for number, line in numbered if line and not line.startswith("#"))


class TokenStore:
    """The tokens that are taken: those given, and those of a file, which is read again when it changes.

    Raises:
        TokenFormatError: a line is wrong.
        OSError: the file cannot be read.
    """

    def __init__(self, lines: Iterable[str] = (), file: Path | None = None) -> None:
        self._given = parse_lines(lines)
        self._file = file
        self._changed = 0
        self._from_file: tuple[HashedToken, ...] = ()
        if file is not None:
            self._changed = file.stat().st_mtime_ns
            self._from_file = parse_lines(file.read_text(encoding="utf-8").splitlines())

    async def verify_token(self, token: str) -> AccessToken | None:
        """Whose token it is and what for; None where it is nobody's."""
        self._read_again()
        digest = _digest(token)
        found = None
        for known in (*self._given, *self._from_file):
            if hmac.compare_digest(known.digest, digest):
                found = known
        # The token itself is not passed on: nothing that holds the answer can log it.
        return AccessToken(token=found.name, client_id=found.name, scopes=list(found.scopes)) if found else None

    def _read_again(self) -> None:
        if self._file is None:
            return
        try:
            changed = self._file.stat().st_mtime_ns
            if changed != self._changed:
                self._changed = changed
                self._from_file = parse_lines(self._file.read_text(encoding="utf-8").splitlines())
        except (OSError, TokenFormatError):
            logger.error("The file of tokens cannot be read; those read before stay in force")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
