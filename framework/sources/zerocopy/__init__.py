"""PF_ZEROCOPY: the 82576 itself, one descriptor ring per hardware queue, filled by its DMA."""
