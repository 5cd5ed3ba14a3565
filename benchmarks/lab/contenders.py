"""Who captures, by which interface, and for how long it may keep a frame: some ten milliseconds, like everyone else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .machine import OURS, QUEUES, THEIRS, Machine

# Bytes of blocks for everyone: eight rings of 4,096 slots of 2 KiB.
SLOTS = 4096
MEGABYTES = 64
# The card spaces a queue's interrupts (EITR); a reader is woken so long after a frame, as by libpcap's block timeout.
SPACED_US = 5000
WOKEN_US = 10_000
# What rx-usecs is where nobody moderates: of ours none, of igb the mark for its own judgement.
UNSPACED = {OURS: 0, THEIRS: 3}


@dataclass(frozen=True)
class Contender:
    """A program of the guest on an interface whose interrupts are at least `spaced_us` apart, unless that is 0.

    queues: among how many of the interface's the card spreads.
    """

    name: str
    interface: str
    program: str
    arguments: tuple[int | str, ...]
    spaced_us: int = 0
    queues: int = QUEUES

    @contextmanager
    def on(self, machine: Machine, warm_s: float = 0, window_s: float = 0) -> Iterator[None]:
        """Started, on its interface; `machine.stop()` ends it.

        It counts apart what it reads in `window_s`, from `warm_s` after the first frame on.
        """
        rest = UNSPACED[self.interface]
        times = (int(warm_s * 1000), int(window_s * 1000))
        machine.guest.run(f"ethtool -C {self.interface} rx-usecs {self.spaced_us or rest}")
        machine.spread(self.interface, self.queues)
        try:
            machine.start(" ".join(map(str, (f"/bin/{self.program}", self.interface, *times, *self.arguments))))
            yield
        finally:
            machine.kill()
            machine.spread(self.interface, QUEUES)
            machine.guest.run(f"ethtool -C {self.interface} rx-usecs {rest}")


# Slots, and the frames and microseconds after which a worker is woken.
WOKEN = (SLOTS, SLOTS // 4, WOKEN_US)
ALL_SLOTS = QUEUES * SLOTS
RING = Contender("PF_ZEROCOPY", OURS, "ring", (QUEUES, *WOKEN), SPACED_US)
PLAIN = Contender("PF_ZEROCOPY, recv()", OURS, "recv", WOKEN, SPACED_US)
PCAP = Contender("libpcap", THEIRS, "pcap", (1, MEGABYTES))
PCAP_MODERATED = Contender("libpcap, moderated", THEIRS, "pcap", (1, MEGABYTES), SPACED_US)
PCAP_FANOUT = Contender("libpcap, 8 sockets", THEIRS, "pcap", (QUEUES, MEGABYTES), SPACED_US)
XDP = Contender("AF_XDP, copying", THEIRS, "xdp", (SLOTS,), SPACED_US)
CONTENDERS = (RING, PCAP, PCAP_MODERATED, PCAP_FANOUT, XDP, PLAIN)
PEERS = (PCAP, PCAP_MODERATED, PCAP_FANOUT)
# One reader, and one queue for it.
RING_ONE = Contender("PF_ZEROCOPY, one queue", OURS, "ring", (1, ALL_SLOTS, ALL_SLOTS // 4, WOKEN_US), SPACED_US, 1)
PCAP_ONE = Contender("libpcap, moderated, one queue", THEIRS, "pcap", (1, MEGABYTES), SPACED_US, 1)
ONE_QUEUE = (RING_ONE, PCAP_ONE)
