"""Scores that others computed, as evidence beside our own runs: read, checked, and made into records."""
