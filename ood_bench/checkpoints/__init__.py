"""Import of published checkpoints: read without running anything in them, renamed, measured, stored."""
