"""Modules that were broken on purpose: every detector of the debug kernel has to say so."""

from __future__ import annotations

from ..bench import IFACE, Bench, expect
from ..build import break_modules
from ..detectors import leaks

TITLE = "every detector catches what was broken for it"

SHOW = "			zc_memshare_ring(seq, zc_sock_ring(zs));\n"
# File -> (text, what stands there instead).
BREAKS = {
    "family/device.c": ("	list_del(&device->node);\n", ""),
    "family/proc.c": (f"{SHOW}	mutex_unlock(&zc_socks_lock);\n", SHOW),
    "family/buffer.c": ("		dma_unmap_page(buffer->dma_dev, buffer->dma[i], PAGE_SIZE, buffer->dma_dir);\n", ""),
    "family/ring.c": ("	vfree(ring->user);\n", ""),
}
# Detector -> what it says of these.
REPORTS = {"KASAN": "KASAN: ", "lockdep": "possible circular locking", "DMA-API": "pending DMA allocations"}


def provoke(bench: Bench) -> set[str]:
    """Detectors that noticed; the guest is of no use afterwards."""
    guest = bench.guest
    bench.load(up=False)
    bench.background(f"holder {IFACE} 1", "holder")
    guest.run("kill -9 $(cat /tmp/holder.pid); wait $(cat /tmp/holder.pid); cat /proc/memshare")
    guest.run("rmmod zc82576; rmmod pf_zerocopy")
    said = guest.run("dmesg -c")
    found = {name for name, report in REPORTS.items() if report in said}
    return found | ({"kmemleak"} if leaks(guest) else set())


def run(bench: Bench) -> str:
    with bench.other_guest(modules=break_modules(bench.kernel, bench.cache, BREAKS)):
        expect("detectors that noticed", provoke(bench), {*REPORTS, "kmemleak"})
    return f"{', '.join(REPORTS)} and kmemleak, each once"
