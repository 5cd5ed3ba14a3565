"""What an interface does to frames before anybody sees them (`ethtool -k`)."""

from __future__ import annotations

from dataclasses import dataclass

from .ioctl import controls


@dataclass(frozen=True)
class Offloads:
    """gro, lro: segments of a connection come merged into long frames; vlan: tags come beside the frame, not in it."""

    gro: bool
    lro: bool
    vlan: bool


def read_offloads(ifname: str) -> Offloads:
    """Those of now. Raises NicError."""
    with controls(ifname, "tell its offloads") as nic:
        found = nic.get_offload_flags()
    return Offloads(*(found[name] for name in ("generic-receive-offload", "large-receive-offload", "rx-vlan-offload")))
