"""A run as one story: sets, classifiers, passes, scores, records."""
