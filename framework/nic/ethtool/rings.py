"""How many descriptors the hardware rings of an interface have (`ethtool -g`, `-G`)."""

from __future__ import annotations

from dataclasses import dataclass

from zcframe.framework.errors import NicError

from .ioctl import controls


@dataclass(frozen=True)
class Rings:
    """Numbers of descriptors of each receive ring and each transmit ring, and the largest that the driver allows."""

    rx: int
    tx: int
    max_rx: int
    max_tx: int


def read_rings(ifname: str) -> Rings:
    """Ring sizes that are set at this moment. Raises NicError where the driver does not report them."""
    with controls(ifname, "tell its ring sizes") as nic:
        found = nic.get_rings()
    return Rings(found.rx, found.tx, found.rx_max, found.tx_max)


def write_rings(ifname: str, rings: Rings) -> None:
    """Set the ring sizes of an interface; sizes that are in force already are not written. Raises NicError."""
    before = read_rings(ifname)
    for name, most in (("rx", before.max_rx), ("tx", before.max_tx)):
        if getattr(rings, name) > most:
            raise NicError(f"{ifname}: {name} rings of {getattr(rings, name)}: the driver allows {most}")
    if (before.rx, before.tx) == (rings.rx, rings.tx):
        return
    with controls(ifname, "set its ring sizes") as nic:
        wanted = nic.get_rings()
        wanted.rx, wanted.tx = rings.rx, rings.tx
        nic.set_rings(wanted)
