"""Measurements of zcframe against its peers: `python -m benchmarks`."""
