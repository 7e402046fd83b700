"""``python -m ood_bench`` is the command line ``ood-bench``."""

import sys

from ood_bench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
