"""Every kind of page, made by the commands from a small corpus in which everything that a crawl decides is an attack.

`python tests/look/look_pages.py FOLDER` writes them, and pictures of them at each width, light and dark.
"""

from __future__ import annotations

import json
import random
import sys
import warnings
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from recipes.app.cli import app
from recipes.app.report.comparison import comparison_page
from recipes.app.report.sweep import sweep_page
from train_probe.figures import write_results

WIDTHS = (390, 768, 1280)
SCHEMES = ("light", "dark")

ATTACKS = (
    "<script>window.hit = 1; alert(1)</script>",
    "</script><script>window.hit = 1</script>",
    "</style><img src=x onerror='window.hit = 1'>",
    "\"><svg onload='window.hit = 1'>",
    "' autofocus onfocus='window.hit = 1' x='",
    "</blockquote></details></main><iframe src='javascript:parent.hit = 1'></iframe>",
    "</title></head><body onload='window.hit = 1'>",
    "<a href='javascript:window.hit = 1'>x</a>",
    "<!-- --!> <base href='http://127.0.0.1:9/'> <meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "{{ 7 * 7 }} {% include 'page.css' %} ${alert(1)}",
    "<h2>an owned heading</h2>",
    "\u202egnp.exe\u202c \u2066x\u2069 \x1b[31mred\x1b[0m \x00 \ufeff \ud83d\ude00",
    "W" * 3_000,
    "\u0e01\u0e33" * 400 + "\u0300" * 400,
)
"""Markup, handlers, closing tags, templates, direction marks, and text that no line breaks."""

WORDS = ["river", "cloud", "stone", "amber", "birch", "cedar", "delta", "ember", "frost", "grove", "the", "of", "and"]


def sentences(random: random.Random, count: int) -> str:
    """Sentences that pass the rules."""
    lines = []
    for _ in range(count):
        lines.append(" ".join(random.choice(WORDS) for _ in range(12)).capitalize() + ".")
    return "\n".join(lines)


def corpus(folder: Path) -> Path:
    """Pages as JSON lines: sound ones, short ones, copies, near-copies, one with a test item; attacks everywhere."""
    draw, rows = random.Random(3), []
    for number in range(70):
        attack = ATTACKS[number % len(ATTACKS)]
        text = f"{sentences(draw, 14 if number % 3 else 2)}\n{attack}\n{sentences(draw, 8 if number % 3 else 0)}"
        url = f"https://{'a' * (number % 5 + 1)}.example/{attack[:200]}/{number}"
        rows.append({"id": f"{attack[:60]}-{number}", "url": url, "text": text, "language": attack[:40]})
    rows += [{**rows[1], "url": f"https://copy.example/{attack[:300]}"} for attack in ATTACKS[:3]]
    near = rows[4]["text"].replace("river", "<b>stream</b>", 3)
    rows.append({**rows[4], "text": near, "url": "https://near.example/'\"><script>window.hit=1</script>"})
    rows.append({**rows[5], "text": f"{rows[5]['text']}\n{QUESTION}", "url": "https://leak.example/"})
    path = folder / "pages <b>.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8", errors="surrogatepass")
    return path


QUESTION = (
    "Which <i>lighthouse</i> keeper fills seven lamps with three litres of oil each evening"
    " <script>window.hit=1</script> in March?"
)

RECIPE = """
name: attack
inputs: [{name: web, path: "pages <b>.jsonl"}]
steps:
  - gopher_quality: {min_words: 60}
  - fineweb
  - exact_dedup
  - minhash_dedup
  - decontaminate: {questions: "questions.jsonl"}
output:
  tokenizer: {kind: bpe, size: 300}
  tokens: {plain: {domain: none}}
"""


def results() -> list[dict[str, Any]]:
    """A probe's results: arms by exposures and seeds, one of them failed."""
    draw, rows = random.Random(1), []
    arms = {"facts alone": 30, ATTACKS[0]: 120, f"{ATTACKS[3]} {'long name ' * 8}": 60, "W" * 120: 50}
    for arm, half in arms.items():
        for exposures in (12, 24, 48, 96):
            for seed in (0, 1, 2):
                share = min(1 / (1 + (half / exposures) ** 3) * (1 + draw.gauss(0, 0.06)), 1.0)
                bits = [{"name": f"<b>v{n}", "bits": 2400 * share * (0.7 + n / 10), "most": 2400.0} for n in range(4)]
                rows.append({
                    "arm": arm, "exposures": exposures, "seed": seed, "learning_rate": 0.016, "tag": "useful",
                    "tag_at_test": True, "tag_leak": 0.1 if half == 60 else 0.0, "junk_kind": "endless",
                    "junk_ratio": 0.5, "parameters": 76_960, "people": 400, "tokens": 540_000, "seconds": 52.7,
                    "shards": ["ab" * 32], "value_bits_per_parameter": 0.187 * share,
                    "bits_per_parameter": 0.22 * share,
                    "max_bits_per_parameter": 0.225, "max_value_bits_per_parameter": 0.187, "attributes": bits,
                    "quantized": {"8": {"value_bits_per_parameter": 0.18 * share}},
                })  # fmt: skip
    return [*rows, {"arm": ATTACKS[1], "seed": 3, "exposures": 12, "people": 400, "error": ATTACKS[2]}]


