"""Sweeps: planned before they start, carried out whatever happens to single jobs, and watched while they run."""
