"""Networks with named taps, and the classifier that keeps a network together with its normalisation."""
