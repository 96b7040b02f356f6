"""How often one client may ask."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

from mlrules_mcp.server.http.limits import error_response

_MOST_CLIENTS = 10_000


class RateMiddleware:
    """Lets each client, by its token or else its address, ask so often a minute, all at once if it likes."""

    def __init__(self, app: ASGIApp, a_minute: int) -> None:
        self._app = app
        self._a_minute = a_minute
        # When each client's allowance is whole again, in seconds of the monotonic clock: all that a bucket needs.
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        wait = self._wait(_client(scope)) if scope["type"] == "http" else 0.0
        if wait > 0:
            refusal = error_response(
                429, f"More than {self._a_minute} requests a minute.", {"retry-after": str(math.ceil(wait))}
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _wait(self, client: str) -> float:
        now = time.monotonic()
        cost = 60 / self._a_minute
        whole_at = max(now, self._whole_at.pop(client, now)) + cost
        wait = whole_at - now - 60
        self._whole_at[client] = whole_at - cost if wait > 0 else whole_at
        while len(self._whole_at) > _MOST_CLIENTS:
            self._whole_at.popitem(last=False)
        return max(0.0, wait)


def _client(scope: Scope) -> str:
    user = scope.get("user")
    if user is not None and user.is_authenticated:
        return f"token {user.display_name}"
    address = scope.get("client")
    return f"address {address[0]}" if address else "unknown"
