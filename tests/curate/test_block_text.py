"""What the blocks of a page look like as text: nothing that they say is lost, changed, glued or torn."""

import random
import time
from pathlib import Path

import pytest

from curate.document import Document
from curate.extract.blocks.covered import covered
from curate.extract.blocks.segment import segment
from curate.extract.blocks.text import rendered
from curate.extract.extract import Extract

CASES = Path(__file__).parents[3] / "shared" / "cases"


def text(html: str, **options) -> str:
    page = segment(html)
    return rendered(page, range(len(page.begins)), **options)


TEX = '<annotation encoding="application/x-tex">{\\displaystyle E=mc^{2}}</annotation>'
WIKIPEDIA = (
    f'<span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: none;"><math><semantics><mi>E</mi>{TEX}'
    '</semantics></math></span><img class="mwe-math-fallback-image-inline" alt="{\\displaystyle E=mc^{2}}">'
)
KATEX = (
    f'<span class="katex"><span class="katex-mathml"><math><semantics><mi>E</mi>{TEX}</semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span>E</span>=<span>mc</span><span>2</span></span></span>'
)


@pytest.mark.parametrize(
    ("html", "said"),
    [
        # Superscripts: exponents, ordinals, notes.
        ("6.02×10<sup>23</sup> and 2<sup>10</sup> bytes", "6.02×10^23 and 2^10 bytes"),
        ("3×10<sup>-4</sup> km<sup>3</sup>, 10<sup>−19</sup>", "3×10^-4 km^3, 10^−19"),
        ("x<sup>n+1</sup>, 2<sup>2<sup>3</sup></sup>, 10<sup><b>5</b></sup>", "x^(n+1), 2^(2^3), 10^5"),
        ("2<sup> 10 </sup>bytes", "2^10 bytes"),
        ("the 1<sup>st</sup>, XX<sup>e</sup> siècle, M<sup>me</sup>, n<sup>o</sup>", "the 1st, XXe siècle, Mme, no"),
        ("R<sup>d</sup>, e<sup>x</sup>", "R^d, e^x"),
        ("in 1990<sup><a href='#n3'>3</a></sup>, 80<a href='#n4'><sup>4</sup></a>", "in 1990[3], 80[4]"),
        ("word<sup class=reference><a href='#c'>[2]</a></sup> Brand<sup>®</sup>", "word[2] Brand®"),
        ("<sup>1</sup> A note.", "1 A note."),
        ("10 <sup>23</sup> and x <sup>n</sup>", "10 ^23 and x n"),
        (
            "Tickets<br><sub>Photo by Ann,</sub> <sup>use the code</sup> <b><sub>SPRING</sub></b>",
            "Tickets\nPhoto by Ann, use the code SPRING",
        ),
        ("<b><sub>SPRING</sub></b><sub> at the checkout</sub>", "SPRING at the checkout"),
        # Subscripts.
        ("x<sub>1</sub> + x<sub>2</sub>, 100<sub>2</sub>, log<sub>10</sub>", "x_1 + x_2, 100_2, log_10"),
        ("H<sub>2</sub>O, Ca(OH)<sub>2</sub>, (CO<sub>2</sub>)", "H2O, Ca(OH)2, (CO2)"),
        # Formulas.
        (f"<math><semantics><mi>E</mi>{TEX}</semantics></math> says", "$E=mc^{2}$ says"),
        (f"{WIKIPEDIA} says", "$E=mc^{2}$ says"),
        (f"{KATEX} says", "$E=mc^{2}$ says"),
        ('<math display="block" alttext="a&lt;b"><mi>a</mi></math>', "$$a<b$$"),
        ("<math><mn>1.33</mn><mo>×</mo><msup><mn>10</mn><mn>-4</mn></msup></math>", "1.33×10^-4"),
        ("<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac></math>", "(a+b)/2"),
        ("<math><msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup><msqrt><mn>2</mn></msqrt></math>", "x_i^2√2"),
        ("<math><mi>sin</mi><mo>\u2061</mo><mi>x</mi></math>, <math><mn>2</mn><mi>x</mi></math>", "sin x, 2x"),
        ("<math><mtable><mtr><mtd>1</mtd><mtd>0</mtd></mtr><mtr><mtd>0</mtd></mtr></mtable></math>", "[1, 0; 0]"),
        ('<script type="math/tex">x^2</script> says', "\\(x^2\\) says"),
        ('<script type="Math/TeX">x^2</script> says', "\\(x^2\\) says"),
        ('<script type="application/LD+JSON">{"name": "x"}</script>it says', "it says"),
        ('<img class="latex" alt="a^2"> says', "$a^2$ says"),
        # What elements within the line say.
        ("on <time datetime=1648-10-24>24 October 1648</time> in", "on 24 October 1648 in"),
        ("on <time datetime=1648-10-24></time> in", "on 1648-10-24 in"),
        ("said <q>no, <q>never</q></q> and left", "said \"no, 'never'\" and left"),
        ("the <abbr title='World Health Organization'>WHO</abbr>s", "the WHOs"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>を", "漢字を"),
        ("price <del>100</del><ins>80</ins>, <s>old</s>new", "price 100 80, old new"),
        ('fine <img class="emoji" alt="😀">, a<img src=x>b, c<img src=x>.', "fine 😀, a b, c."),
        ("long<wbr>word, soft&shy;hyphen, <b>a</b>b<i>c</i>", "longword, softhyphen, abc"),
        ("a&nbsp;b\n  c\td", "a b c d"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("می\u200cتوان 👩\u200d💻 \u200fعربي\u200e.", "می\u200cتوان 👩\u200d💻 \u200fعربي\u200e."),
        ("one<br>two<br><br>three", "one\ntwo\nthree"),
        # What is not seen.
        ("<span hidden>no</span><span style='display:none'>no</span>yes<template>no</template>", "yes"),
        ("the <a href=x>mill<span class='sr-only'> (opens in a new tab)</span></a>", "the mill"),
        ("<i aria-hidden=true class='a hidden-xs'>yes</i>", "yes"),
    ],
)
def test_a_line_says_what_the_page_says(html, said):
    assert text(f"<p>{html}</p>") == said


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ("<h2>Use<a class=headerlink href=#use title=P>¶</a></h2>", "Use"),
        ("<h2><a class=anchor href=#use>#</a> Use</h2><h3><a href=#b>§</a>Rust</h3>", "Use\nRust"),
        ("<h2>Use<a class='hash-link' href=#u>Permalink to this headline</a></h2>", "Use"),
        ("<h2><a class=header href=#c>C</a></h2><h2><a class=anchor href=#l>Links</a></h2>", "C\nLinks"),
        ("<h2>Otter<span class='mw-editsection'>[<a href=e>edit</a>]</span></h2>", "Otter"),
        ("<p>See <a href=#s5>§</a> 5 of C<a href=x#y>#</a>.", "See § 5 of C#."),
        ("<p>a</p><p>b<div>c<span>d</span></div>e", "a\nb\ncd\ne"),
        # Lists.
        ("<ul><li>a<ul><li>b<li>c</ul><li>• d</ul>", "- a\n  - b\n  - c\n- d"),
        ("<ol start=3><li>x<p>y</p><li>4. z</ol>", "3. x\n  y\n4. z"),
        ("<ol reversed><li>p<li value=9>q</ol>", "2. p\n1. q"),
        ("<ul><li><article><h3>One</h3><p>a</p></article><li><h3>Two</h3><p>b</p></ul>", "One\na\nTwo\nb"),
        ("<dl><dt>Weight<dd>9 kg<dt>f(x: int)<dd>Says it.</dl>", "Weight: 9 kg\nf(x: int)\nSays it."),
        ("<dl><dt>A<dt>B<dd>one<p>two</p></dl>", "A\nB\none\ntwo"),
        # Code.
        ("<pre>def f():\n    return 1\n\n\nx = 2\n</pre>", "def f():\n    return 1\n\n\nx = 2"),
        ("<pre><code><span class=lineno>1</span>a\n<span class=lineno>2</span>  b</code></pre>", "a\n  b"),
        ("<pre><div>a</div><div>  b</div></pre>", "a\n  b"),
        ("<div style='white-space: pre-wrap'>a\n  b</div>", "a\n  b"),
        ("<table><tr><td class=linenos><pre>1\n2</pre><td class=code><pre>a\n b</pre></table>", "a\n b"),
        # Tables of data, and those that arrange a page.
        ("<table><tr><th>a<th>b<tr><td>1<td>2<br>3</table>", "| a | b |\n| 1 | 2 3 |"),
        (
            "<table><tr><th>a<th>b<th>c<tr><td rowspan=2>1<td>2<td>3<tr><td>4<td>5<tr><td colspan=2>6<td>7</table>",
            "| a | b | c |\n| 1 | 2 | 3 |\n|  | 4 | 5 |\n| 6 |  | 7 |",
        ),
        ("<table><tr><td>k<td>v<tr><td>k2<td></table>", "| k | v |\n| k2 |  |"),
        ("<table><tr><td>a<br>b<td>c</table>", "a\nb\nc"),
        ("<table><tr><td>a<tr><td>b</table>", "a\nb"),
        ("<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>", "a\nb\nc\nd"),
        ("<table><tr><td>n<td><table><tr><th>a<th>b<tr><td>1<td>2</table></table>", "n\n| a | b |\n| 1 | 2 |"),
        ("<table><tr><td>n<td><p>a<p>b<p>c<tr><td>m<td><h2>d</h2><p>e</table>", "n\na\nb\nc\nm\nd\ne"),
    ],
)
def test_a_page_has_the_lines_that_it_shows(html, said):
    assert text(f"<body>{html}") == said


