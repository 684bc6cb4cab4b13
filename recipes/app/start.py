"""Where the command begins. Imports take some tenths of a second: a Ctrl-C in them is answered like any other."""

from __future__ import annotations

import sys

INTERRUPTED = "goldsand: interrupted; the same command goes on from here"


def main() -> None:
    """Run the command line."""
    try:
        from recipes.app.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
