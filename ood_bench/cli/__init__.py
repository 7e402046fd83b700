"""The command line ``ood-bench``, which ``python -m ood_bench`` is, too."""
