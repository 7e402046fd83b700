"""Tables of published numbers beside ours, made from the records alone."""
