"""How long the NIC holds an interrupt back so that it stands for more frames (`ethtool -c`, `-C`)."""

from __future__ import annotations

from dataclasses import dataclass

from .ioctl import controls


@dataclass(frozen=True)
class Coalesce:
    """Interrupts of receive queues: their delay in microseconds, and whether the driver chooses it by itself."""

    rx_usecs: int
    adaptive_rx: bool


def read_coalesce(ifname: str) -> Coalesce:
    """That of now. Raises NicError where the driver does not tell it."""
    with controls(ifname, "tell its interrupt coalescing") as nic:
        found = nic.get_coalesce()
    return Coalesce(found.rx_coalesce_usecs, bool(found.use_adaptive_rx_coalesce))


def write_coalesce(ifname: str, coalesce: Coalesce) -> None:
    """Have the NIC do this. Raises NicError."""
    with controls(ifname, "set its interrupt coalescing") as nic:
        wanted = nic.get_coalesce()
        wanted.rx_coalesce_usecs = coalesce.rx_usecs
        wanted.use_adaptive_rx_coalesce = int(coalesce.adaptive_rx)
        nic.set_coalesce(wanted)
