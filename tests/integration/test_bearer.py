"""Bearer tokens: whose are taken, what they let their bearer do, and everything that is made to look like one."""
import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import ValidationError

from services.core.errors import Unauthenticated, Unavailable
from services.runtime.callers import issuer_keys
from services.runtime.callers.api_keys import create_key
from services.runtime.callers.auth import Caller, Keys
from services.runtime.callers.bearer import BearerTokens
from services.runtime.postgres import Pool, open_pool
from services.runtime.settings import Settings
from tests.integration.api_service import api_service
from tests.servers.in_process import statement
from tests.servers.issuer import AUDIENCE, DISCOVERY, KEYS, Issuer, certified, issuing
from tests.servers.postgres import PostgresServer

SECRET = b"a secret for tests"


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with issuing() as running:
        yield running


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, max=3) as opened:
        await create_key(opened, SECRET, name="the tenant's first key", public_url=AUDIENCE)
        yield opened


def _keys(pool: Pool, issuer: Issuer, **settings: Any) -> Keys:
    return Keys(pool, SECRET, BearerTokens(Settings(**{"oidc_issuers": issuer.url, "oidc_audience": AUDIENCE, **settings}), pool))


async def _caller(keys: Keys, token: str) -> Caller:
    return await keys.authenticate(f"Bearer {token}")


