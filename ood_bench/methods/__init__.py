"""Detectors, one a file: what they need from a pass, how they are fitted, and how they score."""
