"""One pass, many methods: what a network leaves behind for an image set, and steps along input gradients."""
