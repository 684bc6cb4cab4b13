"""The documentation's site: every page is in its navigation, it builds strictly, and it asks no other host. The
generated reference: nothing is without words, and all that the pages show to import is in it."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from pages import blocks

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("make_site", ROOT / "docs" / "make_site.py")
make_site = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_site)

FOUND = make_site.pages()
_, NAMED = make_site.navigation((ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8"), list(FOUND))


def test_every_page_is_in_the_navigation():
    written = {place for place in FOUND if place.endswith(".md")}
    assert written - set(NAMED) == set(), "add one line for each to `nav` in docs/zensical.toml"
    assert set(NAMED) - written - set(make_site.GENERATED) == set(), (
        "`nav` in docs/zensical.toml names what is not there"
    )
    assert len(NAMED) == len(set(NAMED))


def test_every_page_has_one_title():
    for place, path in FOUND.items():
        if place.endswith(".md"):
            text = make_site.FENCES.sub("", path.read_text(encoding="utf-8"))
            assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, f"{place}: a page begins with one line `# Title`"


def test_links_fit_the_place_of_a_page(tmp_path):
    page, other = ROOT / "docs" / "a.md", ROOT / "CONTRIBUTING.md"
    at = {page: "a.md", other: "contributing.md"}
    text = "[b](../CONTRIBUTING.md#c) [`setup.py`](../setup.py) [d](../setup.py) [e](https://e.example) ![f](../x.png)"
    assert make_site.relinked(text, "deep/a.md", page, at, "") == (
        "[b](../contributing.md#c) `setup.py` d (`setup.py`) [e](https://e.example) f (`x.png`)"
    )
    assert "[d](https://h.example/r/blob/main/setup.py)" in make_site.relinked(
        text, "a.md", page, at, "https://h.example/r"
    )
    fenced = "```text\n[b](../CONTRIBUTING.md)\n```\n"
    assert make_site.relinked(fenced, "deep/a.md", page, at, "") == fenced


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = ("curate", "synth", "train_probe", "recipes", "goldsand")


@pytest.fixture(scope="module")
def reference():
    pytest.importorskip("scipy")
    pytest.importorskip("torch")
    return make_site.reference()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, reference) -> Path:
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("Zensical is not installed (the extra dev brings it)")
    folder = tmp_path_factory.mktemp("site")
    make_site.make(folder / "build", folder / "published", "9.9")
    return folder / "published"


def test_the_site_builds_strictly_with_search_and_versions(site):
    page = (site / "9.9" / "reference" / "steps.html").read_text(encoding="utf-8")
    assert "gopher_quality" in page and "min_stop_words" in page
    assert (site / "9.9" / "search.json").stat().st_size > 100_000
    assert (site / "latest" / "index.html").is_file() and '"version": "9.9"' in (site / "versions.json").read_text()
    assert '"provider":"mike"' in page.replace(" ", "")


def test_a_page_asks_no_other_host(site):
    asked = set()
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        asked |= set(re.findall(r"<(?:script|img|iframe|source)[^>]*\bsrc=\"?(https?:[^\" >]+)", text))
        asked |= set(re.findall(r"<link[^>]*\bhref=\"?(https?:[^\" >]+)", text))
    for path in site.rglob("*.css"):
        asked |= set(re.findall(r"(?:@import|url\()\s*[\"']?(https?:[^\"') ]+)", path.read_text(encoding="utf-8")))
    assert asked == set()


def test_a_dead_link_ends_the_build(site, tmp_path):
    build = tmp_path / "build"
    (build / "source").mkdir(parents=True)
    (build / "source" / "index.md").write_text("# A\n\n[b](missing.md)\n")
    config = (ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8")
    (build / "zensical.toml").write_text(re.sub(r"(?s)^nav = \[.*?^\]\n", "", config, flags=re.MULTILINE))
    with pytest.raises(SystemExit, match="does not exist"):
        make_site.build_site(build)


def test_no_step_key_command_option_or_function_is_undocumented(reference):
    assert reference.undocumented() == [], "give each of these a description, a help text or a docstring"


def test_every_step_command_and_key_is_on_its_page(reference):
    headings = {name: set(re.findall(r"^## (.+)$", page(), re.MULTILINE)) for name, page in reference.PAGES.items()}
    assert set(reference.OWN) <= headings["steps"]
    assert {words for words, _ in reference.commands()} <= headings["commands"]
    assert {place for place, _ in reference.parts_of_a_recipe() if place} <= headings["recipes"]
    assert {"goldsand index build", "goldsand synth people"} <= headings["commands"]
    assert {"inputs[]", "output.tokens.NAME", "engine.ray", "probe.arms[]", "compare[]"} <= headings["recipes"]
    commands = reference.command_page()
    assert "`--set` `KEY=VALUE`" in commands and "`same-budget\\|same-compute\\|own-size`" in commands


def imported(source: str) -> set[tuple[str, str]]:
    """(module, name) of what a block of Python takes from goldsand."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES
        for alias in node.names
    }


ELSEWHERE = ("curate.filters", "curate.adapters.datatrove", "recipes.app.recipe.load")
"""Classes of steps, which the page of steps has; what needs a library whose pins differ; what a page only mentions."""


def test_what_pages_show_to_import_is_in_the_reference(reference):
    shown = set()
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language == "python" and page.parent.name != "results":
                shown |= imported(block.text)
    there = {(module, name) for module, name, _ in reference.public()}
    there |= {("goldsand", name) for name in reference.module_of("goldsand").__all__}
    assert {one for one in shown - there if one[0] not in ELSEWHERE} == set(), (
        "add these to PUBLIC of make_reference.py"
    )
