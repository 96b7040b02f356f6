from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from mlrules_mcp.catalogue import Catalogue
from mlrules_mcp.server.app import build_server
from mlrules_mcp.server.http.access import Access
from mlrules_mcp.server.http.app import build_app
from mlrules_mcp.server.http.oauth import AnyVerifier, OAuthVerifier
from mlrules_mcp.server.http.state import ServiceState
from mlrules_mcp.server.http.tokens import TokenFormatError, TokenStore, make_token, parse_lines
from tests.server.http.conftest import BAD, ERAS, connected, request, run, running

ISSUER, RESOURCE = "https://issuer.example", "https://mlrules.example/mcp"
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


def app_with(access: Access) -> Starlette:
    catalogue = Catalogue()
    security = TransportSecuritySettings(allowed_hosts=["localhost"], allowed_origins=[])
    return build_app(build_server(catalogue), ServiceState(catalogue), security, access=access)


def status_of(app: Starlette, authorization: str | None) -> tuple[int, str]:
    async def ask() -> tuple[int, str]:
        async with running(app) as http:
            headers = HEADERS | ({"authorization": authorization} if authorization else {})
            answer = await http.post("/mcp", json=request("tools/list"), headers=headers)
            return answer.status_code, answer.headers.get("www-authenticate", "")

    status: tuple[int, str] = run(ask)
    return status


