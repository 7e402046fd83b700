"""Validation splits, the combination of statistics by logistic regression, and selection among settings."""
