"""One trainer for every recipe; a trained classifier is an artifact keyed by recipe, data and seed."""
