"""PF_ZEROCOPY: the 82576 itself, one descriptor ring per hardware queue, filled by its DMA."""

from .plan import CapturePlan

__all__ = ["CapturePlan"]
