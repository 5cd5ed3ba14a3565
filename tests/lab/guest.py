"""A guest: boots in seconds, runs commands that the host types on its second serial port, and a wire to its 82576."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .kernels import Kernel
from .limit import BOOT, LIMIT, Limit, describe_threads
from .packages import LabError, checkout_folder, output

QEMU = [
    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-accel", "tcg,thread=multi,tb-size=512", "-M", "q35", "-cpu", "Nehalem"),
]
# Periodic ticks: a processor that missed one goes on with the next. RCU waits longer for a processor than the host may
# keep it waiting, and less long than the lab waits for the guest. Registers of a card can be reached beside its driver.
APPEND = (
    "console=ttyS0 quiet loglevel=5 mitigations=off nokaslr no_timer_check tsc=reliable nohz=off highres=off"
    " panic=-1 oops=panic log_buf_len=4M iomem=relaxed rcupdate.rcu_cpu_stall_timeout=120"
)
MAC = "02:00:00:00:00:01"
# Processors of a guest, and how many of them run unless a scenario asks for all: each that waits for a lock which another
# holds spins for as long as the host lets the other wait.
CPUS, ONLINE = 4, 2
MARK = "@@RC"
# The guest's terminal takes no more in a line, and drops what is beyond it.
LONGEST_LINE = 4000

INIT = """#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug
mount -t devtmpfs dev /dev
mkdir -p /tmp /dev/pts
mount -t tmpfs tmp /tmp
ip link set lo up
cd /
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
stty -echo -onlcr
echo @@RC 0
while read -r line; do eval "$line" < /dev/null; done
"""

# What a clean kernel log has none of.
TROUBLE = re.compile(
    r"WARNING:|BUG:|INFO:|Oops|KASAN|possible circular|held when returning|DMAR.*fault|DMA-API|Call Trace|refcount_t|leak"
)


# Debian's kernel, and nothing of ours: it panics in mid-boot under emulation, when a processor runs code that another
# one patches, once in some hundred boots.
EARLY_PANIC = re.compile(r"Modules linked in: *$.*Kernel panic", re.MULTILINE | re.DOTALL)


class EarlyPanic(LabError):
    """The kernel panicked before it had loaded a module."""


class Silence(LabError):
    """The guest said nothing until the limit."""


def pack_base(cache: Path, busybox: Path) -> Path:
    """The part of the initramfs that never changes: busybox and ethtool."""
    image = checkout_folder(cache) / "base.cpio"
    if image.exists() and image.stat().st_mtime > Path(__file__).stat().st_mtime:
        return image
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("bin", "proc", "sys", "dev", "lib64"):
            (root / name).mkdir()
        shutil.copy(busybox, root / "bin" / "busybox")
        for applet in output(busybox, "--list").split():
            if applet != "busybox":
                (root / "bin" / applet).symlink_to("busybox")
        _copy_dynamic(Path(shutil.which("ethtool") or "/usr/sbin/ethtool"), root)
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        _cpio(root, image.with_suffix(".new"))
    image.with_suffix(".new").replace(image)
    return image


def _copy_dynamic(program: Path, root: Path) -> None:
    """A program and the libraries that it loads, at their own paths."""
    shutil.copy(program, root / "bin" / program.name)
    for library in re.findall(r"(/\S+) \(0x", output("ldd", program)):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def _cpio(root: Path, image: Path) -> None:
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with image.open("wb") as out:
        subprocess.run(["cpio", "-oH", "newc", "--quiet"], cwd=root, input=names.encode(), stdout=out, check=True)


def pack_extra(image: Path, base: Path, files: list[Path]) -> None:
    """The base with these files in /bin behind it: the kernel unpacks one archive after the other."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bin").mkdir()
        for file in files:
            shutil.copy(file, Path(folder) / "bin" / file.name)
        _cpio(Path(folder), image.with_suffix(".extra"))
    with image.open("wb") as out:
        for part in (base, image.with_suffix(".extra")):
            out.write(part.read_bytes())


