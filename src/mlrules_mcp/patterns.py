"""Regular expressions that are compiled when they are first used.

The checks hold well over a hundred of them, of which one file needs a few; compiling them all takes a tenth of the time
that the command line needs to start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
        """What `re.compile` gives, compiled when first used."""

else:

    class pattern:  # noqa: N801 - reads as the function it stands for
        """What `re.compile` gives, compiled when first used."""

        def __init__(self, text: str, flags: int = 0) -> None:
            self._arguments = (text, flags)

        def __getattr__(self, name: str) -> Any:
            """An attribute of the compiled expression, kept so that the next look-up finds it here."""
            value = getattr(re.compile(*self._arguments), name)
            setattr(self, name, value)
            return value