def comparison() -> dict[str, Any]:
    """A comparison by facts whose answers are known, with attacks as names of arms."""
    import dataclasses

    sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))
    import test_compare as known

    names = [ATTACKS[0], "W" * 90, "three"]
    arms = (known.ONE, *(known.arm(name, against="one") for name in names))
    middles = known.MIDDLES | dict(zip(names, (14.0, 26.0, 20.5), strict=True))
    asked = dataclasses.replace(known.ASKED, exposures=(5, 7, 10, 14, 20, 28, 40, 56))
    return known.decided(known.trainer(middles, noise=0.06), asked, arms) | {"reading": None}


def run(*words: str | Path) -> None:
    """A command of goldsand, which succeeds."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == 0, (words, done.output, done.exception)


def make_pages(folder: Path) -> dict[str, Path]:
    """Every kind of page by its name."""
    warnings.simplefilter("ignore")
    corpus(folder)
    (folder / "questions.jsonl").write_text(json.dumps({"question": QUESTION, "answer": ATTACKS[0]}) + "\n")
    (folder / "attack.yaml").write_text(RECIPE)
    runs = folder / "runs"
    for name, more in (("first", []), ("<b>second", ["--set", "gopher_quality.min_words=300"])):
        run("run", folder / "attack.yaml", "-o", runs / name, "--workers", 1, *more)
    run("profile", folder / "attack.yaml", "-o", runs / "profile", "--workers", 1)
    (runs / "probe").mkdir()
    write_results(runs / "probe", results())
    run("report", runs / "probe")
    (runs / "damaged").mkdir()
    (runs / "damaged" / "summary.json").write_text("{")
    pages = {name: folder / f"{name}.html" for name in ("run", "folder", "difference", "comparison", "probe", "rung")}
    run("report", runs / "first", "--profile", runs / "profile", "--probe", runs / "probe", "-o", pages["run"])
    run("report", runs, "-o", pages["folder"])
    run("diff", runs / "first", runs / "<b>second", "-o", pages["difference"])
    pages["comparison"].write_text(comparison_page(comparison()))
    pages["probe"].write_text(sweep_page(ATTACKS[0], results()))
    pages["rung"].write_text(sweep_page("one rung", [row for row in results() if row["exposures"] == 48]))
    points = ["parameters,tokens,loss"]
    for size in (1e6, 3e6, 1e7, 3e7):
        points += [f"{size},{tokens},{1.8 + 480 / size**0.35 + 2100 / tokens**0.37}" for tokens in (1e8, 4e8, 2e9)]
    (folder / "<b>points.csv").write_text("\n".join(points))
    run("fit", folder / "<b>points.csv", "--budget", "1e20", "--draws", 20, "-o", folder / "fit")
    return pages | {
        "run as it is": runs / "first" / "report.html",
        "profile": runs / "profile" / "report.html",
        "fit": folder / "fit" / "report.html",
    }


def picture(browser: Any, page: Path, width: int, scheme: str, place: Path) -> None:
    """A picture of a whole page."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    shown = context.new_page()
    shown.goto(page.as_uri(), timeout=120_000)
    shown.screenshot(path=str(place), full_page=True, timeout=240_000)
    context.close()


def main(folder: Path, pages: dict[str, Path]) -> None:
    """Pictures of pages into a folder, `NAME-WIDTH-SCHEME.png`."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name, page in pages.items():
            for width in WIDTHS:
                for scheme in SCHEMES:
                    picture(browser, page, width, scheme, folder / f"{name.replace(' ', '-')}-{width}-{scheme}.png")
        browser.close()


def chromium() -> str | None:
    """Where Chromium is; None where there is none."""
    import shutil

    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    given = {path.parent.name: path for path in map(Path, sys.argv[2:])}
    where.mkdir(parents=True, exist_ok=True)
    main(where, given or make_pages(where / "made"))