class Guest:
    """One booted machine: `run(command)` gives its output; `begin`, `expect`, `end` do so in steps.

    shared: a folder of the host that it may mount; disk: an image that it may. hotplug: the card is in a slot from which `unplug()` takes it.
    devices: further arguments of QEMU. append: further ones of the kernel, which win over the lab's.
    """

    def __init__(
        self,
        kernel: Kernel,
        image: Path,
        *,
        cpus: int = CPUS,
        iommu: bool = False,
        memory: str = "1G",
        shared: str = "",
        disk: Path | None = None,
        hotplug: bool = False,
        devices: Sequence[str] = (),
        append: str = "",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zclab-")
        self.folder = Path(self._folder.name)
        self.to_guest, self.from_guest = self.folder / "in", self.folder / "out"
        self.console = self.folder / "console"
        append = (
            f"{APPEND} maxcpus={ONLINE}{' intel_iommu=on iommu.strict=1 iommu.passthrough=0' if iommu else ''} {append}"
        )
        netdev = (
            f"dgram,id=n0,local.type=unix,local.path={self.to_guest},remote.type=unix,remote.path={self.from_guest}"
        )
        self._monitor = self.folder / "monitor"
        machine = ["-qmp", f"unix:{self._monitor},server=on,wait=off"]
        machine += ["-device", "intel-iommu,caching-mode=off"] if iommu else []
        machine += ["-device", "pcie-root-port,id=bay,chassis=1"] if hotplug else []
        card = f"igb,id=card,netdev=n0,mac={MAC}" + (",bus=bay" if hotplug else "")
        if shared:
            tree = f"local,id=host,path={shared},security_model=none,readonly=on,multidevs=remap"
            machine += ["-fsdev", tree, "-device", "virtio-9p-pci,fsdev=host,mount_tag=host"]
        if disk:
            machine += ["-drive", f"file={disk},format=raw,if=none,id=disk,readonly=on"]
            machine += ["-device", "virtio-blk-pci,drive=disk"]
        command = [
            *QEMU, "-smp", str(cpus), "-m", memory, "-kernel", str(kernel.vmlinux), "-initrd", str(image), *machine,
            "-serial", f"file:{self.console}", "-serial", "stdio",
            "-netdev", netdev, "-device", card, *devices, "-append", append,
        ]  # fmt: skip
        self.kernel, self.cpus, self.buffer = kernel, cpus, ""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)

    def boot(self) -> None:
        """Wait for the shell. Raises LabError where it does not come; `close()` is the caller's also then."""
        try:
            self.end(BOOT)
        except LabError as error:
            if EARLY_PANIC.search(self.log()):
                raise EarlyPanic(str(error)) from error
            raise
        # What the kernel said so far is not of the modules.
        self.run("dmesg -c")

    def _read(self, limit: Limit) -> None:
        """Take what the guest said since; raises LabError where it said nothing until the limit."""
        while not self._selector.select(limit.left()):
            if limit.over():
                spent = f"{limit.seconds:.0f} s, {limit.waited():.0f} s by the clock"
                raise Silence(f"the guest does not answer within {spent}; it said:\n{self._said()}")
        chunk = self._stdout.read()
        if not chunk:
            raise LabError(f"the guest is gone:\n{self._said()}")
        self.buffer += chunk.decode(errors="replace").replace("\r", "")

    def _said(self) -> str:
        return f"{self.buffer[-1500:]}\n{self.log()[-3000:]}"

    def log(self) -> str:
        """The console: what the kernel says."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def expect(self, pattern: str, seconds: float = LIMIT) -> str:
        """Wait for a line that matches; what came before it is dropped. Raises LabError after `seconds`."""
        limit = Limit(self.process.pid, seconds * self.kernel.patience)
        while not (found := re.search(f"^.*{pattern}.*\n", self.buffer, flags=re.MULTILINE)):
            self._read(limit)
        self.buffer = self.buffer[found.end() :]
        return found[0].rstrip("\n")

    def begin(self, command: str) -> None:
        if len(command) > LONGEST_LINE:
            raise LabError(f"a line of {len(command)} characters is too long for the guest: {command[:80]} ...")
        self._stdin.write(f"{command}; echo {MARK} $?\n".encode())
        self._stdin.flush()

    def end(self, seconds: float = LIMIT) -> tuple[int, str]:
        """(exit code, output) of the command that `begin` started."""
        limit = Limit(self.process.pid, seconds * self.kernel.patience)
        while not (found := re.search(rf"{MARK} (\d+)\n", self.buffer)):
            self._read(limit)
        text, self.buffer = self.buffer[: found.start()], self.buffer[found.end() :]
        return int(found[1]), text.strip()

    def attempt(self, command: str, seconds: float = LIMIT) -> tuple[int, str]:
        """(exit code, output)"""
        self.begin(command)
        return self.end(seconds)

    def run(self, command: str, seconds: float = LIMIT) -> str:
        """Output of a command that has to succeed."""
        code, text = self.attempt(command, seconds)
        if code:
            raise LabError(f"in the guest, {command}: exit code {code}\n{text}")
        return text

    def unplug(self) -> None:
        """Press the button of the card's slot; the guest then lets the card go."""
        self.ask("device_del", id="card")

    def plug(self) -> None:
        """Put the card back into its slot."""
        self.ask("device_add", driver="igb", id="card", netdev="n0", mac=MAC, bus="bay")

    @contextmanager
    def all_processors(self) -> Iterator[None]:
        """Start those that do not run yet, and stop them again."""
        files = [f"/sys/devices/system/cpu/cpu{number}/online" for number in range(ONLINE, self.cpus)]
        self.run("; ".join(f"echo 1 > {file}" for file in files))
        yield
        self.run("; ".join(f"echo 0 > {file}" for file in files))

    def stand_still(self) -> None:
        """Stop its processors and its clock, so that it takes nothing of the host."""
        self.ask("stop")

    def go_on(self) -> None:
        self.ask("cont")

    def state(self) -> str:
        """How the processors stand, by QEMU, whatever the guest still does."""
        commands = ("info cpus", "info registers -a", *(f"info lapic {n}" for n in range(self.cpus)), "info pic")
        return "\n".join((*describe_threads(self.process.pid), *map(self.monitor, commands)))

    def monitor(self, command: str) -> str:
        """What QEMU's monitor for people answers."""
        return str(self.ask("human-monitor-command", **{"command-line": command}))

    def ask(self, execute: str, **arguments: str) -> object:
        """What the monitor answers to a command. Raises LabError where it refuses it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
            monitor.settimeout(LIMIT)
            monitor.connect(str(self._monitor))
            answers = monitor.makefile("r")
            for name, words in (("qmp_capabilities", {}), (execute, arguments)):
                monitor.sendall(json.dumps({"execute": name, "arguments": words}).encode())
                # Its greeting and events come in between.
                while not ("return" in (answer := json.loads(answers.readline())) or "error" in answer):
                    pass
        if "error" in answer:
            raise LabError(f"{execute}: {answer['error']['desc']}")
        return answer["return"]

    def trouble(self, but: str = "$^") -> list[str]:
        """Lines of the kernel log, since the last call, that a sound kernel does not write; `but`: a pattern of others."""
        lines = self.run("dmesg -c").splitlines()
        return [line for line in lines if TROUBLE.search(line) and not re.search(but, line)]

    def close(self) -> None:
        self._selector.close()
        self.process.kill()
        self.process.wait()
        # What a guest that is gone has not read is lost with it.
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        self._folder.cleanup()
