"""The RSS settings of a NIC for the time of a hold."""

from __future__ import annotations

from zcframe.framework.nic.ethtool.rss import read_rss, settings_of
from zcframe.framework.rss import RssConfig

from .hold import Hold


def apply_rss(hold: Hold, config: RssConfig) -> None:
    """Set RSS of the held NIC to `config`; the hold puts the former settings back. Raises as `write_rss` does."""
    hold.change("rss", settings_of(config, read_rss(hold.ifname), hold.ifname).document())
