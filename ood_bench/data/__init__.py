"""Image sets: sources, download and verification, and the store of decoded arrays."""
