"""Sweeps: planned before they start, run whatever happens to single jobs, and watched while they run."""
