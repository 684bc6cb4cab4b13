"""The documentation's site, of docs/, of pages at the top of the repository, and of what the program declares.

    python docs/make_site.py                                    build/docs/site, for reading as files or from a server
    python docs/make_site.py --publish FOLDER [--version 0.1]   FOLDER/0.1, and FOLDER/versions.json for the selector

Pages are copied to build/docs/source, where links between them are made to fit; a link to a file that is on no page
becomes its path, or an address below `[tool.goldsand] home` of pyproject.toml where there is one. The build is strict:
a dead link, or an anchor that is not there, ends it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
BESIDE = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "parity.md": "tests/parity/README.md",
}
"""Pages of the site that lie elsewhere in the repository."""
GENERATED = tuple(f"reference/{name}.md" for name in ("steps", "recipes", "commands", "python"))
"""Pages that `make_reference.py` writes; docs/reference.md has a mark for each, which becomes a link in the site."""
FENCES = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\(([^)\s]+)\)")
NOT_COPIED = (".py", ".toml")
"""Files of docs/ that make the site and are no part of it."""


def project() -> dict[str, str]:
    """The version and the address of the repository, as pyproject.toml says them."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {"version": said["project"]["version"], "home": said["tool"]["goldsand"]["home"].rstrip("/")}


def pages() -> dict[str, Path]:
    """All that is written by hand, by its place in the site."""
    found = {
        path.relative_to(DOCS).as_posix(): path
        for path in sorted(DOCS.rglob("*"))
        if path.is_file() and path.suffix not in NOT_COPIED and not {"__pycache__", "reference"} & set(path.parts)
    }
    return found | {place: ROOT / name for place, name in BESIDE.items()}


def navigation(config: str, places: list[str]) -> tuple[str, list[str]]:
    """The configuration with `results/*.md` written out, and the pages that its navigation names."""
    results = ", ".join(f'"{place}"' for place in places if place.startswith("results/") and place.endswith(".md"))
    config = config.replace('"results/*.md"', results)

    def names(entries: list) -> Iterator[str]:
        for entry in entries:
            if isinstance(entry, str):
                yield entry
            else:
                for inside in entry.values():
                    yield from names(inside if isinstance(inside, list) else [inside])

    return config, list(names(tomllib.loads(config)["project"]["nav"]))


def relinked(text: str, place: str, path: Path, at: dict[Path, str], home: str) -> str:
    """A page with its links as they are from its place in the site."""

    def link(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        if re.match(r"[a-z]+:|#", target) or target in GENERATED:
            return match.group()
        name, hash_, anchor = target.partition("#")
        file = (path.parent / name).resolve()
        if file in at:
            there = os.path.relpath(at[file], Path(place).parent.as_posix())
            return f"{mark}[{words}]({Path(there).as_posix()}{hash_}{anchor})"
        inside = file.relative_to(ROOT).as_posix()
        if home:
            return f"{mark}[{words}]({home}/{'raw' if mark else 'blob'}/main/{inside})"
        return words if words.strip("`") == inside else f"{words} (`{inside}`)"

    text = re.sub(r"<!-- page: (\S+) -->\n", r"[The page](\1). ", text)
    parts = FENCES.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def reference() -> Any:
    """The module that writes the generated pages."""
    added = [one for one in (str(ROOT), str(DOCS)) if one not in sys.path]
    sys.path += added
    try:
        return importlib.import_module("make_reference")
    finally:
        for one in added:
            sys.path.remove(one)


def assemble(build: Path) -> list[str]:
    """Lay out sources and configuration below `build`. Returns the pages that no navigation names: there should be
    none."""
    source, found, said = build / "source", pages(), project()
    at = {path.resolve(): place for place, path in found.items()}
    raw = [place for place in found if place.startswith("results/") and place.endswith((".json", ".jsonl"))]
    data = "\n".join(f"- [{Path(place).name}]({place})" for place in raw)
    shutil.rmtree(source, ignore_errors=True)
    for place, path in found.items():
        target = source / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8").replace("<!-- data -->", data)
            target.write_text(relinked(text, place, path, at, said["home"]), encoding="utf-8")
        else:
            shutil.copyfile(path, target)
    reference().write(source / "reference")
    config, named = navigation((DOCS / "zensical.toml").read_text(encoding="utf-8"), list(found))
    (build / "zensical.toml").write_text(config, encoding="utf-8")
    return [place for place in found if place.endswith(".md") and place not in named]


def build_site(build: Path) -> None:
    """Build what `assemble` laid out, strictly. Raises SystemExit where that fails."""
    shutil.rmtree(build / "site", ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(build / "zensical.toml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    if done.returncode:
        raise SystemExit(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))


def publish(build: Path, folder: Path, version: str) -> None:
    """Put the site of a version beside those of others: its own folder, `latest`, and the list that the selector of
    every version reads (the format of `mike`)."""
    for name in (version, "latest"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(build / "site", folder / name)
    listed = folder / "versions.json"
    before = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else []
    others = [one | {"aliases": []} for one in before if one["version"] != version]
    entry = {"version": version, "title": version, "aliases": ["latest"]}
    listed.write_text(json.dumps([entry, *others], indent=1) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(
        '<meta http-equiv="refresh" content="0; url=latest/index.html">\n', encoding="utf-8"
    )


def make(build: Path, published: Path | None = None, version: str = "") -> Path:
    """Make the site, and put it beside other versions where a folder is given. Returns the page to open.

    Raises SystemExit for a page that is not in the navigation, and where the build fails."""
    if missing := assemble(build):
        raise SystemExit(f"docs/zensical.toml: `nav` does not name {', '.join(missing)}: add a line for each")
    if published:
        with (build / "zensical.toml").open("a", encoding="utf-8") as config:
            config.write('\n[project.extra.version]\nprovider = "mike"\n')
    build_site(build)
    if published is None:
        return build / "site" / "index.html"
    publish(build, published, version or project()["version"])
    return published / "index.html"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--publish", type=Path, metavar="FOLDER", help="put this version beside those that lie there")
    parser.add_argument("--version", default="", help="its name; by default that of pyproject.toml")
    given = parser.parse_args()
    print(f"open {make(ROOT / 'build' / 'docs', given.publish, given.version)}")


if __name__ == "__main__":
    main()
