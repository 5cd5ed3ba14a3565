"""What a scenario holds in its hands: a guest with the modules in it, and a wire."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .detectors import asleep, leaks
from .guest import Guest, pack_base, pack_extra
from .kernels import Kernel
from .packages import LabError, output

# The key that Microsoft published with the specification of RSS.
KEY = (
    "6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:"
    "77:cb:2d:a3:80:30:f2:0c:6a:42:b7:3b:be:ac:01:fa"
)
IFACE = "zc0"
STATE = f"cat /proc/interrupts /proc/memshare /proc/net/zerocopy; ethtool -S {IFACE}; ethtool -g {IFACE}"
# Counters of the reader that have to be 0, whatever was lost.
RIGHT = ("bad_bytes", "bad_hash", "bad_queue", "bad_order", "bad_desc", "doubled", "changed")


def expect(name: str, found: Any, wanted: Any) -> None:
    """Fails the scenario, with both values."""
    if found != wanted:
        raise LabError(f"{name}: {found!r}, not {wanted!r}")


class Bench:
    """One kernel's guest; booted when first used, again after it died."""

    def __init__(self, kernel: Kernel, cache: Path, modules: list[Path], host: dict[str, Path]) -> None:
        self.kernel, self.cache, self.modules, self.host = kernel, cache, modules, host
        self._guest: Guest | None = None
        self._log = ""
        self._senders: list[subprocess.Popen[str]] = []

    def _image(self, files: Sequence[Path] = ()) -> Path:
        image = self.cache / f"initramfs-{self.kernel.series}"
        programs = sorted((self.cache / "guest").iterdir())
        busybox = next((self.cache / "busybox").rglob("bin/busybox"))
        pack_extra(image, pack_base(self.cache, busybox), [*self.modules, *programs, *files])
        return image

    @property
    def guest(self) -> Guest:
        if self._guest is None:
            self._guest = Guest(self.kernel, self._image())
        return self._guest

    @contextmanager
    def other_guest(self, files: Sequence[Path] = (), **options: Any) -> Iterator[Guest]:
        """A machine of its own, for what the common one has not; with `files` in /bin."""
        self.close()
        self._guest = Guest(self.kernel, self._image(files), **options)
        try:
            yield self._guest
        finally:
            self.close()

    def keep_log(self, scenario: str) -> Path:
        """The guest's console and how it stands, for who looks into a failure."""
        kept = self.cache / f"console-{self.kernel.series}-{scenario}"
        kept.write_text(self.log() + self._state())
        return kept

    def _state(self) -> str:
        """What the guest still tells of interrupts, rings and card."""
        try:
            return self._guest.attempt(STATE, 5)[1] if self._guest else ""
        except (LabError, OSError) as error:
            return f"it tells no more: {error}"

    def log(self) -> str:
        """The console of the guest, or of the last one."""
        return self._guest.log() if self._guest else self._log

    def close(self) -> None:
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

    def until(self, condition: str, seconds: int = 10) -> None:
        """Wait in the guest until a command succeeds."""
        tenths = seconds * 10 * self.kernel.patience
        wait = f"n=0; until {condition} || [ $n = {tenths} ]; do sleep 0.1; n=$((n+1)); done"
        self.guest.run(f"{wait}; {condition}", seconds + 60)

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
        said, _ = self.sender(first, count, size, rate).communicate(timeout=300 * self.kernel.patience)
        return float(said)

    def send_all(self, frames: Iterable[bytes], pause: float = 0.0) -> None:
        """These frames onto the wire, in order, with so many seconds between two of them."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
            for frame in frames:
                wire.sendto(frame, str(self.guest.to_guest))
                time.sleep(pause)

    def reader(
        self, count: int, *, size: int = 0, slots: int = 4096, quiet_ms: int = 3000, kills: int = 0, hold_ms: int = 0
    ) -> None:
        """Start eight checking readers in the guest; `report` gives what they found."""
        quiet_ms *= self.kernel.patience
        self.guest.begin(f"reader {IFACE} 8 {slots} {size} {KEY} 0 {count} {quiet_ms} {kills} {hold_ms}")
        self.guest.expect("READY")

    def report(self, seconds: float = 300) -> dict[str, Any]:
        code, text = self.guest.end(seconds)
        if code:
            raise LabError(f"reader: exit code {code}\n{text}")
        found: dict[str, Any] = json.loads(text.splitlines()[-1])
        return found

    def background(self, command: str, name: str) -> None:
        """Start a program in the guest beside the shell; it says READY. Its output goes to /tmp/<name>."""
        self.guest.run(f"{command} > /tmp/{name} 2>&1 & echo $! > /tmp/{name}.pid")
        try:
            self.until(f"grep -q READY /tmp/{name}")
        except LabError as error:
            raise LabError(f"{command}: {self.guest.run(f'cat /tmp/{name}') or 'not READY'}") from error

    def background_reader(self, count: int, *, queues: int = 8, slots: int = 4096, quiet_ms: int = 5000) -> None:
        quiet_ms *= self.kernel.patience
        self.background(f"reader {IFACE} {queues} {slots} 0 {KEY} 0 {count} {quiet_ms}", "report")

    def background_report(self) -> dict[str, Any]:
        """Wait for what `background_reader` started."""
        self.until("grep -q queues /tmp/report", 120)
        # What it says comes before it lets go of its rings.
        self.guest.attempt("wait $(cat /tmp/report.pid)")
        found: dict[str, Any] = json.loads(self.guest.run("tail -n 1 /tmp/report"))
        return found

    def reload(self, modules: list[Path]) -> None:
        """Use other modules from the next boot on."""
        self.close()
        self.modules = modules


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