class Issuer:
    """An authorization server: its metadata, its keys, and tokens that it signs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.asked: list[str] = []
        self.down = False

    def verifier(self, jwks_url: str = "") -> OAuthVerifier:
        return OAuthVerifier(ISSUER, RESOURCE, jwks_url, httpx2.Client(transport=httpx2.MockTransport(self._answer)))

    def token(self, identifier: str = "k1", key: Any = None, **claims: Any) -> str:
        good = {"iss": ISSUER, "aud": RESOURCE, "exp": int(time.time()) + 600, "sub": "ann", "scope": "analyze review"}
        payload = {name: value for name, value in (good | claims).items() if value is not None}
        return jwt.encode(payload, key or self.key, "ES256", headers={"kid": identifier})

    def _answer(self, asked: httpx2.Request) -> httpx2.Response:
        self.asked.append(asked.url.path)
        if self.down:
            return httpx2.Response(503)
        if asked.url.path == "/.well-known/openid-configuration":
            return httpx2.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
        if asked.url.path == "/keys":
            public = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return httpx2.Response(200, json={"keys": [{**public, "kid": "k1", "use": "sig", "alg": "ES256"}]})
        return httpx2.Response(404)


@pytest.mark.parametrize("era", ERAS)
def test_a_token_lets_its_holder_call_what_it_is_for(era: str) -> None:
    token, kept = make_token("ci", ["analyze"])
    app = app_with(Access(TokenStore([str(kept)])))

    async def use() -> None:
        async with running(app) as http:
            http.headers["authorization"] = f"Bearer {token}"
            async with connected(http, era) as client:
                assert not (await client.call_tool("analyze_code", {"code": BAD})).is_error
                for tool, scope in (("review_project", "review"), ("check_training", "train")):
                    refused = await client.call_tool(tool, {})
                    assert refused.is_error
                    assert f"lacks the scope '{scope}'" in refused.content[0].text

    run(use)


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer mlr_wrong", "Basic eDp5"])
def test_without_a_good_token_there_is_no_answer(authorization: str | None) -> None:
    _, kept = make_token("ci", ["analyze"])
    status, challenge = status_of(app_with(Access(TokenStore([str(kept)]))), authorization)
    assert status == 401
    assert challenge.startswith("Bearer")


def test_only_hashes_are_kept_and_a_wrong_line_is_named_without_being_repeated() -> None:
    token, kept = make_token("ci", ["analyze", "train"])
    assert token not in str(kept)
    assert parse_lines(["# ours", "", str(kept)]) == (kept,)
    for line, expected in (
        (token, "is not: NAME SCOPE"),
        (f"ci analyze {token}", "that is no hash"),
        (f"ci all {str(kept).split()[2]}", "unknown scope 'all'"),
        (f"c/i analyze {str(kept).split()[2]}", "a token's name"),
    ):
        with pytest.raises(TokenFormatError, match=expected) as caught:
            parse_lines([line])
        assert token not in str(caught.value)


def test_a_changed_file_of_tokens_is_in_force_at_once_and_a_broken_one_is_not(tmp_path: Path) -> None:
    (first, kept_first), (second, kept_second) = make_token("one", ["analyze"]), make_token("two", ["review"])
    file = tmp_path / "tokens.txt"
    file.write_text(f"{kept_first}\n", encoding="utf-8")
    store = TokenStore(file=file)

    def holder(token: str) -> str | None:
        found = run(store.verify_token, token)
        return found.client_id if found else None

    assert (holder(first), holder(second)) == ("one", None)
    file.write_text(f"{kept_second} \n", encoding="utf-8")
    assert (holder(first), holder(second)) == (None, "two")
    file.write_text("broken\n", encoding="utf-8")
    assert (holder(first), holder(second)) == (None, "two")
    file.unlink()
    assert holder(second) == "two"


@pytest.mark.parametrize("jwks_url", ["", f"{ISSUER}/keys"])
def test_an_access_token_of_the_issuer_is_taken(jwks_url: str) -> None:
    issuer = Issuer()
    found = run(issuer.verifier(jwks_url).verify_token, issuer.token())
    assert (found.client_id, found.scopes, found.subject) == ("ann", ["analyze", "review"], "ann")
    assert issuer.token() != found.token


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "https://other.example/mcp"},
        {"exp": 1},
        {"exp": None},
        {"aud": None},
        {"nbf": 2**33},
        {"identifier": "k2"},
        {"key": ec.generate_private_key(ec.SECP256R1())},
    ],
    ids=["issuer", "audience", "expired", "endless", "for nobody", "not yet", "unknown key", "forged"],
)
def test_an_access_token_that_is_not_for_us_now_is_refused(claims: dict[str, Any]) -> None:
    issuer = Issuer()
    assert run(issuer.verifier().verify_token, issuer.token(**claims)) is None


def test_a_token_signed_with_a_shared_secret_or_with_nothing_is_refused() -> None:
    issuer = Issuer()
    payload = {"iss": ISSUER, "aud": RESOURCE, "exp": int(time.time()) + 600}
    for token in (
        jwt.encode(payload, "a shared secret that is long enough", "HS256", headers={"kid": "k1"}),
        jwt.encode(payload, None, "none", headers={"kid": "k1"}),
        "not.a.jwt",
        "",
    ):
        assert run(issuer.verifier().verify_token, token) is None


def test_keys_are_asked_for_once_and_stay_in_use_while_the_issuer_is_down() -> None:
    issuer = Issuer()

    async def use() -> None:
        verifier = issuer.verifier(f"{ISSUER}/keys")
        assert await verifier.verify_token(issuer.token())
        issuer.down = True
        for _ in range(3):
            assert await verifier.verify_token(issuer.token())
            assert await verifier.verify_token(issuer.token("k9")) is None
        assert issuer.asked == ["/keys"]
        verifier._asked -= 3600
        assert await verifier.verify_token(issuer.token())
        assert issuer.asked == ["/keys", "/keys"]

    run(use)


def test_a_client_learns_where_to_get_a_token() -> None:
    issuer = Issuer()
    app = app_with(Access(AnyVerifier(TokenStore(), issuer.verifier()), ISSUER, RESOURCE))
    status, challenge = status_of(app, None)
    metadata = "https://mlrules.example/.well-known/oauth-protected-resource/mcp"
    assert (status, f'resource_metadata="{metadata}"' in challenge) == (401, True)
    assert status_of(app_with(Access(issuer.verifier(), ISSUER, RESOURCE)), f"Bearer {issuer.token()}")[0] == 200

    async def read() -> dict[str, Any]:
        async with running(app_with(Access(issuer.verifier(), ISSUER, RESOURCE))) as http:
            answer = await http.get("/.well-known/oauth-protected-resource/mcp")
            data: dict[str, Any] = answer.json()
            return data

    document = run(read)
    assert (document["resource"], document["authorization_servers"]) == (RESOURCE, [ISSUER])
    assert document["scopes_supported"] == ["analyze", "review", "train"]


def test_who_asks_too_often_is_told_when_to_come_again_and_others_are_served() -> None:
    (first, kept_first), (second, kept_second) = make_token("one", ["analyze"]), make_token("two", ["analyze"])
    app = app_with(Access(TokenStore([str(kept_first), str(kept_second)]), rate=2))

    async def use() -> None:
        async with running(app) as http:

            async def ask(token: str) -> httpx2.Response:
                headers = HEADERS | {"authorization": f"Bearer {token}"}
                return await http.post("/mcp", json=request("ping"), headers=headers)

            assert [(await ask(first)).status_code for _ in range(3)] == [200, 200, 429]
            assert 0 < int((await ask(first)).headers["retry-after"]) <= 30
            assert (await ask(second)).status_code == 200

    run(use)
