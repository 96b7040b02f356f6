"""Who may ask: the Host and Origin headers, so that no web page reaches the service through its visitor's browser."""

from __future__ import annotations

import ipaddress

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

# Probes and scrapers call these by address. A page that rebinds its name to ours can't: it has to use the name.
_BY_ADDRESS = {"/healthz", "/readyz", "/metrics"}


class GuardMiddleware:
    """Refuses requests whose Host or Origin header is not expected."""

    def __init__(self, app: ASGIApp, security: TransportSecuritySettings) -> None:
        self._app = app
        self._security = TransportSecurityMiddleware(security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve or refuse one request."""
        if scope["type"] == "http":
            request = Request(scope)
            by_address = scope["path"] in _BY_ADDRESS and _is_address(request.headers.get("host", ""))
            if not by_address and (refusal := await self._security.validate_request(request)):
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_address(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
