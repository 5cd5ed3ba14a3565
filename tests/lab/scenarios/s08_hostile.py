"""Workers that do anything they can, behind a strict IOMMU that would tell."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect
from ..build import break_modules
from ..packages import LabError

TITLE = "hostile workers under a strict IOMMU, and the control"

SECONDS = 20


def fuzz(bench: Bench) -> str:
    with bench.other_guest(iommu=True) as guest:
        bench.load()
        expect("IOMMU", guest.run("ls /sys/class/iommu | head -n 1").startswith("dmar"), True)
        guest.begin(f"fuzz {IFACE} {SECONDS} 1")
        guest.expect("READY")
        sender = bench.sender(0, 1_000_000, 0, 4000)
        code, text = guest.end(SECONDS + 120)
        bench.silence(sender)
        expect("fuzz", code, 0)
        guest.run("sleep 1")
        bench.unload()
        return text.splitlines()[-1]


def control(bench: Bench) -> None:
    """A driver that forgets to stop a queue before its pages are unmapped has to be caught."""
    sound = bench.modules
    line = "	zc82576_hw_queue_disable(q->nic, RXDCTL(q->index));\n"
    bench.reload(break_modules(bench.kernel, bench.cache, {"zc82576/rx.c": (line, "")}))
    try:
        with bench.other_guest(iommu=True) as guest:
            bench.load()
            # Frames have to come in after the last ring let go of the interface, too.
            guest.run(f"ip link set {IFACE} promisc on")
            bench.background(f"holder {IFACE} 8", "holder")
            bench.send(0, 100)
            guest.run("kill -9 $(cat /tmp/holder.pid); sleep 0.5")
            sender = bench.sender(0, 1000, 0, 0)
            guest.run("sleep 2")
            bench.silence(sender)
            if not any("DMAR" in line for line in guest.trouble()):
                raise LabError("the IOMMU says nothing of DMA to pages that were given back")
    finally:
        bench.reload(sound)


def run(bench: Bench) -> str:
    rounds = fuzz(bench)
    control(bench)
    return f"{rounds} in {SECONDS} s, no DMA outside the blocks; the control is caught"
