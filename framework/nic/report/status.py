"""The settings by which an interface spreads frames. A setting that its driver does not report is None, no error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from zcframe.framework.errors import NicError
from zcframe.framework.nic.ethtool.channels import Channels, read_channels
from zcframe.framework.nic.ethtool.rings import Rings, read_rings
from zcframe.framework.nic.ethtool.rss import RssSettings, read_rss
from zcframe.framework.nic.link.interface import Interface
from zcframe.framework.nic.settings.hold import held

from .symmetry import UNTOLD, Verdict, judge

T = TypeVar("T")


@dataclass(frozen=True)
class Status:
    """An interface at one moment. None: its driver does not report it. to_restore: None where it is unreadable."""

    ifname: str
    up: bool
    channels: Channels | None
    rings: Rings | None
    rss: RssSettings | None
    to_restore: bool | None

    @property
    def verdict(self) -> Verdict:
        if self.rss is None:
            return UNTOLD
        return judge(self.rss)

    def document(self) -> dict[str, Any]:
        """The same facts for JSON."""
        return {
            "interface": self.ifname,
            "up": self.up,
            "channels": self.channels and asdict(self.channels),
            "rings": self.rings and asdict(self.rings),
            "rss": self.rss and self.rss.document(),
            "symmetry": {"finding": self.verdict.finding, "text": self.verdict.text},
            "to_restore": self.to_restore,
        }


def _known(read: Callable[[str], T], ifname: str) -> T | None:
    with contextlib.suppress(NicError):
        return read(ifname)
    return None


def _to_restore(ifname: str) -> bool:
    return ifname in held()


def read_status(ifname: str) -> Status:
    """Status of an interface. Raises NicError where there is no interface of that name."""
    up = Interface(ifname).up
    channels, rings = _known(read_channels, ifname), _known(read_rings, ifname)
    return Status(ifname, up, channels, rings, _known(read_rss, ifname), _known(_to_restore, ifname))
