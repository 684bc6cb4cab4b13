"""A dataset card as the Hugging Face Hub reads it: README.md with YAML in front, and prose written from the run.

The fields are those of hub-docs, datasetcard.md. What a run does not know (annotators, a DOI, what a corpus is for) is
left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.app.papers.about import About

_SIZES = ((10**exponent, word) for exponent, word in ((3, "1K"), (4, "10K"), (5, "100K"), (6, "1M"), (7, "10M")))
_LIMITS = (
    *_SIZES,
    *((10**exponent, word) for exponent, word in ((8, "100M"), (9, "1B"), (10, "10B"), (11, "100B"), (12, "1T"))),
)
_SHOWN = 20
_HUB_LICENCES = (
    *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "mit", "apache-2.0"),
)
"""Licences that the Hub has a name for, of those that are found."""


@dataclass(frozen=True)
class Config:
    """One of the viewers of a repository: which files it shows, their columns, and how much they hold."""

    name: str
    files: str
    features: list[dict[str, Any]]
    rows: int
    bytes: int
    stored: int
    """Bytes of its files."""


def size_category(documents: int) -> str:
    """The Hub's word for a number of rows."""
    below = ""
    for limit, word in _LIMITS:
        if documents < limit:
            return f"{below}<n<{word}" if below else f"n<{word}"
        below = word
    return "n>1T"


def licence_of_all(about: About) -> str:
    """The licence that every document states; empty where one states another or none, since a run knows no other."""
    named = list(about.counted.licences)
    return named[0] if len(named) == 1 else ""


def card(about: About, configs: Sequence[Config]) -> str:
    """The content of README.md."""
    # JSON is YAML, and no text of a crawl can leave its quotation marks.
    head = "\n".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in _fields(about, configs).items()
    )
    return f"---\n{head}\n---\n\n" + "\n".join(_prose(about)) + "\n"


def _fields(about: About, configs: Sequence[Config]) -> dict[str, Any]:
    counted = about.counted
    languages = sorted({code.split("-")[0] for code in counted.languages if code})
    whole = licence_of_all(about).lower()
    whole = whole if whole in _HUB_LICENCES else "other"
    fields: dict[str, Any] = {"pretty_name": about.name}
    if languages:
        fields["language"] = languages
        fields["multilinguality"] = ["monolingual" if len(languages) == 1 else "multilingual"]
    fields["license"] = whole
    if whole == "other":
        fields |= {"license_name": "by-document", "license_link": "README.md"}
    fields |= {
        "tags": ["pretraining", "goldsand", "croissant"],
        "size_categories": [size_category(counted.documents)],
        "source_datasets": ["original"],
        "task_categories": ["text-generation"],
        "task_ids": ["language-modeling"],
        "configs": [
            {"config_name": one.name, "data_files": one.files, **({"default": True} if not place else {})}
            for place, one in enumerate(configs)
        ],
        "dataset_info": [
            {
                "config_name": one.name,
                "features": one.features,
                "splits": [{"name": "train", "num_bytes": one.bytes, "num_examples": one.rows}],
                "download_size": one.stored,
                "dataset_size": one.bytes,
            }
            for one in configs
        ],
    }
    return fields


def _prose(about: About) -> list[str]:
    summary, counted = about.summary, about.counted
    documents, characters = summary["documents"], summary["characters"]
    lines = [
        f"# {plain_line(about.name)}",
        "",
        f"{counted.documents:,} documents, {counted.bytes:,} bytes of text, made by goldsand"
        f" {plain_line(about.made.get('goldsand', ''))}. Of {documents['input']:,} documents that were read,"
        f" {documents['kept']:,} were kept, {documents['dropped']:,} were dropped and"
        f" {documents['unreadable']:,} could not be read; the config `ledger` names each with the reason.",
    ]
    if counted.first:
        lines += ["", f"The records were fetched from {counted.first} to {counted.last}."]
    lines += ["", "## Sources", "", "| source | bytes of text |", "|---|---|"]
    lines += [f"| {plain_line(name)} | {size:,} |" for name, size in counted.sources.most_common()]
    lines += [
        "",
        "## What was done",
        "",
        "| step | documents in | dropped | characters out | why |",
        "|---|---|---|---|---|",
    ]
    for step in summary["steps"]:
        why = ", ".join(f"{rule} {counts['documents']:,}" for rule, counts in step["reasons"].items())
        lines.append(
            f"| {plain_line(step['step'])} | {step['documents_in']:,} | {step['documents_dropped']:,} |"
            f" {step['characters_out']:,} | {plain_line(why)} |"
        )
    lines += ["", f"Edits removed {characters['removed_by_edits']:,} characters of documents that stayed."]
    lines += _duplicates(about) + _contamination(about) + _knowledge(about) + _personal(about) + _rights(about)
    return lines + _limits(about)


