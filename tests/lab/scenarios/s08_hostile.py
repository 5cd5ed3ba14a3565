"""Workers that do anything they can, behind a strict IOMMU that would tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..bench import IFACE, Bench, check_exact, expect
from ..build import break_modules
from ..guest import Guest

TITLE = "hostile workers under a strict IOMMU, and the control"

SECONDS = 20


def fuzz(bench: Bench) -> str:
    with bench.other_guest(iommu=True) as guest:
        bench.load()
        expect("IOMMU", guest.run("ls /sys/class/iommu | head -n 1").startswith("dmar"), True)
        guest.begin(f"fuzz {IFACE} {SECONDS} 1")
        guest.expect("READY")
        sender = bench.sender(0, 1_000_000, 0, 4000)
        code, text = guest.end()
        bench.silence(sender)
        expect("fuzz", (code, text if code else ""), (0, ""))
        guest.run("sleep 1")
        bench.unload()
        return text.splitlines()[-1]


@contextmanager
def holder_killed(bench: Bench, file: str, line: str, instead: str) -> Iterator[Guest]:
    """A guest with a driver that is broken there, in which who held eight rings that frames came to was killed."""
    broken = break_modules(bench.kernel, bench.cache, {file: (line, instead)})
    with bench.other_guest(modules=broken, iommu=True) as guest:
        bench.load()
        # Frames have to come in after the last ring let go of the interface, too.
        guest.run(f"ip link set {IFACE} promisc on")
        bench.background(f"holder {IFACE} 8", "holder")
        bench.send(0, 100)
        guest.run("kill -9 $(cat /tmp/holder.pid); wait $(cat /tmp/holder.pid); true")
        yield guest


def control(bench: Bench) -> None:
    """A driver that forgets to stop a queue before its pages are unmapped has to be caught."""
    line = "	return !q->rx.descs || zc82576_hw_queue_disable(q->nic, RXDCTL(q->index));\n"
    with holder_killed(bench, "zc82576/rx.c", line, "	return true;\n"):
        sender = bench.sender(0, 1000, 0, 0)
        # The IOMMU says that the card wrote to pages that were given back.
        bench.until("dmesg | grep -q 'DMAR.*fault'", 30)
        bench.silence(sender)


def stuck(bench: Bench) -> None:
    """Queues that do not stop take a reset of the port, before their pages are unmapped; the card works on."""
    line = "	zc82576_write(nic, dctl, 0);\n"
    with holder_killed(bench, "zc82576/hw.c", line, "") as guest:
        bench.until("[ $(wc -l < /proc/memshare) = 1 ]")
        expect("resets", guest.run("dmesg | grep -c 'the port is reset'"), "8")
        bench.up()
        bench.reader(1000)
        bench.send(0, 1000)
        check_exact(bench.report(), 1000)
        bench.unload()


def run(bench: Bench) -> str:
    rounds = fuzz(bench)
    stuck(bench)
    control(bench)
    return f"{rounds} in {SECONDS} s, no DMA outside the blocks, nor by queues that do not stop; the control is caught"
