"""Why one number differs from another: ladders between two evaluations, and all conventions on the same scores."""
