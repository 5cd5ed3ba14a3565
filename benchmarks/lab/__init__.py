"""PF_ZEROCOPY against libpcap and AF_XDP on the emulated 82576: `python -m benchmarks.lab`."""
