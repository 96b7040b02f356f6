"""Access tokens of an OAuth authorization server: signed JWTs, for this service as their audience."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import anyio.to_thread
import httpx2
import jwt
from mcp.server.auth.provider import AccessToken, TokenVerifier

# Asymmetric ones only: with a shared secret, whoever can check a token could make one.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_KEYS_LAST = 600.0
# A token that names an unknown key may mean that keys were changed, or that someone tries to make us ask all the time.
_ASK_AGAIN = 30.0
_METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


class OAuthVerifier:
    """Checks an access token's signature, issuer, audience and time by the issuer's published keys."""

    def __init__(self, issuer: str, audience: str, jwks_url: str = "", client: httpx2.Client | None = None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks_url = jwks_url
        self._client = client or httpx2.Client(timeout=10, follow_redirects=False)
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = -_KEYS_LAST
        self._turn = anyio.Lock()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Whose token it is and what for; None where it is not good."""
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                leeway=30,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        holder = str(claims.get("client_id") or claims.get("azp") or claims.get("sub") or "unknown")
        return AccessToken(
            token=holder,
            client_id=holder,
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]),
            resource=self._audience,
            subject=claims.get("sub"),
            claims={"iss": self._issuer},
        )

    async def _key(self, identifier: str) -> jwt.PyJWK | None:
        async with self._turn:
            age = time.monotonic() - self._asked
            if age > _KEYS_LAST or (identifier not in self._keys and age > _ASK_AGAIN):
                self._asked = time.monotonic()
                # Where they can't be had, the keys that are known stay in use.
                with suppress(httpx2.HTTPError, jwt.PyJWTError, ValueError, KeyError, TypeError):
                    self._keys = await anyio.to_thread.run_sync(self._fetch)
        return self._keys.get(identifier)

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        url = self._jwks_url or self._discovered()
        keys = jwt.PyJWKSet.from_dict(self._json(url))
        return {key.key_id or "": key for key in keys.keys if key.public_key_use in (None, "sig")}

    def _discovered(self) -> str:
        for path in _METADATA:
            try:
                metadata = self._json(self._issuer.rstrip("/") + path)
            except (httpx2.HTTPError, ValueError):
                continue
            if metadata["issuer"].rstrip("/") == self._issuer.rstrip("/"):
                return str(metadata["jwks_uri"])
        raise ValueError("the issuer publishes no metadata")

    def _json(self, url: str) -> Any:
        return self._client.get(url).raise_for_status().json()


class AnyVerifier:
    """Takes a token that one of several verifiers takes."""

    def __init__(self, *verifiers: TokenVerifier) -> None:
        self._verifiers = verifiers

    async def verify_token(self, token: str) -> AccessToken | None:
        """The first answer that is not None."""
        for verifier in self._verifiers:
            if found := await verifier.verify_token(token):
                return found
        return None


def _scopes(claims: dict[str, Any]) -> list[str]:
    granted = claims.get("scope", claims.get("scp", ""))
    return granted.split() if isinstance(granted, str) else [str(each) for each in granted]
