"""The standard controls of a NIC: RSS, channels and rings through ethtool, link state through netlink, interrupts.

Every change goes through a `Hold`, which keeps the former value on file, and puts it back. Shelves, from the lowest:
ethtool and link read and write one thing each; cards knows the PCI bus and our own cards; settings changes and puts
back; report gathers facts.
"""

from zcframe.framework.nic.ethtool.channels import Channels, read_channels, write_channels
from zcframe.framework.nic.ethtool.coalesce import Coalesce, read_coalesce, write_coalesce
from zcframe.framework.nic.ethtool.rings import Rings, read_rings, write_rings
from zcframe.framework.nic.ethtool.rss import RssSettings, hashes_by, read_rss, write_rss
from zcframe.framework.nic.link.interface import Interface, real_names, set_up
from zcframe.framework.nic.link.irq import interrupts_of, irqs_of
from zcframe.framework.nic.link.watch import LinkChange, LinkWatch, link_state
from zcframe.framework.nic.report.spread import read_spread
from zcframe.framework.nic.report.symmetry import Verdict, judge, verdict_of
from zcframe.framework.nic.settings.hold import Hold, held, hold, hold_by_hand, restore
from zcframe.framework.nic.settings.setting import Change, read_setting
from zcframe.framework.nic.settings.spreading import apply_rss

__all__ = [
    "Change",
    "Channels",
    "Coalesce",
    "Hold",
    "Interface",
    "LinkChange",
    "LinkWatch",
    "Rings",
    "RssSettings",
    "Verdict",
    "apply_rss",
    "hashes_by",
    "held",
    "hold",
    "hold_by_hand",
    "interrupts_of",
    "irqs_of",
    "judge",
    "link_state",
    "read_channels",
    "read_coalesce",
    "read_rings",
    "read_rss",
    "read_setting",
    "read_spread",
    "real_names",
    "restore",
    "set_up",
    "verdict_of",
    "write_channels",
    "write_coalesce",
    "write_rings",
    "write_rss",
]
