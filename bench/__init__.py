"""Benchmarks of the engine beside its peers: `python -m bench NAME` (see README.md)."""
