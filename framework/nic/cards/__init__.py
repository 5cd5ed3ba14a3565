"""Ethernet controllers on the PCI bus: which there are, and which driver has them."""
