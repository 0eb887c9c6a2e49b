"""A login leads to a page of this portal, whatever the address asks for."""

from urllib.parse import urljoin, urlsplit

import pytest

from web.http.security import local_path

WHERE = [
    ("/studies", "/studies"),
    ("/studies?page=2&order=label", "/studies?page=2&order=label"),
    ("/jobs/%2F%2Fevil.example", "/jobs/%2F%2Fevil.example"),
    ("", "/"),
    ("//evil.example", "/"),
    ("///evil.example", "/"),
    ("/\\evil.example", "/"),
    ("\\\\evil.example", "/"),
    ("/\t/evil.example", "/"),
    ("\n//evil.example", "/"),
    (" //evil.example", "/"),
    ("https:evil.example", "/"),
    ("https://evil.example/", "/"),
    ("HTTPS:\\\\evil.example", "/"),
    ("javascript:alert(1)", "/"),
    ("data:text/html,x", "/"),
    ("%2F%2Fevil.example", "/"),
    ("%68ttps://evil.example", "/"),
    ("evil.example", "/"),
    ("/studies\r\nSet-Cookie: a=b", "/"),
    ("/login?token=anothers", "/"),
    ("/welcome?token=anothers", "/"),
    ("/./login?token=anothers", "/"),
    ("/.//login?token=anothers", "/"),
    ("/studies/../login?token=anothers", "/"),
    ("/studies/%2e%2E/login?token=anothers", "/"),
    ("/%6cogin?token=anothers", "/"),
    ("/%2Flogin?token=anothers", "/"),
    ("/studies?next=/login", "/studies?next=/login"),
]


@pytest.mark.parametrize(("wanted", "leads_to"), WHERE)
def test_a_login_leads_nowhere_else(wanted: str, leads_to: str) -> None:
    assert local_path(wanted) == leads_to
    # As a browser puts it together.
    assert urlsplit(urljoin("http://here/login", leads_to)).netloc == "here"
