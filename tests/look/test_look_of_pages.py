"""Pages in a real browser: nothing of a crawl runs, nothing overflows, all of it is reached and read. `make look`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from look_pages import ATTACKS, SCHEMES, WIDTHS, chromium, make_pages

pytestmark = pytest.mark.look
playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'goldsand[look]' brings the driver")
if chromium() is None:
    pytest.skip("there is no Chromium here (Debian: apt-get install chromium)", allow_module_level=True)

PAGES = ("run", "run as it is", "folder", "difference", "comparison", "probe", "rung", "profile", "fit")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pages = make_pages(tmp_path_factory.mktemp("look"))
    assert set(pages) == set(PAGES)
    return pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


class Seen:
    """A page in the browser, with all that it said and asked for."""

    def __init__(self, browser: Any, page: Path, width: int = 1280, scheme: str = "light", script: bool = True) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
        )
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(page.as_uri())
        self.address = page.as_uri()

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def opened(self) -> Any:
        """The page with every part open."""
        self.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        return self.page


BEYOND = """() => {
  const scrolls = (one) => {
    for (let part = one.parentElement; part && part !== document.body; part = part.parentElement)
      if (getComputedStyle(part).overflowX !== "visible") return true;
    return false;
  };
  const wide = [...document.querySelectorAll("body *")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !scrolls(one);
  });
  const names = wide.map((one) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 40)}`);
  return [document.documentElement.scrollWidth - innerWidth, names.slice(0, 5)];
}"""
"""How far the page is wider than the window, and what reaches beyond it without scrolling by itself."""


@pytest.mark.parametrize("name", PAGES)
def test_no_page_says_anything_or_overflows_at_any_width(browser, made, name):
    for width in WIDTHS:
        for scheme in SCHEMES:
            with Seen(browser, made[name], width, scheme) as seen:
                for state in ("as it is", "opened"):
                    beyond, names = seen.page.evaluate(BEYOND)
                    assert beyond <= 0 and not names, (width, scheme, state, names)
                    seen.opened()
                seen.page.wait_for_timeout(50)
                assert seen.said == [] and seen.asked == [seen.address]


@pytest.mark.parametrize("name", PAGES)
def test_no_attack_runs_and_all_of_it_is_text(browser, made, name):
    with Seen(browser, made[name]) as seen:
        page = seen.opened()
        page.wait_for_timeout(150)
        # Events that an attack may wait for.
        page.evaluate("for (const one of document.querySelectorAll('main *')) one.dispatchEvent(new Event('focus'))")
        assert page.evaluate("window.hit") is None and seen.said == [] and seen.asked == [seen.address]
        assert page.evaluate("document.querySelectorAll('iframe, img, base, object, embed, link, form').length") == 0
        assert page.evaluate("document.scripts.length") == 1
        handlers = (
            "[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => a.name.startsWith('on')))"
        )
        assert page.evaluate(f"{handlers}.length") == 0
        links = page.evaluate("[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))")
        assert all(link.startswith(("#", "./")) for link in links), links
        assert page.evaluate("document.title").endswith("– goldsand")
        assert "owned" not in page.evaluate("document.querySelector('nav')?.textContent ?? ''")
        text = page.evaluate("document.body.textContent")
        assert not {"\u202e", "\x1b", "\x00", "\u2066"} & set(text)
    if name == "run":
        assert all(attack in text for attack in (*ATTACKS[:6], *ATTACKS[9:11])), "the attacks are on the page"


def test_even_what_was_not_escaped_would_not_run(browser, made, tmp_path):
    """The page's own policy: a script, a handler, an image or a frame in it is refused by the browser."""
    html = made["folder"].read_text()
    worst = "<script>window.hit = 1</script><img src='http://127.0.0.1:9/x.png' onerror='window.hit = 1'>"
    (tmp_path / "worst.html").write_text(html.replace("<h2", f"{worst}<h2", 1))
    with Seen(browser, tmp_path / "worst.html") as seen:
        seen.page.wait_for_timeout(150)
        assert seen.page.evaluate("window.hit") is None
        assert seen.said and all("Content Security Policy" in one for one in seen.said), seen.said


CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (let part = one; part; part = part.parentElement) {
      const rgb = channels(getComputedStyle(part).backgroundColor);
      if (rgb.length < 4 || rgb[3] > 0.99) return rgb;
    }
    return channels(getComputedStyle(document.body).backgroundColor);
  };
  return [...document.querySelectorAll("svg text")].filter((one) => {
    const [a, b] = [light(channels(getComputedStyle(one).fill)), light(behind(one.closest("svg")))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map((one) => one.textContent);
}"""
"""Words in pictures that are too faint; axe does not look at these."""


@pytest.mark.parametrize("name", PAGES)
def test_contrast_names_and_order_of_headings_are_those_of_wcag_aa(browser, made, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    for scheme in SCHEMES:
        with Seen(browser, made[name], scheme=scheme) as seen:
            page = seen.opened()
            found = axe.run(page, options=rules).response["violations"]
            wrong = [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"]) for one in found]
            assert wrong == [], scheme
            assert page.evaluate(CONTRAST) == [], scheme


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_everything_in_the_order_of_the_page(browser, made, name):
    order = """() => {
      const one = document.activeElement, style = getComputedStyle(one);
      const all = [...document.querySelectorAll('*')];
      return [all.indexOf(one), one.tagName, style.outlineStyle, one.className];
    }"""
    with Seen(browser, made[name], width=390) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.className") == "skip"
        box = seen.page.evaluate("document.activeElement.getBoundingClientRect().left")
        assert box >= 0, "the link is seen when it is reached"
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("document.activeElement.id") == "content"
        seen.page.evaluate("document.activeElement.blur(); document.querySelector('.skip').focus()")
        places = []
        for _ in range(40):
            seen.page.keyboard.press("Tab")
            place, tag, outline, _ = seen.page.evaluate(order)
            if tag == "BODY":
                break
            assert outline != "none", (tag, place)
            places.append(place)
        assert places and places == sorted(places)
        wanted = "summary, a[href], input:not([hidden]), [tabindex='0']"
        visible = f"[...document.querySelectorAll(`{wanted}`)].filter((e) => e.checkVisibility()).length"
        assert len(places) >= min(40, seen.page.evaluate(visible) - 1)


def test_documents_are_searched_and_links_open_what_they_lead_to(browser, made):
    with Seen(browser, made["run"]) as seen:
        page = seen.page
        shown = "[...document.querySelectorAll('#documents [data-entry]')].filter((e) => e.checkVisibility()).length"
        assert page.evaluate(shown) == 0
        page.fill("#documents-search", "<script>window.hit ALERT(1)")
        page.wait_for_timeout(300)
        found = page.evaluate(shown)
        assert found > 0 and page.inner_text("#documents-found").startswith(f"{found} of ")
        page.fill("#documents-search", "")
        page.wait_for_timeout(300)
        assert page.evaluate(shown) == 0 and page.inner_text("#documents-found") == ""
        link = page.locator("a[href^='#documents-']").first
        link.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        assert page.evaluate("document.querySelector(location.hash).open") is True
        page.fill("#domains-search", "copy.example")
        page.wait_for_timeout(300)
        assert page.inner_text("#domains-found").startswith("1 of ")


def test_a_page_is_read_without_script(browser, made):
    with Seen(browser, made["run"], script=False) as seen:
        assert seen.page.locator(".search").first.is_hidden()
        part = seen.page.locator("#documents summary").first
        part.click()
        assert seen.page.locator("#documents details details").first.is_visible()
