"""Who may call: bearer tokens before the endpoint, and where a client learns to get one."""

from __future__ import annotations

from dataclasses import dataclass

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route

from mlrules_mcp.server.http.rate import RateMiddleware
from mlrules_mcp.server.http.tokens import SCOPES


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call the endpoint, and how often.

    Attributes:
        verifier: tells whose a token is; None lets everyone in.
        issuer: the authorization server that clients are pointed to; empty where there is none.
        resource: the URL of the endpoint as clients know it.
        rate: the most requests a minute of each client; 0 is no limit.
    """

    verifier: TokenVerifier | None = None
    issuer: str = ""
    resource: str = ""
    rate: int = 0

    def middleware(self) -> list[Middleware]:
        """What stands before the endpoint, the outermost first."""
        rate = [Middleware(RateMiddleware, a_minute=self.rate)] if self.rate else []
        if self.verifier is None:
            return rate
        metadata = build_resource_metadata_url(self._urls()[0]) if self.issuer else None
        return [
            Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(self.verifier)),
            Middleware(AuthContextMiddleware),
            Middleware(RequireAuthMiddleware, required_scopes=[], resource_metadata_url=metadata),
            *rate,
        ]

    def routes(self) -> list[Route]:
        """Where clients learn which authorization server gives out tokens for this service."""
        if not self.issuer:
            return []
        resource, issuer = self._urls()
        return create_protected_resource_routes(resource, [issuer], list(SCOPES), "Machine-learning rules")

    def _urls(self) -> tuple[AnyHttpUrl, AnyHttpUrl]:
        # The SDK's settings keep an issuer as it is written: clients compare it to the letter.
        settings = AuthSettings.model_validate(
            {"issuer_url": self.issuer, "resource_server_url": self.resource, "validate_token_resource": False}
        )
        assert settings.resource_server_url is not None
        return settings.resource_server_url, settings.issuer_url
