"""How many queues an interface works with (`ethtool -l`, `-L`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zcframe.framework.errors import NicError

from .ioctl import controls


@dataclass(frozen=True)
class Channels:
    """Numbers of queues. combined: queues that receive and send; rx, tx: queues that do only one of it; 0: none."""

    rx: int
    tx: int
    other: int
    combined: int
    max_rx: int
    max_tx: int
    max_other: int
    max_combined: int

    @property
    def queues(self) -> int:
        """Queues that receive."""
        return self.rx + self.combined

    def with_queues(self, queues: int) -> Channels:
        """The same channels with this many receive queues, combined ones where the driver has them. Raises NicError."""
        most = self.max_combined or self.max_rx
        if not 1 <= queues <= most:
            raise NicError(f"{queues} channels: the driver allows 1 to {most}")
        return replace(self, combined=queues, rx=0) if self.max_combined else replace(self, rx=queues)

    def command(self, ifname: str, queues: int) -> str:
        """How ethtool sets the same as `with_queues()`, in the kinds of queues that the driver has. Raises NicError."""
        wanted = self.with_queues(queues)
        rest = f" rx {wanted.rx}" if wanted.rx != self.rx or not self.max_combined else ""
        combined = f" combined {wanted.combined}" if self.max_combined else ""
        return f"ethtool -L {ifname}{combined}{rest}"


def read_channels(ifname: str) -> Channels:
    """Channels that the interface has at this moment. Raises NicError where the driver does not report them."""
    with controls(ifname, "tell its channels") as nic:
        found = nic.get_channels()
    counts = {name: getattr(found, f"{name}_count") for name in ("rx", "tx", "other", "combined")}
    limits = {f"max_{name}": getattr(found, f"max_{name}") for name in counts}
    return Channels(**counts, **limits)


def write_channels(ifname: str, channels: Channels) -> None:
    """Set the channels of an interface; numbers that are in force already are not written. Raises NicError."""
    if read_channels(ifname) == channels:
        return
    with controls(ifname, "set its channels") as nic:
        wanted = nic.get_channels()
        for name in ("rx", "tx", "other", "combined"):
            setattr(wanted, f"{name}_count", getattr(channels, name))
        nic.set_channels(wanted)
