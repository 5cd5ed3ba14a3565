"""Checks of what workers keep of the rights of this process, and of what closes behind them."""

from __future__ import annotations

import re
from typing import Final

from zcframe.framework.privileges import kept_line

from .check import Check
from .host import Host


def workers(host: Host) -> Check:
    """Workers capture in any case: a warning where a container or a user namespace does not let them become nobody."""
    kept = host.kept_by_workers()
    if not kept:
        return Check("workers", "ok", "they give up every right before their first frame")
    missing = dict.fromkeys(re.findall(r"CAP_(\w+)", " ".join(kept)))
    remedy = " ".join(f"--cap-add {name}" for name in missing)
    return Check("workers", "warn", kept_line(kept), f"{remedy} for a container" if remedy else "")


def sandbox(host: Host) -> Check:
    """Whether system calls of workers and readers can be restricted: a warning where they are not."""
    if lacking := host.unrestricted():
        text, _, remedy = lacking.partition(": ")
        return Check("sandbox", "warn", f"{text}: workers may make every system call of their user", remedy)
    return Check("sandbox", "ok", "workers, and readers of files, make no system call but those that they need")


CHECKS: Final = (workers, sandbox)
