"""The settings by which an interface spreads frames. A setting that its driver does not report is None, no error."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from zcframe.framework.errors import NicError
from zcframe.framework.nic.ethtool.channels import Channels, read_channels
from zcframe.framework.nic.ethtool.rings import Rings, read_rings
from zcframe.framework.nic.ethtool.rss import ADDRESSES, FUNCTIONS, PORTS, TRANSFORMS, RssSettings, read_rss
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


def field_words(bits: int) -> str:
    """RXH_* bits in words."""
    words = [name for name, mask in (("addresses", ADDRESSES), ("ports", PORTS)) if bits & mask == mask]
    rest = bits & ~sum(mask for mask in (ADDRESSES, PORTS) if bits & mask == mask)
    return " and ".join([*words, *([f"bits {rest:#x}"] if rest else [])]) or "nothing"


def _rss_lines(rss: RssSettings) -> Iterator[str]:
    yield f"key       {rss.key.hex(':') or 'not told'}"
    transform = TRANSFORMS.get(rss.transform, str(rss.transform))
    yield f"function  {FUNCTIONS.get(rss.function, 'not told')}, transform of the fields before it: {transform}"
    for i, (flow, bits) in enumerate(rss.fields or [("not told", 0)]):
        yield f"{'' if i else 'fields':9} {flow}" + (f"  {field_words(bits)}" if rss.fields else "")
    entries = sorted(Counter(rss.reta).items())
    spread = ", ".join(f"queue {queue}: {count}" for queue, count in entries)
    yield f"table     {len(rss.reta)} entries{'; ' if spread else ''}{spread}"


def status_lines(status: Status) -> list[str]:
    """For people."""
    channels, rings = status.channels, status.rings
    lines = [f"interface {status.ifname}, {'up' if status.up else 'down'}"]
    if channels is None:
        lines.append("channels  not told by the driver")
    else:
        lines.append(f"channels  {channels.queues} receive queues, of {channels.max_combined or channels.max_rx}")
    if rings is None:
        lines.append("rings     not told by the driver")
    else:
        lines.append(f"rings     rx {rings.rx} of {rings.max_rx}, tx {rings.tx} of {rings.max_tx}")
    lines += _rss_lines(status.rss) if status.rss else ["rss       not told by the driver"]
    lines.append(f"symmetry  {status.verdict}")
    if status.to_restore:
        lines.append(f"changed   zcframe rss restore {status.ifname} puts back what was before")
    return lines
