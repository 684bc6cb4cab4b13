"""The entry point of the command line, and its answer to a fault.

Imports take some tenths of a second; a Ctrl-C during them is answered like any other.
"""

from __future__ import annotations

import sys

INTERRUPTED = "goldsand: interrupted; the same command goes on from here"


def main() -> None:
    """Run the command line. A fault is a traceback, a line that says where to report it, and exit code 1."""
    try:
        from curate.errors import require_base

        require_base()
        from recipes.app.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(130)
    except Exception as error:
        from curate.errors import answered

        sys.exit(answered(error))


if __name__ == "__main__":
    main()
