"""What `zcframe run --iface` would do on this machine as it is."""

from __future__ import annotations

from typing import Final

from zcframe.framework.config import ANY
from zcframe.framework.nic.link.hardware import LINK_TYPES, refusal_of
from zcframe.framework.sources.backends import BACKENDS, Backend, backend_of

from . import sources, zerocopy
from .check import Check
from .host import Host

# The table of sources names what each of them needs.
FINDINGS: Final = {check.__name__: check for check in (*sources.CHECKS, *zerocopy.CHECKS)}


def _backend(host: Host, ifname: str) -> tuple[Backend, Check | None]:
    """What --backend auto takes for an interface, and the first finding that keeps it from working."""
    backend = BACKENDS["packet"] if ifname == ANY else backend_of(host.interface(ifname))
    if ifname != ANY and host.interface(ifname).type not in LINK_TYPES:
        return backend, Check("type", "fail", f"{ifname} cannot be captured: {refusal_of(host.interface(ifname).type)}")
    found = (FINDINGS[name](host) for name in backend.findings)
    return backend, next((check for check in found if check.state in ("warn", "fail")), None)


def _of_interface(host: Host, ifname: str) -> Check:
    backend, against = _backend(host, ifname)
    command = f"zcframe run --iface {ifname}"
    if against is not None:
        return Check(
            "capture", "fail", f"{command} would take {backend.name}, and fail: {against.text}", against.remedy
        )
    ready = ifname == ANY or host.interface(ifname).up or backend.sets_link
    state = "" if ready else f"; nothing comes before: ip link set {ifname} up"
    text = f"{command} uses {backend.name}{state}"
    if backend.name == "packet" and ifname != ANY and (found := host.occupant(ifname)):
        return Check("capture", "warn", f"{text}; it sees only what the XDP program lets pass", found.remedy)
    return Check("capture", "ok", text)


def _of_all(host: Host) -> Check:
    """Verdict on every interface, sorted by backend."""
    usable: dict[str, list[str]] = {}
    against: Check | None = Check("", "fail", "there is no interface")
    for ifname in host.interfaces:
        backend, refused = _backend(host, ifname)
        if refused is None:
            usable.setdefault(backend.name, []).append(ifname)
        against = refused or against
    if not usable:
        assert against is not None
        return Check("capture", "fail", f"zcframe run --iface would fail everywhere: {against.text}", against.remedy)
    text = "; ".join(f"{backend} on {', '.join(names)}" for backend, names in sorted(usable.items(), reverse=True))
    return Check("capture", "ok", f"zcframe run --iface IFACE uses {text}")


def capture(host: Host, ifname: str | None) -> Check:
    """The last finding: "fail" where no live capture is possible at all, or not on the interface that is named."""
    return _of_all(host) if ifname is None else _of_interface(host, ifname)
