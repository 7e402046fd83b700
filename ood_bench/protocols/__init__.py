"""Protocols: which rows are scored, what tuning may see, and by which convention the metrics are computed."""
