"""The standard controls of a NIC: RSS through ethtool, link state through netlink, interrupts through /proc."""

from .ethtool import NicError
from .interface import Interface, set_up
from .irq import Steering, irqs_of, steer
from .rss import AppliedRss, RssSettings, apply_rss, read_rss, write_rss
from .watch import LinkChange, LinkWatch, link_state

__all__ = [
    "AppliedRss",
    "Interface",
    "LinkChange",
    "LinkWatch",
    "NicError",
    "RssSettings",
    "Steering",
    "apply_rss",
    "irqs_of",
    "link_state",
    "read_rss",
    "set_up",
    "steer",
    "write_rss",
]
