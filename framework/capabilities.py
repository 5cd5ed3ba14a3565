"""The capabilities that live capture needs: which ones this process lacks, and what gives them to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
# Numbers of linux/capability.h.
CAPABILITIES: Final = {
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_ADMIN": 21,
    "CAP_BPF": 39,
}
# What each backend needs of an ordinary user. xdp pins more memory than a user's limit usually allows.
NEEDED: Final = {
    "packet": ("CAP_NET_RAW",),
    "xdp": ("CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF", "CAP_IPC_LOCK"),
}
# A capability that has another one in it (capabilities(7)).
INCLUDED_IN: Final = {"CAP_BPF": "CAP_SYS_ADMIN"}


def _bits(name: str) -> int:
    """The bits of which any one is enough."""
    wider = INCLUDED_IN.get(name, name)
    return 1 << CAPABILITIES[name] | 1 << CAPABILITIES[wider]


def missing(status: str, *names: str) -> list[str]:
    """Which of these capabilities a process lacks. status: the text of its /proc/<pid>/status."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    mask = int(found[1], 16) if found else 0
    return [name for name in names if not mask & _bits(name)]


def _bounded(status: str, names: Sequence[str]) -> list[str]:
    """Which of these no process here may ever have, root or not: they are not in the bounding set."""
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)", status, re.MULTILINE)
    mask = int(found[1], 16) if found else -1
    return [name for name in names if not mask & _bits(name)]


def _is_root(status: str) -> bool:
    return bool(re.search(r"^Uid:\s*\d+\s+0\s", status, re.MULTILINE))


def remedy(status: str, backend: str) -> str:
    """What gives a process the capabilities that it lacks for a backend. status: the text of its /proc/<pid>/status."""
    lacking = missing(status, *NEEDED[backend])
    barred = lacking if _is_root(status) else _bounded(status, lacking)
    if barred:
        # Neither root nor a file capability gets past that: who started the container or the service has to.
        adding = " ".join(f"--cap-add {name.removeprefix('CAP_')}" for name in barred)
        return f"{adding} for a container, CapabilityBoundingSet={' '.join(barred)} for a service of systemd"
    if re.search(r"^NoNewPrivs:\s*1", status, re.MULTILINE):
        return "start it without no_new_privs (systemd: NoNewPrivileges=no), as root or by zcframe setup-capture"
    option = "" if backend == "packet" else f" --backend {backend}"
    return f"zcframe setup-capture{option}"


def advice(status: str, backend: str) -> str:
    """The same in a sentence of an error."""
    text = remedy(status, backend)
    return f"run as root, or let a group capture: {text}" if text.startswith("zcframe") else text
