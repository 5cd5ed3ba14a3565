"""What a scenario holds in its hands: a guest with the modules in it, and a wire."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .detectors import asleep, leaks
from .drivers import pack_drivers
from .guest import Guest, pack_extra
from .kernels import Kernel
from .limit import LIMIT, MOST
from .packages import LabError, checkout_folder, output
from .wakeup import lost_wakeups

# The key that Microsoft published with the specification of RSS.
KEY = (
    "6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:"
    "77:cb:2d:a3:80:30:f2:0c:6a:42:b7:3b:be:ac:01:fa"
)
IFACE = "zc0"
STATE = f"cat /proc/interrupts /proc/memshare /proc/net/zerocopy; ethtool -S {IFACE}; ethtool -g {IFACE}"
STATE_SECONDS = 10
# What is still on its way when all was sent comes sooner.
QUIET_MS = 2000
# The guest that nearly all scenarios share: with the host's tree, and room for Python.
COMMON = {"memory": "2G", "shared": "/"}
# What mounts that tree and the disk with the interpreter (ext4 asks for crc32c by name); all that scenarios load.
MOUNTING = ("virtio_pci", "9pnet_virtio", "9p", "virtio_blk", "crc32c_generic", "ext4")
DRIVERS = (*MOUNTING, "igb", "veth")
# Counters of the reader that have to be 0, whatever was lost.
RIGHT = ("bad_bytes", "bad_hash", "bad_queue", "bad_order", "bad_desc", "doubled", "changed")


def expect(name: str, found: Any, wanted: Any) -> None:
    """Fails the scenario, with both values."""
    if found != wanted:
        raise LabError(f"{name}: {found!r}, not {wanted!r}")


class Bench:
    """One kernel's guest; booted when first used, again after it died."""

    def __init__(
        self, kernel: Kernel, cache: Path, modules: list[Path], host: dict[str, Path], interpreter: Path | None = None
    ) -> None:
        self.kernel, self.cache, self.modules, self.host = kernel, cache, modules, host
        self.interpreter, self.own = interpreter, checkout_folder(cache)
        self._guest: Guest | None = None
        self._common: Guest | None = None
        self._log = ""
        self._senders: list[subprocess.Popen[str]] = []

    @property
    def guest(self) -> Guest:
        if self._guest is None:
            self._boot(self.modules, [], {**COMMON, "disk": self.interpreter})
        assert self._guest is not None
        return self._guest

    def _boot(self, modules: Sequence[Path], files: Sequence[Path], options: Mapping[str, Any]) -> None:
        """One that does not come up is left to `keep_log` and `close`."""
        with tempfile.TemporaryDirectory(prefix="zclab-") as name:
            folder = Path(name)
            programs = sorted((self.own / "guest").iterdir())
            drivers = pack_drivers(self.kernel, folder / "drivers", DRIVERS)
            pack_extra(folder / "image", self.own / "base.cpio", [*modules, *programs, *drivers, *files])
            self._guest = Guest(self.kernel, folder / "image", **options)
            self._guest.boot()

    @contextmanager
    def other_guest(self, files: Sequence[Path] = (), modules: Sequence[Path] = (), **options: Any) -> Iterator[Guest]:
        """A machine of its own, for what the common one has not; with `files` in /bin, and other modules than ours.

        The common one stands still meanwhile. One in which something failed stays as it is, until its state was kept.
        """
        common, self._guest = self._guest, None
        if common:
            common.stand_still()
        self._common = common
        self._boot(modules or self.modules, files, options)
        assert self._guest is not None
        yield self._guest
        self._close_guest()
        self._guest, self._common = self._common, None
        if self._guest:
            self._guest.go_on()

    def lost_wakeups(self) -> set[int]:
        """Processors of the guest that QEMU lets sleep in spite of an interrupt; none where it is gone."""
        return lost_wakeups(self._guest) if self._guest else set()

    def keep_log(self, scenario: str) -> Path:
        """The guest's console and how it stands, for who looks into a failure."""
        kept = self.cache / f"console-{self.kernel.series}-{scenario}"
        kept.write_text(self.log() + self._state())
        return kept

    def _state(self) -> str:
        """What QEMU tells of the processors, and the guest, if it still does, of interrupts, rings and card."""
        if not self._guest:
            return ""
        told = []
        for ask in (self._guest.state, lambda: self._guest.attempt(STATE, STATE_SECONDS)[1]):
            try:
                told.append(ask())
            except (LabError, OSError, ValueError) as error:
                told.append(f"it tells no more: {error}")
        return "\n".join(told)

    def log(self) -> str:
        """The console of the guest, or of the last one."""
        return self._guest.log() if self._guest else self._log

    def close(self) -> None:
        """End every guest and sender; the next use boots anew."""
        self._close_guest()
        if self._common is not None:
            self._common.close()
            self._common = None

    def _close_guest(self) -> None:
        if self._guest is not None:
            self._log = self._guest.log()
            self._guest.close()
            self._guest = None
        while self._senders:
            self.silence(self._senders.pop())

    def load(self, *, up: bool = True) -> None:
        """Both modules, the published key, and a link."""
        self.guest.run("insmod /bin/pf_zerocopy.ko && insmod /bin/zc82576.ko")
        self.key()
        if up:
            self.up()

    def key(self) -> None:
        """A driver that was just bound has a random key."""
        self.guest.run(f"ethtool -X {IFACE} hkey {KEY}")

    def up(self) -> None:
        self.guest.run(f"ip link set {IFACE} up")
        self.until(f"[ $(cat /sys/class/net/{IFACE}/carrier) = 1 ]")

    def until(self, condition: str, seconds: float = LIMIT) -> None:
        """Wait in the guest until a command succeeds. Raises LabError after `seconds`.

        The guest counts the times that it has looked, so that one which the host holds up looks as often.
        """
        tenths = int(seconds * 10 * self.kernel.patience)
        wait = f"n=0; until {condition} || [ $n = {tenths} ]; do sleep 0.1; n=$((n+1)); done"
        self.guest.run(f"{wait}; {condition}", 3 * seconds)

    def unload(self) -> None:
        """Both modules out, no page left pinned, nothing leaked, nothing in the kernel log."""
        self.guest.run("rmmod zc82576 && rmmod pf_zerocopy")
        expect("pinned pages", self.pinned(), 0)
        expect("kernel log", self.guest.trouble(), [])
        if self.kernel.detectors:
            expect("leaks", leaks(self.guest), "")
            expect("detectors that sleep", asleep(self.guest), [])

    def pinned(self) -> int:
        """Pages pinned for long and not released, in the whole guest."""
        text = self.guest.run("echo 1 > /proc/sys/vm/stat_refresh; grep nr_foll_pin /proc/vmstat")
        counts = {row.split()[0]: int(row.split()[1]) for row in text.splitlines()}
        return counts["nr_foll_pin_acquired"] - counts["nr_foll_pin_released"]

    def sender(self, first: int, count: int, size: int, rate: int) -> subprocess.Popen[str]:
        """Frames first..first+count-1 onto the wire; size 0: random ones. At `rate` a second, for a stock kernel."""
        rate //= self.kernel.patience
        command = [str(part) for part in (self.host["sender"], self.guest.to_guest, first, count, size, rate)]
        sender = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._senders.append(sender)
        return sender

    def silence(self, sender: subprocess.Popen[str]) -> None:
        """Stop a sender: without a queue that receives, the emulated card takes no frame, and it would block."""
        sender.kill()
        sender.wait()
        if sender.stdout is not None:
            sender.stdout.close()

    def drain(self) -> None:
        """Take what is left on the wire."""
        self.background(f"holder {IFACE} 8", "holder")
        # Rings are free when their holder was reaped.
        self.guest.run("sleep 0.5; kill -9 $(cat /tmp/holder.pid); wait $(cat /tmp/holder.pid); true")

    def send(self, first: int, count: int, size: int = 0, rate: int = 0) -> float:
        """As `sender`, waited for; returns the seconds it took."""
        return self.sent(self.sender(first, count, size, rate))

    def sent(self, sender: subprocess.Popen[str]) -> float:
        """Wait until a sender has sent all; the seconds it took."""
        try:
            said, _ = sender.communicate(timeout=MOST * LIMIT * self.kernel.patience)
        except subprocess.TimeoutExpired as error:
            raise LabError("the card takes no more frames") from error
        return float(said)

    def send_all(self, frames: Iterable[bytes], pause: float = 0.0) -> None:
        """These frames onto the wire, in order, with so many seconds between two of them."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            for frame in frames:
                wire.sendto(frame, str(self.guest.to_guest))
                time.sleep(pause)

    def background(self, command: str, name: str) -> None:
        """Start a program in the guest beside the shell; it says READY. Its output goes to /tmp/<name>."""
        self.guest.run(f"{command} > /tmp/{name} 2>&1 & echo $! > /tmp/{name}.pid")
        try:
            self.until(f"grep -q READY /tmp/{name}")
        except LabError as error:
            raise LabError(f"{command}: {self.guest.run(f'cat /tmp/{name}') or 'not READY'}") from error

    def reader(
        self, count: int, *, size: int = 0, queues: int = 8, slots: int = 4096, kills: int = 0, hold: bool = False
    ) -> None:
        """Start checking readers in the guest, one a queue; `report` gives what they found.

        hold: they wait for `release`. kills: so many of them are killed, spread over all frames.
        """
        quiet_ms = QUIET_MS * self.kernel.patience
        line = f"reader {IFACE} {queues} {slots} {size} {KEY} 0 {count} {quiet_ms} {kills} {int(hold)}"
        self.background(line, "report")

    def release(self) -> None:
        """Let readers that hold begin."""
        self.guest.run("kill -USR1 $(cat /tmp/report.pid)")

    def until_read(self) -> None:
        """Wait until readers have taken all that lies in their rings."""
        self.until("[ $(awk 'NR > 1 { n += $8 - $9 } END { print n + 0 }' /proc/memshare) = 0 ]")

    def report(self) -> dict[str, Any]:
        """Tell readers that all is sent, and wait for what they found."""
        code, _ = self.guest.attempt("kill -TERM $(cat /tmp/report.pid) 2> /dev/null; wait $(cat /tmp/report.pid)")
        text = self.guest.run("cat /tmp/report")
        if code:
            raise LabError(f"reader: exit code {code}\n{text}")
        found: dict[str, Any] = json.loads(text.splitlines()[-1])
        return found


def check_right(found: dict[str, Any]) -> None:
    """What came is right in every byte, hash, queue and order, and came once."""
    wrong = {name: found[name] for name in RIGHT if found[name]}
    if wrong:
        raise LabError(f"wrong: {wrong}; all of it: {found}")


def check_exact(found: dict[str, Any], count: int) -> None:
    """Every frame came, once, and right."""
    check_right(found)
    wanted = {"missing": 0, "nic_drop": 0, "ring_full": 0, "frames": count, "published": count}
    if any(found[name] != number for name, number in wanted.items()):
        raise LabError(f"not all of {count} frames came: {found}")


def unit(host: dict[str, Path]) -> str:
    """The ring's logic in user space."""
    return output(host["ring_test"]).strip()