def test_captions_and_tables_are_left_out_by_a_switch():
    html = "<figure><img><figcaption>F</figcaption></figure><table><caption>C<tr><th>a<th>b<tr><td>1<td>2</table><p>x"
    assert text(html) == "F\nC\n| a | b |\n| 1 | 2 |\nx"
    assert text(html, captions=False) == "| a | b |\n| 1 | 2 |\nx"
    assert text(html, tables=False, captions=False) == "x"


def test_markdown_has_marks_of_headings_code_lists_and_links_by_a_switch():
    html = """<h1>The <code>mill</code></h1><p>It <a href="/a (b)">ground</a> barley<sup>2</sup>.</p>
<ul><li>a<ol><li>b</li></ol></li></ul><pre><code class="language-python">x = 1
```</code></pre><blockquote><p>said</p></blockquote><table><tr><th>a<th>b|<tr><td>1<td>2</table>"""
    assert text(html, markdown=True, links=True) == (
        "# The `mill`\n\nIt [ground](/a%20%28b%29) barley^2.\n\n- a\n  1. b\n\n````python\nx = 1\n```\n````\n\n"
        "> said\n\n| a | b\\| |\n| --- | --- |\n| 1 | 2 |"
    )
    assert "ground barley^2" in text(html, markdown=True)
    assert "It ground (/a%20%28b%29) barley" in text(html, links=True)


