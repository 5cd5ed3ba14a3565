"""ethtool settings of an interface: one file for each group of them, and the ioctl below."""
