"""One boot for all contenders: a processor, two cards of the same kind, and a count of what is executed."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.bench import KEY, Bench
from tests.lab.drivers import pack_drivers
from tests.lab.guest import Guest
from tests.lab.packages import LabError
from tests.lab.prepare import Lab

from .build import build_guest, build_host

# Interface -> slot and driver of its card. The virtual functions of a card begin 16 slots further, on the same bus.
OURS, THEIRS = "zc0", "eth0"
CARDS = {OURS: (0x08, "zc82576"), THEIRS: (0x0A, "igb")}
# A loop of the guest's shell until both have a link.
CARRIERS = "; ".join(f"until [ $(cat /sys/class/net/{name}/carrier) = 1 ]; do sleep 0.1; done" for name in CARDS)
QUEUES = 8
HW_RING = 4096
# One-shot timers, so that moderation by time is that, and not the tick's 4 ms.
APPEND = "nohz=on highres=on"


@dataclass(frozen=True)
class Counts:
    """Instructions executed, and the host's clock in seconds."""

    kernel: int
    user: int
    clock: float

    def since(self, other: Counts) -> Counts:
        return Counts(self.kernel - other.kernel, self.user - other.user, self.clock - other.clock)


class Counter:
    """Asks the plugin."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._answers = connection.makefile("r")

    def counts(self) -> Counts:
        self._socket.sendall(b"c")
        kernel, user = map(int, self._answers.readline().split())
        return Counts(kernel, user, time.monotonic())

    def profile(self) -> dict[int, int]:
        """Address of 16 bytes of the kernel -> instructions executed there; empty without profile=on."""
        self._socket.sendall(b"p")
        rows: dict[int, int] = {}
        while row := self._answers.readline().strip():
            address, count = row.split()
            rows[int(address, 16)] = int(count)
        return rows


class Machine:
    """A booted guest, whose interfaces OURS and THEIRS are up."""

    def __init__(self, guest: Guest, counter: Counter, wires: dict[str, socket.socket], offer: Path) -> None:
        self.guest, self.counter, self._wires, self._offer = guest, counter, wires, offer

    def offer(self, interface: str, size: int, rate: int, seconds: float) -> dict[str, Any]:
        """Frames onto a card's wire; how many were `offered`, and `taken` by the card."""
        command = [str(part) for part in (self._offer, size, rate, seconds)]
        wire = self._wires[interface].fileno()
        done = subprocess.run(command, stdin=wire, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def start(self, command: str) -> None:
        """Returns when it is ready, and the links are up again: a program in igb's driver restarts the card."""
        self.guest.run(f"{command} > /tmp/said 2>&1 & echo $! > /tmp/pid")
        self.guest.run("n=0; until grep -q READY /tmp/said || [ $n = 300 ]; do sleep 0.1; n=$((n+1)); done")
        self.guest.run("grep -q READY /tmp/said || { cat /tmp/said; false; }")
        self.guest.run(CARRIERS)

    def spread(self, interface: str, queues: int) -> None:
        """Have a card share frames out among the first of its queues."""
        self.guest.run(f"ethtool -X {interface} equal {queues}")

    def stop(self) -> dict[str, Any]:
        """Ends what was started; what it read."""
        self.guest.attempt("kill -TERM $(cat /tmp/pid); wait $(cat /tmp/pid)")
        found: dict[str, Any] = json.loads(self.guest.run("tail -n 1 /tmp/said"))
        return found

    def kill(self) -> None:
        """Ends what `stop` did not get to; its workers go with it."""
        self.guest.attempt("kill -9 $(cat /tmp/pid) 2> /dev/null && wait $(cat /tmp/pid)")


def _set_up(guest: Guest, igb: Sequence[Path]) -> None:
    guest.run("for f in default all; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done")
    # The lab's own card stays without a driver.
    guest.run("for f in /sys/bus/pci/devices/*/driver_override; do echo none > $f; done")
    for slot, driver in CARDS.values():
        guest.run(f"echo {driver} > /sys/bus/pci/devices/0000:00:{slot:02x}.0/driver_override")
    for module in ("pf_zerocopy", "zc82576", *(path.stem for path in igb)):
        guest.run(f"insmod /bin/{module}.ko")
    guest.run(f"ethtool -X {OURS} hkey {KEY}")
    # As many queues as ours in spite of one processor, and nothing put together before libpcap sees it.
    guest.run(f"ethtool -L {THEIRS} combined {QUEUES} && ethtool -K {THEIRS} gro off")
    for interface in CARDS:
        guest.run(f"ethtool -G {interface} rx {HW_RING} && ip link set {interface} promisc on up")
    guest.run(CARRIERS)


def _card(folder: Path, interface: str) -> list[str]:
    slot, _ = CARDS[interface]
    wire = f"stream,id={interface},server=on,addr.type=unix,addr.path={folder / interface}"
    return ["-netdev", wire, "-device", f"igb,netdev={interface},mac=02:00:00:00:00:{slot:02x},addr={slot:#x}"]


def _connect(path: Path) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    wire.connect(str(path))
    return wire


@contextmanager
def boot(lab: Lab, bench: Bench, *, profile: bool = False) -> Iterator[Machine]:
    """Raises LabError where the guest does not come up."""
    host = build_host(lab.cache)
    igb = pack_drivers(bench.kernel, lab.cache / "igb" / bench.kernel.series, ["igb"])
    with tempfile.TemporaryDirectory(prefix="zcbench-") as name, ExitStack() as stack:
        folder = Path(name)
        plugin = f"{host['count']},socket={folder}/count" + (",profile=on" if profile else "")
        devices = ["-plugin", plugin, *_card(folder, OURS), *_card(folder, THEIRS)]
        files = [*build_guest(lab.cache), *igb]
        guest = stack.enter_context(bench.other_guest(files, cpus=1, memory="2G", devices=devices, append=APPEND))
        wires = {interface: stack.enter_context(_connect(folder / interface)) for interface in CARDS}
        counter = Counter(stack.enter_context(_connect(folder / "count")))
        _set_up(guest, igb)
        try:
            yield Machine(guest, counter, wires, host["offer"])
        except LabError as error:
            raise LabError(f"{error}\nkernel log: {bench.keep_log('bench-lab')}") from error