def test_only_the_chosen_blocks_are_text_and_rows_stay_whole():
    page = segment("<p>a</p><table><tr><th>n<th>m<tr><td>1<td>2<tr><td>3<td>4</table><ol><li>x<li>y</ol>")
    assert rendered(page, [1, 2, 4, 8]) == "| n | m |\n| 1 | 2 |\n2. y"
    assert rendered(page, []) == ""


PROSE = "The harbour was quiet that morning, and the boats lay still at the quay until noon. "


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
def test_what_another_extractor_chose_is_written_alike(engine):
    page = (
        f"<html><body><ul><li><a href=/>Harbour</a></li></ul><article><h1>Harbour</h1><p>{PROSE * 3}</p>"
        "<p>It was signed on <time>24 October 1648</time> by 10<sup>23</sup> people of the town, <q>and by more</q>."
        f"<p>{PROSE * 2}</p><table><tr><th>Function</th><th>Error</th></tr>"
        "<tr><td>Elliptic</td><td><math><mn>0.27</mn></math></td></tr>"
        f"<tr><td>Gamma function</td><td>None that is known</td></tr></table><p>{PROSE * 2}</p></article></body></html>"
    ).encode()
    step = Extract(engine=engine, serialisation="blocks")
    step.open()
    (document,) = step.apply([Document(key="k", html=page)])
    assert isinstance(document, Document)
    assert 'It was signed on 24 October 1648 by 10^23 people of the town, "and by more".\n' in document.text
    assert "| Gamma function | None that is known |" in document.text
    assert document.text.count("Harbour") == 1
    if engine == "trafilatura":
        assert "| Elliptic | 0.27 |" in document.text


def test_of_a_text_that_says_a_thing_once_one_block_is_found():
    page = segment(f"<p>{PROSE}</p><p>{PROSE}</p><p>a</p><table><tr><th>n<th>m<tr><td>{PROSE}<td>x</table><p>y")
    assert covered(page, PROSE) == [0]
    assert covered(page, PROSE * 2 + "\na\n" + PROSE) == [0, 1, 2, 5]
    assert covered(page, "") == covered(page, "none of these words") == []
    assert covered(segment("<p>東京の天気は晴れです。<p>大阪"), "東京の天気は晴れです。") == [0]