def _duplicates(about: About) -> list[str]:
    lines = ["", "## Duplicates", ""]
    steps = [one for one in about.summary["steps"] if "dedup" in one["step"]]
    if not steps:
        return [*lines, "No step removed duplicates."]
    for step in steps:
        lines.append(
            f"- `{step['step']}` dropped {step['documents_dropped']:,} of {step['documents_in']:,} documents and"
            f" removed {step['characters_edited']:,} characters."
        )
    return lines


def _contamination(about: About) -> list[str]:
    lines = ["", "## Contamination", ""]
    if not about.uses("decontaminate"):
        return [*lines, "No step looked for items of benchmarks."]
    if not about.contamination:
        return [*lines, "`decontaminate` found no item of the test sets that it was given."]
    lines += ["| benchmark | items found | documents |", "|---|---|---|"]
    return lines + [
        f"| {plain_line(one['benchmark'])} | {one['found']:,} | {one['documents']:,} |" for one in about.contamination
    ]


def _knowledge(about: About) -> list[str]:
    lines = ["", "## Injected knowledge", ""]
    if not about.facts:
        return [*lines, "No made-up facts were injected."]
    facts = about.facts
    return [
        *lines,
        f"{about.counted.injected:,} documents (`injected` is true) hold made-up facts about"
        f" {facts.get('people', 0):,} entities (kind `{plain_line(facts.get('kind', ''))}`), each shown at most"
        f" {facts.get('exposures', 0)} times. They say nothing about real persons; the config `facts` holds the truth.",
    ]


def _personal(about: About) -> list[str]:
    lines = ["", "## Personal data", ""]
    if not about.uses("redact"):
        return [*lines, "No step looked for personal identifiers: the texts may hold names, addresses and numbers."]
    return [
        *lines,
        "`redact` replaced mail addresses, telephone numbers and the like, as far as their form shows them. Names, and"
        " what a text says about a person, stay.",
    ]


def _rights(about: About) -> list[str]:
    lines = ["", "## Opt-outs and licences", ""]
    asked = about.uses("rights")
    if not asked:
        lines.append("No step looked for opt-outs.")
    for given in asked:
        robots = "robots.txt files that were given" if about.reads_files("rights") else "no robots.txt"
        lines.append(
            "`rights` looked at HTTP headers (X-Robots-Tag, Content-Usage, tdm-reservation), tags of the page, and"
            f" {robots}, for the agents {plain_line(', '.join(given['agents']))}; what refused"
            f" training: {given['on_opt_out']}."
        )
    found = about.opt_outs
    if found.dropped or found.marked:
        lines += ["", "| signal | pages dropped | characters | pages marked |", "|---|---|---|---|"]
        lines += [
            f"| {plain_line(name)} | {found.dropped[name]:,} | {found.characters[name]:,} | {found.marked[name]:,} |"
            for name in sorted({*found.dropped, *found.marked})
        ]
    elif asked:
        lines.append("No page refused.")
    if asked:
        lines += ["", "| licence stated by the page | documents |", "|---|---|"]
        lines += [
            f"| {plain_line(name) or 'none'} | {count:,} |"
            for name, count in about.counted.licences.most_common(_SHOWN)
        ]
        least = asked[-1]["min_confidence"]
        lines += [
            "",
            f"A licence is what the page states of itself, at confidence {least} or more; nobody has checked it.",
        ]
    return lines


def _limits(about: About) -> list[str]:
    summary = about.summary
    lines = ["", "## Known limits", ""]
    lines.append(f"- {summary['loss']:.2%} of the input could not be read.")
    # (A remark is a figure for the report; a notice is a sentence.)
    lines += [f"- {plain_line(one)}" for one in summary.get("notices", [])]
    if not any(about.uses(name) for name in ("safety", "url", "classifier")):
        lines.append("- No step looked for listed hosts, listed words or unwanted content.")
    lines.append("- Written by a program from the run's own figures; what a run cannot know is not here.")
    return lines


def plain_line(value: Any) -> str:
    """Text of unknown origin within a line of Markdown."""
    from recipes.app.report.rendering import visible

    text = " ".join(visible(value, 300).split())
    return "".join("\\" + one if one in "\\`*_[]<>|#&" else one for one in text)
