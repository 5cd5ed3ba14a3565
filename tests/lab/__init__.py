"""A guest with an emulated 82576, and scenarios that the kernel modules must pass in it: `python -m tests.lab`."""
