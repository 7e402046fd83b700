"""Validation splits, the combination of raw scores by logistic regression, and selection among settings."""
