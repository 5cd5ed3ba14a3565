"""tcpdump expressions: compiled by the system's libpcap, translated to native code."""
