"""Trains and scores the CIFAR suite on one GPU in steps of a few minutes; ``--toy`` rehearses it on the CPU."""

import sys

from ood_bench.suite.run import main

if __name__ == "__main__":
    sys.exit(main())
