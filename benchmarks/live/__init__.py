"""Live sources against their peers on a veth pair in a network namespace: `python -m benchmarks.live`."""
