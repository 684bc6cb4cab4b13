"""Builds the wheel and the sdist, and tries each in clean environments: `make release`.

    python tests/release.py [--python 3.12 ...] [--keep FOLDER]

Every version of Python that pyproject.toml names is looked for: as `python3.X` on the path, then among those that
pyenv, uv or Debian keep. A version that is not here is said and left out. In each environment goldsand is installed
without extras, from the file alone, and CALLS are typed in an empty folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
CALLS = (
    ("--version",),
    ("steps", "gopher_quality"),
    ("check", "quickstart"),
    ("run", "quickstart", "-o", "corpus", "--limit", "20", "--workers", "1"),
    ("verify", "corpus"),
)
"""What is typed in each environment."""
PLACES = (
    "~/.pyenv/versions/{0}.*/bin/python{0}",
    "~/.local/share/uv/python/cpython-{0}.*/bin/python{0}",
    "/usr/bin/python{0}",
)
"""Where interpreters lie that are not on the path."""


def versions() -> list[str]:
    """The versions of Python that goldsand says it runs on, as `3.X`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [one.rpartition(":: ")[2] for one in project["classifiers"] if "Python :: 3." in one]


def interpreter(version: str) -> Path | None:
    """A Python of this version that starts, or None."""
    named = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    patterns = [Path(one.format(version)).expanduser() for one in PLACES]
    lying = [path for one in patterns for path in sorted(Path(one.anchor).glob(str(one.relative_to(one.anchor))))]
    for path in [*named, *lying]:
        done = subprocess.run(
            [path, "-c", "import sys, venv; print(*sys.version_info[:2], sep='.')"], capture_output=True
        )
        if done.returncode == 0 and done.stdout.decode().strip() == version:
            return path
    return None


def step(words: str, command: list[str | Path], folder: Path, **environment: str) -> str:
    """One command. Raises SystemExit with all that it said where it fails."""
    begun = time.monotonic()
    done = subprocess.run(
        [str(one) for one in command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**{key: value for key, value in os.environ.items() if key != "PYTHONPATH"}, **environment},
    )
    print(f"{words}: {'done' if done.returncode == 0 else 'FAILED'} in {time.monotonic() - begun:.0f} s", flush=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def build(dist: Path) -> list[Path]:
    """The wheel and the sdist, made anew."""
    shutil.rmtree(dist, ignore_errors=True)
    step("build", [sys.executable, "-m", "build", "--outdir", dist, ROOT], ROOT)
    return sorted(dist.glob("*.whl")) + sorted(dist.glob("*.tar.gz"))


def tried(made: Path, version: str, python: Path, folder: Path) -> None:
    """Install a file in an environment of its own, and run goldsand from an empty folder."""
    kind = "wheel" if made.suffix == ".whl" else "sdist"
    home, work = folder / f"{kind}-{version}", folder / f"{kind}-{version}-work"
    work.mkdir()
    step(f"{kind}, Python {version}, environment", [python, "-m", "venv", home], work)
    pip = [home / "bin" / "pip", "--disable-pip-version-check", "install", "--quiet", "-c", ROOT / "constraints.txt"]
    step(f"{kind}, Python {version}, installation", [*pip, made], work)
    for call in CALLS:
        said = step(f"{kind}, Python {version}, goldsand {' '.join(call)}", [home / "bin" / "goldsand", *call], work)
        if call == ("--version",):
            print(f"  {said.splitlines()[0]}")
    shutil.rmtree(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", nargs="+", default=versions(), metavar="3.X", help="by default all")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the wheel and the sdist are put")
    given = parser.parse_args()
    made = build(given.dist)
    missing = []
    with tempfile.TemporaryDirectory() as name:
        for version in given.python:
            python = interpreter(version)
            if python is None:
                missing.append(version)
                print(f"Python {version}: not on this machine, left out")
                continue
            for one in made:
                tried(one, version, python, Path(name))
    there = [version for version in given.python if version not in missing]
    print(
        f"{', '.join(one.name for one in made)}: sound with Python {', '.join(there)}"
        + (f"; not tried with {', '.join(missing)}, which is not here" if missing else "")
    )
    if not there:
        raise SystemExit("no version of Python was tried")


if __name__ == "__main__":
    main()
