"""What a unit was made of, in clear: so that the reason why it is not done can be named, which fingerprints cannot.

A manifest holds its unit's configuration with whatever is long as a digest. The descriptions of steps behind these
digests are written once a folder, in `goldsand.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from curate.places.manifest import FORMAT, MARKER, fingerprint, manifest_path, read_manifest
from curate.places.store import Place

CLEAR = 48
"""Longest JSON of a value that a manifest holds in clear."""

SHOWN = 60
"""Characters of a value that a reason repeats."""

NEVER = "never done"

NOT_READ = "not read"
"""The content of an input file that is not known."""

READ = "what it reads is made again or changed"

SMALL = "one of its small input files changed, or others are among them"

NUMBER = "the number of input files or pieces before it changed"

_WORDS = {
    "content": "input changed",
    "source.content": "input changed",
    "limit": "another --limit",
    "killed": "documents were set aside",
    "inputs": READ,
    "source.piece": "the input is cut at other places",
    "source.reader": "this version of goldsand reads this kind of file in another way",
    "source.files": "other pages are in the input's folder",
    "sources": SMALL,
    "contents": SMALL,
    "limits": "another --limit",
    "counts": READ,
    "units": "other units are its input",
    "number": NUMBER,
    "first": NUMBER,
}
_NAMES = {
    "split": "engine.split",
    "buckets": "engine.buckets",
    "keep_dropped": "output.keep_dropped",
    "domain": "output: domain",
    "bare": "output: bare",
}
_LIBRARIES = ("zstandard", "tokenizers")

Description = Mapping[str, Any]
"""Of a step, as `describe_step` gives it; in `goldsand.json` with the `names` of the files it reads."""


def made_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A unit's configuration for its manifest: inner mappings in one level, steps and long values as digests."""
    flat: dict[str, Any] = {}
    for key, value in configuration.items():
        if isinstance(value, Mapping) and not is_step(value):
            flat |= {f"{key}.{inner}": _short(one) for inner, one in value.items()}
        else:
            flat[key] = _short(value)
    return flat


def digest_of(value: Any) -> str:
    return f"#{fingerprint(value)[:24]}"


def is_step(value: Any) -> bool:
    return isinstance(value, Mapping) and {"step", "version", "parameters", "libraries"} <= value.keys()


def _steps(value: Any) -> list[Description]:
    """The descriptions of steps that a value of a configuration is, or holds; empty for another value."""
    rows = [value] if is_step(value) else value if isinstance(value, (list, tuple)) else []
    return list(rows) if rows and all(map(is_step, rows)) else []


def _short(value: Any) -> Any:
    if steps := _steps(value):
        return [digest_of(step) for step in steps]
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return orjson.loads(text) if len(text) <= CLEAR else digest_of(value)


def descriptions(root: Place) -> dict[str, Description]:
    """What a folder says of the steps behind digests, of this run and of earlier ones; empty where it says nothing."""
    try:
        known = orjson.loads((root / MARKER).read_bytes())["described"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return known if isinstance(known, dict) else {}


def why(root: Place, name: str, configuration: Mapping[str, Any]) -> str:
    """Why a unit with this configuration is not done, in words."""
    try:
        manifest = read_manifest(manifest_path(root, name))
    except OSError:
        return NEVER
    if manifest is None:
        return "its manifest is damaged"
    if manifest.get("format") != FORMAT or "made_of" not in manifest:
        return "made by an earlier version of goldsand, which did not write down what of"
    if manifest["fingerprint"] == fingerprint(configuration):
        return "an output is missing, or is not what was written"
    before, now = manifest["made_of"], made_of(configuration)
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if now.get("source.content") == NOT_READ:
        # In a dry run: its input file will be read first.
        changed = [key for key in changed if not key.startswith("source.")]
    known = {**descriptions(root), **{digest_of(one): one for value in configuration.values() for one in _steps(value)}}
    said = [_reason(key, before.get(key), now.get(key), known) for key in changed if key not in ("inputs", "labels")]
    return "; ".join(dict.fromkeys(filter(None, said))) or READ


def _reason(key: str, before: Any, now: Any, known: Mapping[str, Description]) -> str:
    if key in ("steps", "step"):
        old, new = ([known.get(digest) for digest in rows or []] for rows in (before, now))
        if None in old or None in new:
            return "other steps, of which the folder does not say what they were"
        return "; ".join(differences([one for one in old if one], [one for one in new if one]))
    if key in _WORDS:
        return _WORDS[key]
    if key in _LIBRARIES:
        return f"library {key} {before} -> {now}"
    named = _NAMES.get(key, key.replace("choice.", "output.tokenizer."))
    if any(isinstance(value, str) and value.startswith("#") for value in (before, now)):
        return f"{named} changed"
    return f"{named} {shown(before)} -> {shown(now)}"


def differences(old: Sequence[Description], new: Sequence[Description]) -> list[str]:
    """What differs between two lists of steps: steps, versions, parameters, libraries, files, code."""
    before, now = ([step["step"] for step in steps] for steps in (old, new))
    if before != now:
        gone, added = Counter(before) - Counter(now), Counter(now) - Counter(before)
        said = [f"step {name} removed" for name in gone] + [f"step {name} added" for name in added]
        return said or ["steps in another order"]
    return list(dict.fromkeys(line for pair in zip(old, new, strict=True) for line in _of_step(*pair)))


def _of_step(old: Description, new: Description) -> list[str]:
    name = new["step"]
    said = []
    if old["version"] != new["version"]:
        said.append(f"step {name} version {old['version']} -> {new['version']}")
    for library, version in _changed(old["libraries"], new["libraries"]).items():
        said.append(f"library {library} {version}")
    for parameter in {**old["parameters"], **new["parameters"]}:
        before, now = old["parameters"].get(parameter), new["parameters"].get(parameter)
        if _json(before) == _json(now):
            continue
        inner = (_steps(before), _steps(now))
        said += differences(*inner) if all(inner) else [f"{name}.{parameter} {shown(before)} -> {shown(now)}"]
    if old["resources"] != new["resources"]:
        said.append(f"another content of a file that {name} reads{_files(old, new)}")
    before, now = old.get("code", {}), new.get("code", {})
    for library, version in _changed(before.get("distributions", {}), now.get("distributions", {})).items():
        said.append(f"library {library} {version}")
    files = _changed(dict(before.get("files", [])), dict(now.get("files", [])))
    return said + ([f"code of {name} changed ({', '.join(files)})"] if files else [])


def _files(old: Description, new: Description) -> str:
    pairs = [zip(one.get("names", []), one["resources"], strict=False) for one in (old, new)]
    names = dict.fromkeys(name for name, _ in set(pairs[0]) ^ set(pairs[1]))
    return f" ({', '.join(sorted(names))})" if names else ""


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted({**old, **new})
        if old.get(name) != new.get(name)
    }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def shown(value: Any) -> str:
    text = _json(value).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\u2026"
