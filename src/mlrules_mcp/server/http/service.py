"""Puts the service together as its settings say."""

from __future__ import annotations

import os

from mcp.server.auth.provider import TokenVerifier
from mcp.server.transport_security import TransportSecuritySettings

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import RulesServer, build_server, tool_names
from mlrules_mcp.server.http.access import Access
from mlrules_mcp.server.http.app import build_app
from mlrules_mcp.server.http.limits import Limits
from mlrules_mcp.server.http.metrics import log_as_json
from mlrules_mcp.server.http.oauth import AnyVerifier, OAuthVerifier
from mlrules_mcp.server.http.pool import WorkerPool
from mlrules_mcp.server.http.serving import serve
from mlrules_mcp.server.http.settings import PREFIX, HttpSettings, SettingsError
from mlrules_mcp.server.http.state import ServiceState
from mlrules_mcp.server.http.tokens import TokenStore
from mlrules_mcp.server.http.tools import TRAINING, CallLimits
from mlrules_mcp.server.http.worker import WorkerSpec

_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_MIB = 1024 * 1024


def run_service(settings: HttpSettings, catalogue: Catalogue) -> None:
    """Serve until told to end.

    Raises:
        SettingsError: the tokens cannot be read.
    """
    access = _access(settings)
    # Not for the workers: they inherit the environment.
    os.environ.pop(f"{PREFIX}TOKENS", None)
    size = settings.workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(2))
    server = _server(settings, catalogue)
    spec = WorkerSpec(catalogue.rules, settings.roots, settings.memory_limit * _MIB)
    state = ServiceState(catalogue, WorkerPool(spec, size=size, time_limit=settings.time_limit))
    limits = Limits(body=settings.max_request * _MIB, requests=size + settings.queue)
    calls = CallLimits(settings.max_files, settings.max_code * 1024)
    log_as_json()
    serve(
        build_app(server, state, security(settings), limits, access, calls),
        state,
        host=settings.host,
        port=settings.port,
        drain_delay=settings.drain_delay,
        drain_limit=settings.drain_limit,
        trusted_proxies=settings.trusted_proxies,
    )


def security(settings: HttpSettings) -> TransportSecuritySettings:
    """The Host and Origin headers that are taken: a page that comes from a host we answer for may call us."""
    hosts = [*(f"{name}:*" for name in _LOCAL), *_LOCAL, *settings.allowed_hosts]
    own = [f"http://{host}" for host in hosts] + [f"https://{host}" for host in settings.allowed_hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[*own, *settings.allowed_origins])


def _access(settings: HttpSettings) -> Access:
    verifiers: list[TokenVerifier] = []
    if settings.tokens or settings.tokens_file:
        try:
            verifiers.append(TokenStore(settings.tokens, settings.tokens_file))
        except (OSError, ValueError) as error:
            raise SettingsError(f"The tokens cannot be read: {error}") from None
    if settings.oauth_issuer:
        audience = settings.oauth_audience or settings.public_url
        verifiers.append(OAuthVerifier(settings.oauth_issuer, audience, settings.oauth_jwks_url))
    return Access(
        AnyVerifier(*verifiers) if verifiers else None, settings.oauth_issuer, settings.public_url, settings.rate_limit
    )


def _server(settings: HttpSettings, catalogue: Catalogue) -> RulesServer:
    """The server with the tools that the operator wants offered; SettingsError where that is none."""
    left_out = () if settings.enable_training else (TRAINING,)
    offered = [name for name in settings.tools or tool_names() if name not in left_out]
    if not offered:
        raise SettingsError(f"No tool is left to offer: {TRAINING} needs enable_training.")
    try:
        return build_server(
            catalogue,
            settings.roots,
            keep_reports=False,
            manifests=settings.manifests,
            offered=offered,
            read_only=settings.read_only,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None
