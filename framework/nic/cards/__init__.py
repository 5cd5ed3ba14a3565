"""Ethernet controllers on the PCI bus: what is known of our own cards, which are here, and which driver has each."""
