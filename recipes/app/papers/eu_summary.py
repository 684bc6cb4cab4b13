"""The public summary of training content that Article 53(1)(d) of the EU's AI Act asks of providers of general-purpose
models, as far as one corpus can fill it in.

The parts are those of the Commission's template (C(2025) 8311 final, 5 December 2025); where its exact words were not
at hand a line says "unverified". A run knows its corpus, not the model, its provider, or other data: such fields are
named gaps for a person to fill in, and nothing is estimated.
"""

from __future__ import annotations

from recipes.app.papers.about import About
from recipes.app.papers.hub_card import plain_line

_RANGES = ((10**9, "less than 1 billion tokens"), (10**13, "1 billion to 10 trillion tokens"))
"""Of the form, for text; unverified."""
TOP = 0.1
"""The share of domains that is listed. Small and medium firms: 5 %, or 1,000 domains."""
MOST = 5_000


def gap(what: str) -> str:
    return f"**[to be filled in: {what}; a run cannot know it]**"


def eu_summary(about: About) -> str:
    """The content of eu-summary.md."""
    return "\n".join([*_general(about), *_sources(about), *_processing(about), *_gaps()]) + "\n"


def _general(about: About) -> list[str]:
    counted = about.counted
    kinds = ", ".join(f"{plain_line(name)} {count:,}" for name, count in counted.kinds.most_common() if name)
    languages = ", ".join(f"{plain_line(name)} {count:,}" for name, count in counted.languages.most_common(20) if name)
    tokens = ", ".join(f"{plain_line(name)} {count:,}" for name, count in about.summary["tokens"].items())
    most = max(about.summary["tokens"].values(), default=0)
    size = next((words for limit, words in _RANGES if most < limit), "more than 10 trillion tokens")
    return [
        f"# Summary of training content: the part of the corpus {plain_line(about.name)}",
        "",
        "Template: Article 53(1)(d) of Regulation (EU) 2024/1689, C(2025) 8311 final. Field names follow a digest of it"
        " (unverified): compare them with the official form before publication.",
        "",
        "## 1. General information",
        "",
        f"- Provider: {gap('name, contact, authorised representative')}",
        f"- Model: {gap('name, version, date of placing on the market, model it depends on')}",
        "- Modalities of this corpus: text",
        f"- Size of the text: {counted.bytes:,} bytes in {counted.documents:,} documents",
        "- Range of sizes: "
        + (f"{size} ({tokens}; ranges unverified)" if tokens else gap("tokens, by the tokenizer of the model")),
        f"- Latest date of acquisition: {counted.last or gap('the records carry no date')}",
        f"- Kinds of text, as pages state them (documents): {kinds or gap('no page states one')}",
        f"- Languages (documents): {languages or gap('no step or page names one')}",
        f"- Other training data of the model: {gap('everything outside this corpus')}",
    ]


def _sources(about: About) -> list[str]:
    counted = about.counted
    lines = ["", "## 2. Data sources", "", "### 2.1 Publicly available data sets", ""]
    inputs = [one for one in about.recipe.get("inputs") or () if isinstance(one, dict)]
    hub = [one for one in inputs if str(one.get("path", "")).startswith("hf://") or one.get("format") == "hub"]
    lines += [f"- {plain_line(one.get('name'))}: {plain_line(one.get('path'))}" for one in hub]
    lines += [f"- {gap('which of the inputs below are published data sets')}"] if not hub else []
    lines += ["", "### 2.2 Private data sets", "", f"- {gap('which inputs are licensed or otherwise private')}"]
    lines += ["", "### 2.3 Data crawled and scraped from online sources", ""]
    lines += [
        f"- Input {plain_line(name)}: {size:,} bytes of text kept" for name, size in counted.sources.most_common()
    ]
    lines += [
        f"- Crawlers: {gap('name, operator, purpose and behaviour of each crawler')}",
        f"- Period: {f'{counted.first} to {counted.last}' if counted.first else gap('the records carry no date')}",
    ]
    named = [(name, size) for name, size in counted.domains.most_common() if name and size]
    top = named[: min(MOST, max(1, round(len(named) * TOP)))]
    if not named:
        lines.append(f"- Most relevant domains: {gap('the documents carry no address')}")
    else:
        lines += [
            f"- Most relevant domains: the top {TOP:.0%} of {len(named):,} by bytes of text"
            + (f", of which the first {MOST:,} are listed" if len(top) == MOST else "")
            + " (share of the form unverified):",
            "",
            "| domain | bytes of text |",
            "|---|---|",
            *(f"| {plain_line(name)} | {size:,} |" for name, size in top),
        ]
    lines += ["", "### 2.4 User data", "", f"- {gap('whether data of users of the provider was used')}"]
    lines += ["", "### 2.5 Synthetic data", ""]
    if about.facts:
        lines.append(
            f"- {counted.injected:,} documents with made-up facts, drawn by goldsand from lists of words (kind"
            f" {plain_line(about.facts.get('kind', ''))})"
        )
        lines += [f"- Texts rewritten by the model {plain_line(name)}" for name in about.rewritten]
    else:
        lines.append("- This run added none.")
    lines.append(f"- {gap('whether the inputs themselves hold synthetic text, and of which models')}")
    return lines


def _processing(about: About) -> list[str]:
    lines = ["", "## 3. Data processing", "", "### 3.1 Reservation of rights (text and data mining)", ""]
    asked = about.uses("rights")
    if not asked:
        lines.append("- No step of this run looked for reservations of rights.")
    for given in asked:
        what = given["on_opt_out"]
        robots = "and robots.txt files that were given" if about.reads_files("rights") else "not robots.txt"
        lines.append(
            "- Before publication each page was asked for X-Robots-Tag, Content-Usage and tdm-reservation headers and"
            f" for tags of the page, {robots}; agents: {plain_line(', '.join(given['agents']))}."
        )
        lines.append(
            "- Pages that refuse were removed."
            if what == "drop"
            else f"- **Pages that refuse were not removed** (`on_opt_out: {what}`)."
        )
    found = about.opt_outs
    lines += [
        f"- {plain_line(name)}: {found.dropped[name]:,} pages ({found.characters[name]:,} characters) removed,"
        f" {found.marked[name]:,} marked and kept"
        for name in sorted({*found.dropped, *found.marked})
    ]
    lines.append(f"- Opt-outs respected when the pages were fetched: {gap('the crawler followed, or not')}")
    lines += ["", "### 3.2 Removal of illegal content", ""]
    looked = [
        step for step in about.summary["steps"] if step["step"].partition("#")[0] in ("safety", "url", "classifier")
    ]
    lines += [f"- `{step['step']}` removed {step['documents_dropped']:,} documents." for step in looked]
    lines += [] if looked else ["- No step of this run looked for it."]
    lines += ["", "### 3.3 Other processing", ""]
    lines += [
        f"- `{step['step']}`: {step['documents_in']:,} documents in, {step['documents_dropped']:,} dropped"
        for step in about.summary["steps"]
    ]
    return lines


def _gaps() -> list[str]:
    return [
        "",
        "A summary is to be updated when further training data is used, at least every six months (unverified).",
    ]
