"""``python -m stereohg`` is the same program as ``stereohg``."""

import sys

from stereohg.cli import main

if __name__ == "__main__":
    sys.exit(main())