@pytest.mark.skipif(not CASES.is_dir(), reason="the handed cases are not there")
@pytest.mark.parametrize(
    ("name", "held", "never"),
    [
        ("E01-superscript", ["6.02×10^23", "2^10 bytes", "100^2 = 10000", "km^2", "3×10^-4 km^3"], ["×1023", "210 b"]),
        ("E02-time-element", ["was signed on 24 October 1648 in the hall of the town, and on 15 May of that year"], []),
        (
            "E03-joiners",
            ["می\u200cتوان", "کتاب\u200cهای", "خانه\u200cها", "👩\u200d💻", "👨\u200d👩\u200d👧", "श्री\u200dमान"],
            [],
        ),
        ("E04-layout-table", ["for himself.\nIn the second year", "as well.\nWhen the", "for it.\nThe house"], ["|"]),
        (
            "E05-plain-page",
            ["The otter of the northern rivers\n", "What it eats", "Crabs and frogs", "Weight: About"],
            [],
        ),
        ("E06-section-id", ["\nPreserving tags\n", "\nRelated work\n", "\nHidden Markov models\n"], []),
        ("E07-nested-divs", ["A sluice way (SW for short)", "\nWithout further work"], []),
        ("E09-mathml-table", ["| Elliptic | 1.33×10^-4 |", "| Gamma | 0.27 |"], []),
        (
            "E11-q-element",
            ['He said "the water is too low" and left the room, and the others said "it will rise" and'],
            [],
        ),
        ("E13-single-table-fragment", ["The mill\nThe first", "\nIn the second", "\nWhen the", "\nThe house"], ["|"]),
        ("E14-pilcrow", ["\nUse of the wheel\n"], ["¶"]),
        ("E16-resiliparse", ["漢字を学ぶ人は", "- Fish of the river", "- Crabs and frogs"], ["かん"]),
    ],
)
def test_the_handed_pages_have_their_right_text(name, held, never):
    said = text((CASES / f"{name}.html").read_text(encoding="utf-8"))
    assert [part for part in held if part not in said] == []
    assert [part for part in never if part in said] == []


GROWING = {
    "inline": lambda n: "<p>" + "<i>a</i> " * n,
    "nested inline": lambda n: "<p>" + "<sup>a" * n,
    "unclosed hidden": lambda n: "<p>" + "<span hidden>a" * n,
    "unclosed hidden siblings": lambda n: "<p>" + "<span>a</span><i hidden>b</i>" * n,
    "long base": lambda n: "<p>" + ("word " * 40 + "<sup>2</sup>") * (n // 20),
    "formulas": lambda n: "<p>" + "<math><msup><mi>x</mi><mn>2</mn></msup></math>" * (n // 3),
    "deep formula": lambda n: "<p><math>" + "<mrow><mi>x</mi>" * n,
    "deep divs": lambda n: "<div>a" * (n // 4),
    "rows": lambda n: "<table><tr><th>a<th>b" + "<tr><td>a<td rowspan=50 colspan=50>b" * (n // 4),
    "nested tables": lambda n: "<table><tr><td>a<td>b" * (n // 8),
    "nested lists": lambda n: "<ol reversed><li>a" * (n // 8),
    "reversed lists": lambda n: "<ol reversed><li>a</ol>" * (n // 4),
    "one item": lambda n: "<ul><li>" + "<p>a</p>" * n,
    "spaces": lambda n: "<p>a" + " " * 40 * n + "b",
    "attributes": lambda n: "<p><span " + " ".join(f'a{i}="b"' for i in range(n)) + ">a</span>",
    "breaks": lambda n: "<p>" + "a<br>" * n,
    "links": lambda n: "<p>" + '<a href="#x">¶</a>' * n,
    "quotes": lambda n: "<p>" + "<q>a" * n,
    "code": lambda n: "<pre>" + "<div>a</div>" * n,
    "definitions": lambda n: "<dl>" + "<dt>a<dd>b" * (n // 2),
}


@pytest.mark.parametrize("kind", GROWING)
def test_time_grows_as_the_page_does(kind):
    """Twice the elements, about twice the time: sixteen times as many take less than eighty times as long."""

    def seconds(elements: int) -> float:
        page = segment(GROWING[kind](elements))
        blocks = range(len(page.begins))
        took = []
        for _ in range(3):
            started = time.process_time()
            rendered(page, blocks, markdown=True, links=True)
            took.append(time.process_time() - started)
        return min(took)

    few, many = seconds(400), seconds(6400)
    assert many < max(80 * few, 0.05), f"{few * 1000:.2f} ms, {many * 1000:.2f} ms"


def test_mutated_pages_are_rendered_without_a_crash():
    """tests/bench/block_fuzz.py, in short: a seed, and pages that are made here."""
    import block_fuzz

    found = block_fuzz.trial(block_fuzz.made_pages(random.Random(5)), seed=5, trials=60)
    assert found["crashes"] == []
    assert found["slowest_ms"] < 2000