async def _refusal(keys: Keys, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refused:
        await _caller(keys, token)
    return refused.value


def _pieces(head: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(head).encode(), json.dumps(body).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
async def test_a_token_of_a_trusted_issuer_opens_the_tenant_with_its_own_scopes_and_authority(pool: Pool, issuer: Issuer, kid: str) -> None:
    issuer.keys["ed"] = ("EdDSA", ed25519.Ed25519PrivateKey.generate())
    caller = await _caller(_keys(pool, issuer), issuer.token(kid, scope="statements/write openid lrs:read", head={"typ": "at+jwt"}))
    assert (caller.tenant, caller.scopes, caller.rate) == ("default", frozenset({"statements/write", "lrs:read"}), None)
    assert caller.authority == {"objectType": "Agent", "account": {"homePage": issuer.url, "name": "ada"}}


@pytest.mark.parametrize(("claims", "names"), [
    ({"sub": "ada", "azp": "player"}, ["player", "ada"]), ({"sub": "ada", "client_id": "player"}, ["player", "ada"]),
    ({"sub": "player", "azp": "player"}, ["player"]), ({"sub": "ada"}, ["ada"]),
])
async def test_the_authority_is_the_application_and_the_user_as_a_group_or_the_one_that_is_known(
    pool: Pool, issuer: Issuer, claims: dict[str, Any], names: list[str],
) -> None:
    agents = [{"objectType": "Agent", "account": {"homePage": issuer.url, "name": name}} for name in names]
    expected = agents[0] if len(agents) == 1 else {"objectType": "Group", "member": agents}
    assert (await _caller(_keys(pool, issuer), issuer.token(**claims))).authority == expected


async def test_a_token_that_speaks_of_no_scopes_has_those_of_the_specification_and_one_with_only_others_has_none(pool: Pool, issuer: Issuer) -> None:
    keys = _keys(pool, issuer)
    assert (await _caller(keys, issuer.token(without=("scope",)))).scopes == {"statements/write", "statements/read/mine"}
    assert (await _caller(keys, issuer.token(scope="openid email", nonce="x", at_hash="x"))).scopes == frozenset()
    assert (await _caller(keys, issuer.token(without=("scope",), scp=["state", 7]))).scopes == {"state"}


async def test_with_a_prefix_only_scopes_that_begin_with_it_count(pool: Pool, issuer: Issuer) -> None:
    keys = _keys(pool, issuer, oidc_scope_prefix="api://lrs/")
    assert (await _caller(keys, issuer.token(scope="profile all api://lrs/statements/read"))).scopes == {"statements/read"}


async def test_the_tenant_is_that_of_the_issuer_or_the_one_a_claim_names(pool: Pool, issuer: Issuer) -> None:
    await create_key(pool, SECRET, name="n", tenant="school", public_url=AUDIENCE)
    assert (await _caller(_keys(pool, issuer, oidc_issuers=f"https://other.example.org, {issuer.url}=school"), issuer.token())).tenant == "school"
    named = _keys(pool, issuer, oidc_tenant_claim="org")
    assert (await _caller(named, issuer.token(org="school"))).tenant == "school"
    bound = _keys(pool, issuer, oidc_tenant_claim="org", oidc_issuers=f"{issuer.url}=school")
    assert (await _caller(bound, issuer.token(org="default"))).tenant == "school"
    for org in ("nobody's", "", 7, None, "a\0b"):
        refused = await _problem(named, issuer.token(org=org))
        assert refused.status == 403, org


async def _problem(keys: Keys, token: str) -> Any:
    with pytest.raises(Exception) as refused:  # noqa: PT011 - what kind it is, is what the test looks at
        await _caller(keys, token)
    return refused.value


def _claims(issuer: Issuer) -> dict[str, Any]:
    return jwt.decode(issuer.token(), options={"verify_signature": False})


_NOW = int(time.time())
_BRACKETS = base64.urlsafe_b64encode(b"[" * 4998).decode()
_CHANGES: dict[str, Callable[[Issuer], str]] = {
    "another audience": lambda issuer: issuer.token(aud="https://other.example.org"),
    "no audience": lambda issuer: issuer.token(without=("aud",)),
    "another issuer": lambda issuer: issuer.token(iss="https://evil.example.org"),
    "the issuer with a slash": lambda issuer: issuer.token(iss=issuer.url + "/"),
    "no issuer": lambda issuer: issuer.token(without=("iss",)),
    "expired": lambda issuer: issuer.token(exp=_NOW - 70),
    "no end": lambda issuer: issuer.token(without=("exp",)),
    "no beginning": lambda issuer: issuer.token(without=("iat",)),
    "not valid yet": lambda issuer: issuer.token(nbf=int(time.time()) + 120),
    "issued in the future": lambda issuer: issuer.token(iat=int(time.time()) + 120),
    "a number that is none": lambda issuer: issuer.token(exp=float("inf")),
    "an ID token's type": lambda issuer: issuer.token(head={"typ": "logout+jwt"}),
    "an ID token of a code flow": lambda issuer: issuer.token(without=("scope",), nonce="x"),
    "an ID token with a token's hash": lambda issuer: issuer.token(without=("scope",), at_hash="x"),
    "an ID token with a code's hash": lambda issuer: issuer.token(without=("scope",), c_hash="x"),
    "a critical extension": lambda issuer: issuer.token(head={"crit": ["b64"], "b64": False}),
    "nobody": lambda issuer: issuer.token(without=("sub",)),
    "a user that is no text": lambda issuer: issuer.token(sub=7),
    "a user with a NUL": lambda issuer: issuer.token(sub="a\0da"),
    "a user without end": lambda issuer: issuer.token(sub="a" * 256),
    "a client that is an object": lambda issuer: issuer.token(azp={"a": 1}),
    "not signed": lambda issuer: _pieces({"alg": "none"}, _claims(issuer)),
    "not signed, and in capitals": lambda issuer: _pieces({"alg": "NONE", "kid": "rsa"}, _claims(issuer)),
    "signed with the public key as a secret": lambda issuer: issuer.hs256(),
    "signed by a key of another kind": lambda issuer: _pieces({"alg": "ES256", "kid": "rsa"}, _claims(issuer), b"x" * 64),
    "another signature": lambda issuer: issuer.token()[:-8] + "AAAAAAAA",
    "nested deeply": lambda _: f"{_pieces({'alg': 'RS256', 'kid': 'rsa'}, {}).split('.')[0]}.{_BRACKETS}.eA",
    "no JSON": lambda _: "a.b.c",
    "no token": lambda _: "x", "nothing": lambda _: "",
}


@pytest.mark.parametrize("what", list(_CHANGES))
async def test_a_token_that_is_not_as_it_should_be_is_refused_with_a_sentence(pool: Pool, issuer: Issuer, what: str) -> None:
    refused = await _refusal(_keys(pool, issuer), _CHANGES[what](issuer))
    assert refused.detail.startswith("The bearer token is not accepted:"), refused.detail
    assert 'error="invalid_token"' in refused.challenges[0]
    assert issuer.asked[KEYS] <= 1


async def test_clocks_may_differ_by_a_minute(pool: Pool, issuer: Issuer) -> None:
    now = int(time.time())
    keys = _keys(pool, issuer)
    for token in (issuer.token(exp=now - 40), issuer.token(nbf=now + 40), issuer.token(iat=now + 40)):
        await _caller(keys, token)


async def test_an_algorithm_that_the_settings_do_not_name_is_refused_though_the_issuer_has_such_a_key(pool: Pool, issuer: Issuer) -> None:
    keys = _keys(pool, issuer, oidc_algorithms="RS256")
    await _caller(keys, issuer.token("rsa"))
    assert "algorithm" in (await _refusal(keys, issuer.token("ec"))).detail


async def test_a_token_without_end_is_refused_before_it_is_read(pool: Pool, issuer: Issuer) -> None:
    keys = _keys(pool, issuer)
    assert "longer than 8192" in (await _refusal(keys, issuer.token(filling="x" * 8192))).detail
    assert "longer than" in (await _refusal(keys, "x" * (1 << 20))).detail
    assert not issuer.asked


async def test_tokens_are_not_taken_where_no_issuer_is_trusted(pool: Pool, issuer: Issuer) -> None:
    refused = await _refusal(Keys(pool, SECRET), issuer.token())
    assert refused.challenges == ('Basic realm="Testamur", charset="UTF-8"',)
    with pytest.raises(Unauthenticated) as asked:
        await _keys(pool, issuer).authenticate(None)
    assert len(asked.value.challenges) == 2


async def test_keys_that_nobody_has_make_the_issuer_asked_once_a_minute(pool: Pool, issuer: Issuer) -> None:
    keys = _keys(pool, issuer)
    await _caller(keys, issuer.token())
    for n in range(3):
        await asyncio.gather(*(_refusal(keys, issuer.token(head={"kid": f"made up {n}.{m}"})) for m in range(50)))
    assert issuer.asked == {DISCOVERY: 2, KEYS: 2}


async def test_a_key_that_the_issuer_changed_to_is_known_at_once_and_the_one_before_no_more(pool: Pool, issuer: Issuer) -> None:
    keys = _keys(pool, issuer)
    before = issuer.token()
    await _caller(keys, before)
    issuer.rotate("new")
    assert (await _caller(keys, issuer.token("new"))).authority["account"]["name"] == "ada"
    assert "no such key" in (await _refusal(_keys(pool, issuer), before)).detail


async def test_keys_are_fetched_again_when_they_are_ten_minutes_old(pool: Pool, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert issuer_keys.MAX_AGE_S <= 600
    keys = _keys(pool, issuer)
    await _caller(keys, issuer.token())
    issuer.rotate("new")
    monkeypatch.setattr(issuer_keys, "MAX_AGE_S", 0.0)
    monkeypatch.setattr(issuer_keys, "_RETRY_S", 0.0)
    await _caller(keys, issuer.token("new"))
    assert issuer.asked[KEYS] == 2


async def test_while_the_issuer_is_away_known_keys_go_on_and_without_any_the_bearer_is_told_to_come_again(
    pool: Pool, issuer: Issuer, monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys, strange = _keys(pool, issuer), _keys(pool, issuer)
    await _caller(keys, issuer.token())
    await issuer.close()
    monkeypatch.setattr(issuer_keys, "MAX_AGE_S", 0.0)
    await _caller(keys, issuer.token(jti="another"))
    await _refusal(keys, issuer.token(head={"kid": "unknown"}))
    with pytest.raises(Unavailable, match="cannot be read right now"):
        await _caller(strange, issuer.token())
    monkeypatch.setattr(issuer_keys, "REMEMBERED_S", 0.0)
    with pytest.raises(Unavailable):
        await _caller(keys, issuer.token(jti="a third"))


@pytest.mark.parametrize(("path", "answer"), [
    (DISCOVERY, (302, {"Location": "http://127.0.0.1:1/"}, b"")), (KEYS, (302, {"Location": "/other"}, b"")),
    (DISCOVERY, (200, {}, b'{"issuer": "https://evil.example.org"}')), (DISCOVERY, (500, {}, b"")),
    (KEYS, (200, {}, b"not JSON")), (KEYS, (200, {}, b'{"keys": 7}')), (KEYS, (200, {}, b" " * (300 << 10))), (KEYS, (200, {}, b"[]")),
])
async def test_what_an_issuer_answers_is_not_believed_beyond_what_it_has_to_be(
    pool: Pool, issuer: Issuer, path: str, answer: tuple[int, dict[str, str], bytes],
) -> None:
    issuer.replaced[path] = answer
    with pytest.raises(Unavailable):
        await _caller(_keys(pool, issuer), issuer.token())
    assert set(issuer.asked) <= {DISCOVERY, KEYS}


@pytest.mark.parametrize("address", ["http://[", "file:///etc/passwd", "ftp://127.0.0.1/", "http://127.0.0.1:1/keys", 7, None])
async def test_an_address_of_keys_that_leads_nowhere_is_told_as_such(pool: Pool, issuer: Issuer, address: object) -> None:
    issuer.replaced[DISCOVERY] = (200, {}, json.dumps({"issuer": issuer.url, "jwks_uri": address}).encode())
    with pytest.raises(Unavailable):
        await _caller(_keys(pool, issuer), issuer.token())


async def test_keys_that_are_none_are_passed_over(pool: Pool, issuer: Issuer) -> None:
    odd: list[Any] = [7, {}, {"kty": "oct", "k": "AAAA", "kid": "rsa"}, {"kty": "RSA", "kid": "odd", "n": "?", "e": 7}, {"kty": "RSA", "use": "enc"}]
    issuer.replaced[KEYS] = (200, {}, json.dumps({"keys": [*odd, *issuer.jwks()]}).encode())
    keys = _keys(pool, issuer)
    await _caller(keys, issuer.token())
    await _refusal(keys, issuer.token(head={"kid": "odd"}))


async def test_an_issuer_over_tls_is_believed_with_a_certificate_that_is_trusted(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, trusted = certified(tmp_path)
    async with issuing(context) as issuer:
        with pytest.raises(Unavailable):
            await _caller(_keys(pool, issuer), issuer.token())
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        await _caller(_keys(pool, issuer), issuer.token())


@pytest.mark.parametrize("settings", [
    {"oidc_issuers": "https://issuer.example.org"}, {"oidc_issuers": "http://issuer.example.org", "oidc_audience": "a"},
    {"oidc_issuers": "issuer.example.org", "oidc_audience": "a"}, {"oidc_algorithms": "RS256,HS256"}, {"oidc_algorithms": "none"},
])
def test_settings_that_would_believe_too_much_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**settings)


async def test_tokens_are_good_for_writes_and_reads_and_vouch_for_what_they_write(postgres: PostgresServer, tmp_path: Path, issuer: Issuer) -> None:
    async with api_service(postgres, tmp_path, oidc_issuers=issuer.url, oidc_audience=AUDIENCE) as service:
        await service.web.key()
        client, sent = service.web.client(None), statement()
        writes = await client.post("/xapi/statements", json=sent, headers=_bearer(issuer.token(scope="statements/write", azp="player")))
        assert (writes.status_code, writes.headers["LRS-Outcome"]) == (200, "stored")
        narrow = await client.post("/xapi/statements", json=statement(), headers=_bearer(issuer.token(scope="state")))
        assert (narrow.status_code, narrow.json()["detail"]) == (403, "This token needs the scope statements/write.")
        assert 'error="insufficient_scope"' in narrow.headers["WWW-Authenticate"]
        for azp, status in (("player", 200), ("another", 404), ("ada", 404)):
            mine = _bearer(issuer.token(scope="statements/read/mine", azp=azp))
            found = await client.get("/xapi/statements", params={"statementId": sent["id"]}, headers=mine)
            assert found.status_code == status, azp
        found = await client.get("/xapi/statements", params={"statementId": sent["id"]}, headers=_bearer(issuer.token(scope="all")))
        assert [each["account"]["name"] for each in found.json()["authority"]["member"]] == ["player", "ada"]
        expired = await client.get("/xapi/statements", headers=_bearer(issuer.token(exp=_NOW - 100)))
        assert (expired.status_code, expired.headers["Content-Type"]) == (401, "application/problem+json")
        assert expired.headers["WWW-Authenticate"] == 'Bearer realm="Testamur", error="invalid_token"'


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
