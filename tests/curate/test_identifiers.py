"""What names a site: one name in either spelling, with and without a scheme."""

from pathlib import Path

import pytest

from curate.document import Document
from curate.domains import registered_domain
from curate.filters import Url


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://münchen.de/x", "xn--mnchen-3ya.de"),
        ("http://www.MÜNCHEN.de:80/x", "xn--mnchen-3ya.de"),
        ("http://xn--mnchen-3ya.de/x", "xn--mnchen-3ya.de"),
        ("http://почта.пример.рф/", "xn--e1afmkfd.xn--p1ai"),
        ("http://例え。jp/", "xn--r8jz45g.jp"),
        ("http://-ü-.de/", "-ü-.de"),
        ("www.example.org/x", "example.org"),
        ("example.co.uk", "example.co.uk"),
        ("example.org:8080/x", "example.org"),
        ("//example.org/x", "example.org"),
        ("README.md", None),
        ("src/main.py", None),
        ("mailto:jane@example.org", None),
        ("urn:isbn:123", None),
        ("from my notes", None),
        ("jane@example.org", None),
    ],
)
def test_one_site_is_one_domain(url, domain):
    assert registered_domain(url) == domain


@pytest.mark.parametrize("listed", ["münchen.de", "xn--mnchen-3ya.de", "MÜNCHEN.de"])
@pytest.mark.parametrize("page", ["http://münchen.de/x", "http://www.xn--mnchen-3ya.de/x"])
def test_a_site_is_found_on_a_list_in_either_spelling(listed: str, page: str, tmp_path: Path) -> None:
    (tmp_path / "domains").write_text(f"{listed}\nother.example\n")
    (tmp_path / "urls").write_text(f"{listed}/x\n")
    for rule in (Url(domains=[listed]), Url(domains_file=str(tmp_path / "domains")), Url(lists=str(tmp_path))):
        assert any(check.failed for check in rule.checks(Document("k", "text", page)))
    assert not any(check.failed for check in Url(domains=[listed]).checks(Document("k", "text", "http://munchen.de/x")))


def test_an_ending_is_known_in_either_spelling() -> None:
    for ending in ("рф", "xn--p1ai"):
        assert any(check.failed for check in Url(tlds=[ending]).checks(Document("k", "text", "http://пример.рф/")))
