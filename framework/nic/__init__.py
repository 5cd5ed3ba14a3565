"""The standard controls of a NIC: RSS, channels and rings through ethtool, link state through netlink, interrupts.

Whatever is changed goes through a `Hold`, which keeps on file what was there before, and puts it back.
"""

from .channels import Channels, read_channels, write_channels
from .coalesce import Coalesce, read_coalesce, write_coalesce
from .ethtool import NicError, UnsupportedError
from .hold import Hold, held, hold, hold_by_hand, restore
from .interface import Interface, set_up
from .irq import irqs_of
from .rings import Rings, read_rings, write_rings
from .rss import RssSettings, apply_rss, hashes_by, read_rss, write_rss
from .setting import Change, read_setting
from .spread import read_spread
from .symmetry import Verdict, judge, verdict_of
from .watch import LinkChange, LinkWatch, link_state

__all__ = [
    "Change",
    "Channels",
    "Coalesce",
    "Hold",
    "Interface",
    "LinkChange",
    "LinkWatch",
    "NicError",
    "Rings",
    "RssSettings",
    "UnsupportedError",
    "Verdict",
    "apply_rss",
    "hashes_by",
    "held",
    "hold",
    "hold_by_hand",
    "irqs_of",
    "judge",
    "link_state",
    "read_channels",
    "read_coalesce",
    "read_rings",
    "read_rss",
    "read_setting",
    "read_spread",
    "restore",
    "set_up",
    "verdict_of",
    "write_channels",
    "write_coalesce",
    "write_rings",
    "write_rss",
]
