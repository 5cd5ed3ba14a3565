"""Checks of one interface: whether frames come, whether it merges them, and where its interrupts go."""

from __future__ import annotations

from typing import Final

from zcframe.framework.errors import NicError
from zcframe.framework.nic.cards.card import shares_rings
from zcframe.framework.nic.link.irq import cpus_of, interrupts_of
from zcframe.framework.nic.link.namespace import file_of

from .check import Check
from .host import Host


def link(host: Host, ifname: str) -> Check:
    interface = host.interface(ifname)
    if not interface.up:
        return Check("link", "warn", f"{ifname} is down: nothing comes", f"ip link set {ifname} up")
    if not interface.linked:
        return Check("link", "warn", f"{ifname} is up and has no link: look at the cable, and at the other end")
    return Check("link", "ok", f"{ifname} is up and has its link")


def every(host: Host) -> Check:
    """What can be said of all interfaces at once: which of them are up."""
    up = [ifname for ifname in host.interfaces if host.interface(ifname).up]
    if not up:
        return Check("link", "warn", "no interface is up: nothing comes")
    return Check("link", "ok", f"up: {', '.join(up)}; packets are seen on each interface that they pass")


def route(host: Host, ifname: str) -> Check:
    if ifname in host.default_carriers():
        text = f"the default route goes by {ifname}: packet only looks on; xdp and nic bind would take it, and refuse"
        return Check("route", "none", text)
    return Check("route", "ok", f"no default route goes by {ifname}")


def program(host: Host, ifname: str) -> Check:
    """Whether an XDP program decides about each frame before the packet source sees it; xdp refuses it."""
    found = host.occupant(ifname)
    if found is None:
        return Check("program", "ok", f"no XDP program is on {ifname}")
    text = f"an XDP program is on {ifname} (number {found}): packet sees only what it lets pass, and xdp refuses"
    return Check("program", "warn", text, found.remedy)


def offloads(host: Host, ifname: str) -> Check:
    """Whether the interface merges frames: merged ones are captured as one long frame, and cut to a block."""
    if shares_rings(host.interface(ifname).driver):
        return Check("gro", "ok", f"{ifname} hands its frames over before anything could merge them")
    try:
        found = host.offloads(ifname)
    except NicError:
        return Check("gro", "none", f"{ifname} does not tell what it merges")
    on = [name for name in ("gro", "lro") if getattr(found, name)]
    if not on:
        return Check("gro", "ok", f"{ifname} merges no frames")
    text = f"{' and '.join(on)} on: {ifname} merges frames before packet sees them"
    return Check("gro", "warn", text, f"ethtool -K {ifname} {' '.join(f'{name} off' for name in on)}")


def _without_rps(host: Host, ifname: str) -> str:
    """The command that switches it off, in a shell of this network namespace."""
    command = f"for f in /sys/class/net/{ifname}/queues/rx-*/rps_cpus; do echo 0 > $f; done"
    if host.sysfs.found == "there":
        return command
    return f"unshare --mount sh -c 'mount -t sysfs sysfs /sys && {command}'"


def rps(host: Host, ifname: str) -> Check:
    """Whether receive packet steering moves frames to CPUs other than the workers'."""
    try:
        folder = file_of(f"/sys/class/net/{ifname}/queues", host.root)
    except NicError:
        return Check("rps", "none", f"what {ifname} has cannot be read here")
    masks = [path.read_text().strip() for path in folder.glob("rx-*/rps_cpus")]
    if any(mask.strip("0,") for mask in masks):
        return Check("rps", "warn", f"it is on for {ifname}", _without_rps(host, ifname))
    return Check("rps", "ok", f"it is off for {ifname}") if masks else Check("rps", "none", f"{ifname} has no queues")


def interrupts(host: Host, ifname: str) -> Check:
    """Whether each queue's interrupt goes to one CPU."""
    proc = host.root / "proc"
    irqs = interrupts_of(host.interface(ifname), proc)
    if not irqs:
        return Check("interrupts", "none", f"{ifname} has none while it is down, or none by queue")
    spread = sum(not cpus_of(irq, proc).isdecimal() for irq in irqs.values())
    text = f"{spread} of {len(irqs)} may come to several CPUs; zerocopy, and --tune, send each to its worker's"
    return Check("interrupts", "ok", text)


CHECKS: Final = (link, route, program, offloads, rps, interrupts)
