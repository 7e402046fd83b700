"""Hydra finds sweepers and launchers in this namespace only; what they do is in ``ood_bench.sweep``."""
