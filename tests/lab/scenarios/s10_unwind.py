"""Every call that fails leaves nothing behind; where the kernel can, each is made to fail wherever it allocates or copies."""

from __future__ import annotations

from collections import Counter

from ..bench import IFACE, Bench, expect
from ..choice import EVERYWHERE
from ..detectors import arm_faults, can_fail

TITLE = "failed registrations and binds unwind"
# It meets what kernels changed.
ROLES = EVERYWHERE

# What the modules call at a probe and at a load, and what allocates. Elsewhere on the way the kernel's own code does not
# stand it: ACPI uses what it has freed, MSI-X unmaps what it has not mapped.
PROBE = ("alloc_netdev_mqs", "__request_region", "pci_ioremap_bar", "register_netdev")
LOAD = ("register_pernet_subsys", "proc_create_single_data")
# What failures alone make the kernel say: where an allocation of several pages failed, and that kmemleak scans more.
TOLD = "Call Trace|Cannot allocate a scan area"


def sweep(bench: Bench, what: str, inside: str = "") -> Counter[str]:
    """Failures at every place of each call of one kind: how many, and how many of them the call failed of."""
    arm_faults(bench.guest, inside)
    code, text = bench.guest.attempt(f"faults {what}", 600)
    expect(f"faults {what} {inside}", (code, text if code else ""), (0, ""))
    expect(f"kernel log after faults {what} {inside}", bench.guest.trouble(but=TOLD), [])
    counts = [row.split()[1].split("/") for row in text.splitlines()]
    return Counter(calls=len(counts), failed=sum(int(n) for n, _ in counts), places=sum(int(n) for _, n in counts))


def inject(bench: Bench) -> str:
    """The calls of a socket, the probe of the driver, the load of the family; leaves both modules loaded."""
    address = bench.guest.run("basename /sys/bus/pci/drivers/zc82576/0000:*")
    found = sweep(bench, f"calls {IFACE}")
    for function in PROBE:
        found += sweep(bench, f"probe {address}", function)
    bench.guest.run("rmmod zc82576 && rmmod pf_zerocopy")
    for function in LOAD:
        found += sweep(bench, "load /bin/pf_zerocopy.ko", function)
    bench.load(up=False)
    return f"{found['places']} failures injected, {found['failed']} of them refused, all unwound"


def run(bench: Bench) -> str:
    bench.load(up=False)
    code, text = bench.guest.attempt(f"unwind {IFACE}")
    expect("unwind", (code, text), (0, "good"))
    expect("pinned pages", bench.pinned(), 0)
    injected = inject(bench) if can_fail(bench.guest) else "not injected: this kernel has no fault injection"
    bench.unload()
    return f"ring, buffer, bind, stats; {injected}"
