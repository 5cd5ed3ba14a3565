"""Interrupt coalescing: how long the NIC delays an interrupt, so that one covers more frames (`ethtool -c`, `-C`)."""

from __future__ import annotations

from dataclasses import dataclass

from .ioctl import controls


@dataclass(frozen=True)
class Coalesce:
    """Interrupts of receive queues: their delay in microseconds, and whether the driver chooses it by itself."""

    rx_usecs: int
    adaptive_rx: bool


def read_coalesce(ifname: str) -> Coalesce:
    """Coalescing that is set at this moment. Raises NicError where the driver does not report it."""
    with controls(ifname, "tell its interrupt coalescing") as nic:
        found = nic.get_coalesce()
    return Coalesce(found.rx_coalesce_usecs, bool(found.use_adaptive_rx_coalesce))


def write_coalesce(ifname: str, coalesce: Coalesce) -> None:
    """Set the coalescing of an interface. Raises NicError."""
    with controls(ifname, "set its interrupt coalescing") as nic:
        wanted = nic.get_coalesce()
        wanted.rx_coalesce_usecs = coalesce.rx_usecs
        wanted.use_adaptive_rx_coalesce = int(coalesce.adaptive_rx)
        nic.set_coalesce(wanted)
