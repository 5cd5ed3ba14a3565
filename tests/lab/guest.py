"""A guest: boots in seconds, runs commands that the host types on its second serial port, and a wire to its 82576."""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .kernels import Kernel
from .packages import LabError, output

QEMU = [
    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
    *("-accel", "tcg,thread=multi,tb-size=512", "-M", "q35", "-cpu", "Nehalem"),
]
# Periodic ticks: a vCPU of an overloaded host was seen to lose its one-shot timer, and never to wake again.
APPEND = (
    "console=ttyS0 quiet loglevel=5 mitigations=off nokaslr no_timer_check tsc=reliable nohz=off highres=off"
    " panic=-1 oops=panic log_buf_len=4M"
)
MAC = "02:00:00:00:00:01"
MARK = "@@RC"
BOOT_SECONDS = 120

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


def pack_base(cache: Path, busybox: Path) -> Path:
    """The part of the initramfs that never changes: busybox and ethtool."""
    image = cache / "base.cpio"
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
        _cpio(root, image)
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
    image.write_bytes(base.read_bytes() + image.with_suffix(".extra").read_bytes())


class Guest:
    """One booted machine: `run(command)` gives its output; `begin`, `expect`, `end` do so in steps.

    shared: a folder of the host that it may mount. hotplug: the card is in a slot from which `unplug()` takes it.
    devices: further arguments of QEMU. append: further ones of the kernel, which win over the lab's.
    """

    def __init__(
        self,
        kernel: Kernel,
        image: Path,
        *,
        cpus: int = 4,
        iommu: bool = False,
        memory: str = "1G",
        shared: str = "",
        hotplug: bool = False,
        devices: Sequence[str] = (),
        append: str = "",
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zclab-")
        self.folder = Path(self._folder.name)
        self.to_guest, self.from_guest = self.folder / "in", self.folder / "out"
        self.console = self.folder / "console"
        append = f"{APPEND}{' intel_iommu=on iommu.strict=1 iommu.passthrough=0' if iommu else ''} {append}"
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
        command = [
            *QEMU, "-smp", str(cpus), "-m", memory, "-kernel", str(kernel.vmlinux), "-initrd", str(image), *machine,
            "-serial", f"file:{self.console}", "-serial", "stdio",
            "-netdev", netdev, "-device", card, *devices, "-append", append,
        ]  # fmt: skip
        self.kernel, self.buffer = kernel, ""
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self.end(BOOT_SECONDS)
        # What the kernel said so far is not of the modules.
        self.run("dmesg -c")

    def _read(self, deadline: float) -> None:
        if not self._selector.select(max(0.0, deadline - time.monotonic())):
            raise LabError(f"the guest does not answer; it said:\n{self.buffer[-1500:]}\n{self.log()[-1500:]}")
        chunk = self._stdout.read()
        if not chunk:
            raise LabError(f"the guest is gone:\n{self.buffer[-500:]}\n{self.log()[-3000:]}")
        self.buffer += chunk.decode(errors="replace").replace("\r", "")

    def log(self) -> str:
        """The console: what the kernel says."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def expect(self, pattern: str, seconds: float = 60) -> str:
        """Wait for a line that matches; what came before it is dropped. Raises LabError after `seconds`."""
        deadline = time.monotonic() + seconds * self.kernel.patience
        while not (found := re.search(f"^.*{pattern}.*\n", self.buffer, flags=re.MULTILINE)):
            self._read(deadline)
        self.buffer = self.buffer[found.end() :]
        return found[0].rstrip("\n")

    def begin(self, command: str) -> None:
        self._stdin.write(f"{command}; echo {MARK} $?\n".encode())
        self._stdin.flush()

    def end(self, seconds: float = 60) -> tuple[int, str]:
        """(exit code, output) of the command that `begin` started."""
        deadline = time.monotonic() + seconds * self.kernel.patience
        while not (found := re.search(rf"{MARK} (\d+)\n", self.buffer)):
            self._read(deadline)
        text, self.buffer = self.buffer[: found.start()], self.buffer[found.end() :]
        return int(found[1]), text.strip()

    def attempt(self, command: str, seconds: float = 60) -> tuple[int, str]:
        """(exit code, output)"""
        self.begin(command)
        return self.end(seconds)

    def run(self, command: str, seconds: float = 60) -> str:
        """Output of a command that has to succeed."""
        code, text = self.attempt(command, seconds)
        if code:
            raise LabError(f"in the guest, {command}: exit code {code}\n{text}")
        return text

    def unplug(self) -> None:
        """Press the button of the card's slot; the guest then lets the card go."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as monitor:
            monitor.connect(str(self._monitor))
            answers = monitor.makefile("r")
            answers.readline()
            for command in ({"execute": "qmp_capabilities"}, {"execute": "device_del", "arguments": {"id": "card"}}):
                monitor.sendall(json.dumps(command).encode())
                answer = json.loads(answers.readline())
                if "error" in answer:
                    raise LabError(f"{command}: {answer['error']['desc']}")

    def trouble(self, but: str = "$^") -> list[str]:
        """Lines of the kernel log, since the last call, that a sound kernel does not write; `but`: a pattern of others."""
        lines = self.run("dmesg -c").splitlines()
        return [line for line in lines if TROUBLE.search(line) and not re.search(but, line)]

    def close(self) -> None:
        self._selector.close()
        self.process.kill()
        self.process.wait()
        self._stdin.close()
        self._stdout.close()
        self._folder.cleanup()
