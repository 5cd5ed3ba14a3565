"""Workers that do anything they can, behind a strict IOMMU that would tell."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect
from ..build import break_modules

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


def control(bench: Bench) -> None:
    """A driver that forgets to stop a queue before its pages are unmapped has to be caught."""
    line = "	zc82576_hw_queue_disable(q->nic, RXDCTL(q->index));\n"
    broken = break_modules(bench.kernel, bench.cache, {"zc82576/rx.c": (line, "")})
    with bench.other_guest(modules=broken, iommu=True) as guest:
        bench.load()
        # Frames have to come in after the last ring let go of the interface, too.
        guest.run(f"ip link set {IFACE} promisc on")
        bench.background(f"holder {IFACE} 8", "holder")
        bench.send(0, 100)
        guest.run("kill -9 $(cat /tmp/holder.pid); wait $(cat /tmp/holder.pid); true")
        sender = bench.sender(0, 1000, 0, 0)
        # The IOMMU says that the card wrote to pages that were given back.
        bench.until("dmesg | grep -q 'DMAR.*fault'", 30)
        bench.silence(sender)


def run(bench: Bench) -> str:
    rounds = fuzz(bench)
    control(bench)
    return f"{rounds} in {SECONDS} s, no DMA outside the blocks; the control is caught"
