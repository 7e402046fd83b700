"""A long list of runs, in parts of a few minutes: networks of the CIFAR suite trained and scored on one GPU."""
