"""What a kernel that watches itself has to say, and how it is told to let calls fail: files below /sys/kernel/debug."""

from __future__ import annotations

from .guest import Guest

DEBUGFS = "/sys/kernel/debug"
KMEMLEAK = f"{DEBUGFS}/kmemleak"
# kmemleak reports what is older, and looked the same in two scans.
YOUNG_SECONDS = 6
# Where DMA-API allocates for itself: it would give up watching if that failed.
SPARED = ("add_dma_entry", "debug_dma_free_pages")
# Each is told to strike whatever the caller would do about it, and not to tell each time.
FAULTS: dict[str, dict[str, str | int]] = {
    "failslab": {"ignore-gfp-wait": "N", "verbose": 0},
    "fail_page_alloc": {"ignore-gfp-wait": "N", "ignore-gfp-highmem": "N", "min-order": 0, "verbose": 0},
    "fail_usercopy": {"verbose": 0},
}


def leaks(guest: Guest) -> str:
    """What kmemleak found to be allocated and pointed to by nobody; "" if nothing."""
    guest.run(f"sleep {YOUNG_SECONDS}; echo scan > {KMEMLEAK}; echo scan > {KMEMLEAK}", 300)
    return guest.run(f"cat {KMEMLEAK}")


def asleep(guest: Guest) -> list[str]:
    """Detectors that gave up watching, as each does for good after its first find, or where it runs out of memory."""
    watching = {
        "lockdep": "grep -q 'debug_locks: *1' /proc/lockdep_stats",
        "DMA-API": f"grep -q N {DEBUGFS}/dma-api/disabled",
        "kmemleak": f"echo scan > {KMEMLEAK}",
    }
    return [name for name, command in watching.items() if guest.attempt(command, 120)[0]]


def can_fail(guest: Guest) -> bool:
    """Whether this kernel lets the n-th allocation of a task fail."""
    return guest.attempt(f"[ -e /proc/self/fail-nth ] && [ -d {DEBUGFS}/failslab ]")[0] == 0


def _text(guest: Guest, first: str, last: str) -> tuple[str, str]:
    """Addresses of the kernel's code from function `first` to the end of `last`."""
    ends = f'$3 == "{first}" {{ print $1 }} after {{ print $1; exit }} $3 == "{last}" {{ after = 1 }}'
    start, end = guest.run(f"awk '{ends}' /proc/kallsyms").split()
    return f"0x{start}", f"0x{end}"


def arm_faults(guest: Guest, inside: str = "") -> None:
    """Let /proc/self/fail-nth strike at every allocation, and at every copy from and to user space.

    inside: a function of the kernel; only at what is done in it, or called by it.
    """
    spared, wanted = _text(guest, *SPARED), _text(guest, inside, inside) if inside else ("0x0", "0xffffffffffffffff")
    span = {"reject-start": spared[0], "reject-end": spared[1], "require-start": wanted[0], "require-end": wanted[1]}
    for fault, settings in FAULTS.items():
        writes = (f"echo {value} > {DEBUGFS}/{fault}/{name}" for name, value in {**settings, **span}.items())
        guest.run(" && ".join(writes))
