"""``python -m ood_bench.methods`` writes ``methods.json`` and docs/methods.md, for programs and for people."""

import sys

from ood_bench.methods.catalogue import write

if __name__ == "__main__":
    sys.exit(write())
