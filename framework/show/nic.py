"""One interface or card in text: what `zcframe rss show` and `zcframe nic status` print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from zcframe.framework.nic.cards.pci import PciFunction
from zcframe.framework.nic.cards.pciids import device_names
from zcframe.framework.nic.ethtool.rss import ADDRESSES, FUNCTIONS, PORTS, TRANSFORMS, RssSettings
from zcframe.framework.nic.report.memshare import SharedRing
from zcframe.framework.nic.report.overview import Overview, QueueInterrupt
from zcframe.framework.nic.report.status import Status


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
    """How an interface spreads, and whether that is symmetric."""
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


def _card_line(function: PciFunction) -> str:
    name = device_names([function.id]).get(function.id, "")
    return f"card      {function.address}  {function.id}  {name}".rstrip()


def _interrupt_lines(interrupts: tuple[QueueInterrupt, ...]) -> list[str]:
    rows = [f"queue {one.queue}: {one.irq} on CPU {one.cpus or 'unknown'}" for one in interrupts]
    return [
        f"{'' if i else 'irqs':9} {row}" for i, row in enumerate(rows or ["none by queue while it is down, or none"])
    ]


def _ring_lines(rings: tuple[SharedRing, ...]) -> list[str]:
    rows = [
        f"{ring.direction} queue {ring.queue}: {ring.state}, {ring.slots} slots, {ring.waiting} waiting;"
        f" arrived {ring.arrived:,}, nic_drop {ring.nic_drop:,}, ring_full {ring.ring_full:,}"
        for ring in rings
    ]
    return [f"{'' if i else 'shared':9} {row}" for i, row in enumerate(rows)]


def overview_lines(overview: Overview) -> list[str]:
    """One card or interface on one screen."""
    first, *rest = status_lines(overview.status)
    card = [_card_line(overview.function)] if overview.function else []
    link = "" if not overview.status.up else ", link" if overview.linked else ", no link"
    return [
        f"{first}{link}",
        *card,
        f"driver    {overview.driver or 'not told'}",
        *rest,
        *_interrupt_lines(overview.interrupts),
        *_ring_lines(overview.rings),
    ]
