"""The RSS settings of a NIC for the time of a hold."""

from __future__ import annotations

from zcframe.framework.nic.ethtool.rss import read_rss, settings_of
from zcframe.framework.rss import RssConfig

from .hold import Hold


def apply_rss(hold: Hold, config: RssConfig) -> None:
    """Have the NIC spread as `config` says; the hold puts back what was before. Raises NicError as `write_rss` does."""
    hold.change("rss", settings_of(config, read_rss(hold.ifname), hold.ifname).document())
