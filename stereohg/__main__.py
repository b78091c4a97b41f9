"""``python -m stereohg`` is the same program as ``stereohg``."""

import sys

from stereohg.cli import run

if __name__ == "__main__":
    sys.exit(run())
