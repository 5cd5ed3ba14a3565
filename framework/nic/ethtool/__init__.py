"""ethtool settings of an interface: one file for each group of settings, and the ioctl that they use."""
