"""How an issuer is named for others: a did:web below the public URL."""
import pytest

from services.api.programmes.issuers import did_of, issued_by


@pytest.mark.parametrize(("url", "path", "did"), [
    ("https://lrs.example.org", ("issuers", "a"), "did:web:lrs.example.org:issuers:a"),
    ("http://127.0.0.1:8080", ("issuers", "a"), "did:web:127.0.0.1%3A8080:issuers:a"),
    ("https://example.org/lrs", (), "did:web:example.org:lrs"),
    ("https://example.org/lrs", ("tenants", "school of ünï:1"), "did:web:example.org:lrs:tenants:school%20of%20%C3%BCn%C3%AF%3A1"),
])
def test_a_did_is_made_of_host_port_and_path(url: str, path: tuple[str, ...], did: str) -> None:
    assert did_of(url, *path) == did


def test_tenants_of_one_server_are_different_issuers() -> None:
    own = [issued_by("https://lrs.example.org", tenant, None) for tenant in ("default", "school")]
    assert [each["did"] for each in own] == ["did:web:lrs.example.org", "did:web:lrs.example.org:tenants:school"]
    assert [each["slug"] for each in own] == [None, None]


def test_issuers_of_one_slug_in_different_tenants_are_different() -> None:
    row = {"slug": "university", "name": "University", "url": "https://university.example.org"}
    assert [issued_by("https://lrs.example.org", tenant, row)["did"] for tenant in ("default", "school")] == [
        "did:web:lrs.example.org:issuers:university", "did:web:lrs.example.org:tenants:school:issuers:university"]
