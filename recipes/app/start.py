"""Where the command begins, and where a fault of it ends.

Imports take some tenths of a second: a Ctrl-C in them is answered like any other.
"""

from __future__ import annotations

import sys
import traceback

INTERRUPTED = "goldsand: interrupted; the same command goes on from here"


def main() -> None:
    """Run the command line. A fault is a traceback, a line that says where to report it, and exit code 1."""
    try:
        from recipes.app.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        from curate.errors import report_line

        sys.stderr.write(f"{report_line()}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
