"""Speed as ratios to the bare forward pass, beside pytorch-ood: ``python -m benchmarks``."""
